/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Work between two RC queue pairs when nothing goes wrong, and what waits for a receive. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_pair_checks.h"

static const uint32_t lengths[] = {0, 1, 8, 1023, 1024, 1025, 4096, 100000};

static void message_arrives_whole_at_every_length(void **state)
{
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct pair *pair = pair_open(&pair_default);

		pair_fill(pair, 0, LOCAL, lengths[i], 3);
		assert_int_equal(pair_post_receive(pair, 1, REMOTE, 200000, 5), 0);
		pair_post_work(pair, IBV_WR_SEND, lengths[i], 6);
		assert_true(pair_settle(pair));
		pair_assert_received(pair, 1, 5, lengths[i]);
		pair_assert_sent(pair, 0, 6, IBV_WC_SUCCESS);
		pair_assert_same(pair, LOCAL, REMOTE, lengths[i]);
		pair_assert_nothing_more(pair);
		pair_close(pair);
	}
}

static void write_and_read_move_every_length(void **state)
{
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct pair *pair = pair_open(&pair_default);

		pair_fill(pair, 0, LOCAL, lengths[i], 3);
		pair_post_work(pair, IBV_WR_RDMA_WRITE, lengths[i], 1);
		assert_true(pair_settle(pair));
		pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
		pair_assert_same(pair, LOCAL, REMOTE, lengths[i]);
		pair_fill(pair, 1, REMOTE, lengths[i], 99);
		pair_post_work(pair, IBV_WR_RDMA_READ, lengths[i], 2);
		assert_true(pair_settle(pair));
		pair_assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
		pair_assert_same(pair, LOCAL, REMOTE, lengths[i]);
		pair_assert_nothing_more(pair);
		pair_close(pair);
	}
}

static void immediate_consumes_a_receive_and_tells_the_length(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_wc wc = {0};

	pair_fill(pair, 0, LOCAL, 3000, 1);
	assert_int_equal(pair_post_receive(pair, 1, 0, 0, 77), 0);
	pair_post_work(pair, IBV_WR_RDMA_WRITE_WITH_IMM, 3000, 1);
	assert_true(pair_settle(pair));
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	assert_int_equal(wc.wc_flags, IBV_WC_WITH_IMM);
	assert_int_equal(be32toh(wc.imm_data), 0x1234);
	assert_int_equal(wc.byte_len, 3000);
	assert_int_equal(wc.wr_id, 77);
	pair_assert_same(pair, LOCAL, REMOTE, 3000);
	pair_close(pair);
}

static void atomics_answer_the_value_before(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair_set_word(pair, 1, REMOTE, 40);
	pair_post_atomic(pair, IBV_WR_ATOMIC_FETCH_AND_ADD, 2, 0);
	assert_true(pair_settle(pair));
	assert_int_equal(pair_word(pair, 0, LOCAL), 40);
	assert_int_equal(pair_word(pair, 1, REMOTE), 42);
	pair_post_atomic(pair, IBV_WR_ATOMIC_CMP_AND_SWP, 42, 7);
	assert_true(pair_settle(pair));
	assert_int_equal(pair_word(pair, 0, LOCAL), 42);
	assert_int_equal(pair_word(pair, 1, REMOTE), 7);
	pair_post_atomic(pair, IBV_WR_ATOMIC_CMP_AND_SWP, 42, 8);
	assert_true(pair_settle(pair));
	assert_int_equal(pair_word(pair, 0, LOCAL), 7);
	assert_int_equal(pair_word(pair, 1, REMOTE), 7);
	pair_close(pair);
}

static void inline_data_is_taken_at_once(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 200);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE, 1);

	pair_fill(pair, 0, LOCAL, 200, 9);
	pair_fill(pair, 0, LOCAL + 4096, 200, 9);
	wr.send_flags |= IBV_SEND_INLINE;
	sge.lkey = 0xbad; /* inline data needs no key */
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	pair_fill(pair, 0, LOCAL, 200, 0);
	assert_true(pair_settle(pair));
	pair_assert_same(pair, LOCAL + 4096, REMOTE, 200);
	sge.length = 257;
	assert_int_equal(pair_post(pair, 0, &wr), -EINVAL);
	pair_close(pair);
}

static void unsignalled_work_completes_silently_and_frees_its_slot(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE, 1);

	wr.send_flags = 0;
	for (uint32_t i = 0; i < pair_cap.max_send_wr - 1; i++)
		assert_int_equal(pair_post(pair, 0, &wr), 0);
	wr.send_flags = IBV_SEND_SIGNALED;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
	/* Done, but as with an adapter the queue is full until a completion has been polled. */
	assert_int_equal(pair_post(pair, 0, &wr), -ENOMEM);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	pair_assert_nothing_more(pair);
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	pair_close(pair);
}

static void fence_waits_for_the_read_before(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 64);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE + 4096, 2);

	pair_fill(pair, 1, REMOTE, 64, 5);
	pair_post_work(pair, IBV_WR_RDMA_READ, 64, 1);
	wr.send_flags |= IBV_SEND_FENCE;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_true(pair_settle(pair));
	assert_memory_equal(pair->end[1].memory + REMOTE, pair->end[1].memory + REMOTE + 4096, 64);
	pair_close(pair);
}

static void requests_beyond_the_agreed_reads_wait(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.reads = 1;
	pair = pair_open(&options);
	for (uint64_t i = 0; i < 20; i++)
		pair_post_work(pair, IBV_WR_RDMA_READ, 3000, i);
	assert_true(pair_settle(pair));
	for (uint64_t i = 0; i < 20; i++)
		pair_assert_sent(pair, 0, i, IBV_WC_SUCCESS);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_RTS);
	pair_close(pair);
}

static void sender_waits_until_a_receive_is_posted(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_wc wc = {0};

	pair_post_work(pair, IBV_WR_SEND, 5000, 1);
	pair_steps(pair, 400);
	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_RTS);
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 5000, 9), 0);
	assert_true(pair_settle(pair));
	pair_assert_received(pair, 1, 9, 5000);
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	pair_close(pair);
}

static void rnr_retries_end_when_they_are_counted(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.rnr_retry = 3;
	pair = pair_open(&options);
	pair_post_work(pair, IBV_WR_SEND, 10, 1);
	while (pair->end[0].qp.state != IBV_QPS_ERR && pair_step(pair))
		;
	pair_assert_sent(pair, 0, 1, IBV_WC_RNR_RETRY_EXC_ERR);
	assert_int_equal(pair->sent[0], 4);
	/* RNR timer 12 is 0.64 ms. */
	assert_in_range(pair->now_ns, 3 * 640000, 3 * 640000 + 100000);
	pair_close(pair);
}

static void write_with_immediate_waits_for_a_receive_too(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair_fill(pair, 0, LOCAL, 3000, 1);
	pair_post_work(pair, IBV_WR_RDMA_WRITE_WITH_IMM, 3000, 1);
	pair_steps(pair, 100);
	assert_int_equal(pair_post_receive(pair, 1, 0, 0, 9), 0);
	assert_true(pair_settle(pair));
	pair_assert_received(pair, 1, 9, 3000);
	pair_assert_same(pair, LOCAL, REMOTE, 3000);
	pair_close(pair);
}

static void shared_receive_queue_feeds_the_queue_pair(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.with_srq = true;
	pair = pair_open(&options);
	pair_fill(pair, 0, LOCAL, 2000, 1);
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 2000, 9), 0);
	pair_post_work(pair, IBV_WR_SEND, 2000, 1);
	assert_true(pair_settle(pair));
	pair_assert_received(pair, 1, 9, 2000);
	queue_pair_fail(&pair->end[1].qp);
	assert_int_equal(
	        pair->end[1].events[pair->end[1].event_count - 1], IBV_EVENT_QP_LAST_WQE_REACHED);
	pair_close(pair);
}

static void packet_of_another_sender_is_ignored(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct packet stranger = {.opcode = OP_SEND_ONLY,
	        .slid = 99,
	        .dlid = pair_lid(1),
	        .dest_qpn = 0x101,
	        .psn = pair_default.first_psn};

	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 8, 7), 0);
	queue_pair_receive(&pair->end[1].qp, &stranger);
	pair_assert_nothing_more(pair);
	stranger.slid = pair_lid(0);
	queue_pair_receive(&pair->end[1].qp, &stranger);
	pair_assert_received(pair, 1, 7, 0);
	pair_close(pair);
}

static void full_receive_queue_takes_no_more(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	for (uint32_t i = 0; i < pair_cap.max_recv_wr; i++)
		assert_int_equal(pair_post_receive(pair, 0, 0, 8, i), 0);
	assert_int_equal(pair_post_receive(pair, 0, 0, 8, 0), -ENOMEM);
	pair_close(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(message_arrives_whole_at_every_length),
	        cmocka_unit_test(write_and_read_move_every_length),
	        cmocka_unit_test(immediate_consumes_a_receive_and_tells_the_length),
	        cmocka_unit_test(atomics_answer_the_value_before),
	        cmocka_unit_test(inline_data_is_taken_at_once),
	        cmocka_unit_test(unsignalled_work_completes_silently_and_frees_its_slot),
	        cmocka_unit_test(fence_waits_for_the_read_before),
	        cmocka_unit_test(requests_beyond_the_agreed_reads_wait),
	        cmocka_unit_test(sender_waits_until_a_receive_is_posted),
	        cmocka_unit_test(rnr_retries_end_when_they_are_counted),
	        cmocka_unit_test(write_with_immediate_waits_for_a_receive_too),
	        cmocka_unit_test(shared_receive_queue_feeds_the_queue_pair),
	        cmocka_unit_test(packet_of_another_sender_is_ignored),
	        cmocka_unit_test(full_receive_queue_takes_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
