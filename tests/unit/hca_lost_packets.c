/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two RC queue pairs on a wire that loses: one packet at a time, or all of a kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_pair_checks.h"

struct loss {
	uint64_t nth[2]; /* the n-th packet of each end is lost; 0: none */
	uint64_t seen[2];
};

static int lose(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	struct loss *loss = test;

	return ++loss->seen[from] == loss->nth[from] ? 0 : 1;
}

static void run_mix(struct pair *pair)
{
	pair_set_word(pair, 1, REMOTE + 0x20000, 100);
	pair_fill(pair, 0, LOCAL, 0x8000, 1);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(pair_post_receive(pair, 1, REMOTE + 0x10000, 8192, 50 + i), 0);
	for (uint64_t i = 0; i < 4; i++) {
		struct ibv_sge sge = pair_sge(pair, 0, LOCAL + 0x8000 + i * 8, 8);
		struct ibv_send_wr wr = pair_request(
		        pair, 0, IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, REMOTE + 0x20000, 100 + i);

		wr.wr.atomic.compare_add = 1;
		pair_post_work(pair, IBV_WR_RDMA_WRITE, 5000, 10 + i);
		pair_post_work(pair, IBV_WR_SEND, 3000, 20 + i);
		assert_int_equal(pair_post(pair, 0, &wr), 0);
		sge = pair_sge(pair, 0, LOCAL + 0xa000 + i * 0x1000, 4000);
		wr = pair_request(pair, 0, IBV_WR_RDMA_READ, &sge, REMOTE, 200 + i);
		assert_int_equal(pair_post(pair, 0, &wr), 0);
	}
}

static void check_mix(struct pair *pair)
{
	for (uint64_t i = 0; i < 4; i++) {
		pair_assert_sent(pair, 0, 10 + i, IBV_WC_SUCCESS);
		pair_assert_sent(pair, 0, 20 + i, IBV_WC_SUCCESS);
		pair_assert_sent(pair, 0, 100 + i, IBV_WC_SUCCESS);
		pair_assert_sent(pair, 0, 200 + i, IBV_WC_SUCCESS);
		pair_assert_received(pair, 1, 50 + i, 3000);
		assert_int_equal(pair_word(pair, 0, LOCAL + 0x8000 + i * 8), 100 + i);
		pair_assert_same(pair, LOCAL + 0xa000 + i * 0x1000, REMOTE, 4000);
	}
	pair_assert_nothing_more(pair);
	assert_int_equal(pair_word(pair, 1, REMOTE + 0x20000), 104);
	pair_assert_same(pair, LOCAL, REMOTE, 5000);
	pair_assert_same(pair, LOCAL, REMOTE + 0x10000, 3000);
}

/* Every single packet of the mix, from either side, once. */
static void any_lost_packet_is_made_good_and_nothing_done_twice(void **state)
{
	for (int from = 0; from < 2; from++) {
		for (uint64_t n = 1;; n++) {
			struct pair *pair = pair_open(&pair_default);
			struct loss loss = {0};

			loss.nth[from] = n;
			pair->fate = lose;
			pair->test = &loss;
			run_mix(pair);
			assert_true(pair_settle(pair));
			check_mix(pair);
			pair_close(pair);
			if (loss.seen[from] < n) {
				assert_true(n > 16);
				break;
			}
		}
	}
}

static int lose_first_answer(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	unsigned *left = test;

	if (from == 0 || !(packet_is(packet) & IS_READ) || !*left)
		return 1;
	--*left;
	return 0;
}

/* The answer to a later request tells, so there is no need to wait for the timer. */
static void lost_answer_is_asked_for_again_at_once(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	unsigned left = 1;

	pair_fill(pair, 1, REMOTE, 100, 4);
	pair->fate = lose_first_answer;
	pair->test = &left;
	pair_post_work(pair, IBV_WR_RDMA_READ, 100, 1);
	pair_post_work(pair, IBV_WR_RDMA_WRITE, 0, 2);
	while (pair->end[0].qp.requester.queue.oldest != 2 && pair_step(pair))
		;
	assert_true(pair->now_ns < 4096ull << pair_default.timeout);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	pair_assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
	pair_assert_same(pair, LOCAL, REMOTE, 100);
	pair_close(pair);
}

static void peer_that_never_answers_exceeds_the_retries(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->fate = pair_lose_all;
	pair_post_work(pair, IBV_WR_SEND, 10, 1);
	pair_post_work(pair, IBV_WR_RDMA_READ, 10, 2);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, IBV_WC_RETRY_EXC_ERR);
	pair_assert_sent(pair, 0, 2, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_ERR);
	/* Seven retries of 4.096 us * 2^14 each, and the first try. */
	assert_int_equal(pair->now_ns / (4096ull << 14), 8);
	/* Both fit into the window, so both were sent again each time. */
	assert_int_equal(pair->sent[0], 2 * 8);
	pair_close(pair);
}

static int lose_rest(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return from == 0 && packet->message_index >= 3 ? 0 : 1;
}

static void message_cut_in_the_middle_shows_in_rq_psn_and_not_in_a_completion(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr;
	struct ibv_wc wc = {0};

	pair->fate = lose_rest;
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 10000, 1), 0);
	pair_post_work(pair, IBV_WR_SEND, 10000, 1);
	assert_true(pair_settle(pair));
	queue_pair_query(&pair->end[1].qp, &attr);
	assert_int_equal(attr.rq_psn, psn_add(pair_default.first_psn, 3));
	assert_false(pair_poll_receive(pair, 1, &wc));
	pair_close(pair);
}

static int lose_acks(void *test, int from, const struct packet *packet, uint64_t *delay_ns)
{
	return from == 0;
}

static void executed_work_shows_in_rq_psn_though_no_acknowledgement_came(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr;

	pair->fate = lose_acks;
	pair_set_word(pair, 1, REMOTE, 1);
	pair_post_atomic(pair, IBV_WR_ATOMIC_FETCH_AND_ADD, 1, 0);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, IBV_WC_RETRY_EXC_ERR);
	/* Sent eight times, executed once. */
	assert_int_equal(pair_word(pair, 1, REMOTE), 2);
	queue_pair_query(&pair->end[1].qp, &attr);
	assert_int_equal(attr.rq_psn, psn_add(pair_default.first_psn, 1));
	pair_close(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(any_lost_packet_is_made_good_and_nothing_done_twice),
	        cmocka_unit_test(lost_answer_is_asked_for_again_at_once),
	        cmocka_unit_test(peer_that_never_answers_exceeds_the_retries),
	        cmocka_unit_test(message_cut_in_the_middle_shows_in_rq_psn_and_not_in_a_completion),
	        cmocka_unit_test(executed_work_shows_in_rq_psn_though_no_acknowledgement_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
