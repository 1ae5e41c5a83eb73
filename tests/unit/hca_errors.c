/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a request that is not allowed does to both of two RC queue pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_pair_checks.h"

static void assert_fails(struct pair *pair, enum ibv_wc_status status, enum ibv_event_type event)
{
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, status);
	assert_int_equal(pair->end[0].qp.state, IBV_QPS_ERR);
	assert_int_equal(pair->end[1].qp.state, IBV_QPS_ERR);
	assert_int_equal(pair->end[1].events[pair->end[1].event_count - 1], event);
	pair_close(pair);
}

static void wrong_rkey_is_a_remote_access_error(void **state)
{
	static const enum ibv_wr_opcode opcodes[] = {
	        IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD};

	for (int i = 0; i < 3; i++) {
		struct pair *pair = pair_open(&pair_default);
		struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
		struct ibv_send_wr wr = pair_request(pair, 0, opcodes[i], &sge, REMOTE, 1);

		if (i == 2)
			wr.wr.atomic.rkey ^= 1;
		else
			wr.wr.rdma.rkey ^= 1;
		assert_int_equal(pair_post(pair, 0, &wr), 0);
		assert_fails(pair, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
	}
}

static void one_byte_beyond_the_region_is_a_remote_access_error(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 9);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, PAIR_MEMORY - 8, 1);

	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_fails(pair, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
}

static void access_that_the_queue_pair_does_not_grant_is_an_invalid_request(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.access = IBV_ACCESS_REMOTE_READ;
	pair = pair_open(&options);
	/* Even without a byte: this is why no empty WRITE serves as a flush. */
	pair_post_work(pair, IBV_WR_RDMA_WRITE, 0, 1);
	assert_fails(pair, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void message_longer_than_the_receive_fails_both_sides(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_wc wc = {0};

	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 1500, 9), 0);
	pair_post_work(pair, IBV_WR_SEND, 1501, 1);
	assert_true(pair_settle(pair));
	assert_true(pair_poll_receive(pair, 1, &wc));
	assert_int_equal(wc.status, IBV_WC_LOC_LEN_ERR);
	assert_fails(pair, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void misaligned_atomic_is_an_invalid_request(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr =
	        pair_request(pair, 0, IBV_WR_ATOMIC_FETCH_AND_ADD, &sge, REMOTE + 4, 1);

	assert_int_equal(pair_post(pair, 0, &wr), 0);
	assert_fails(pair, IBV_WC_REM_INV_REQ_ERR, IBV_EVENT_QP_REQ_ERR);
}

static void wrong_lkey_fails_after_the_work_before_it(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
	struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_RDMA_WRITE, &sge, REMOTE, 2);

	pair_post_work(pair, IBV_WR_RDMA_READ, 5000, 1);
	sge.lkey ^= 1;
	assert_int_equal(pair_post(pair, 0, &wr), 0);
	pair_post_work(pair, IBV_WR_RDMA_WRITE, 8, 3);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	pair_assert_sent(pair, 0, 2, IBV_WC_LOC_PROT_ERR);
	pair_assert_sent(pair, 0, 3, IBV_WC_WR_FLUSH_ERR);
	pair_assert_nothing_more(pair);
	pair_close(pair);
}

static void region_taken_away_stops_the_read_that_uses_it(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->room = 8;
	pair_post_work(pair, IBV_WR_RDMA_READ, 100000, 1);
	pair_steps(pair, 20);
	memory_keys_remove(pair->end[1].host.keys, &pair->end[1].region);
	assert_fails(pair, IBV_WC_REM_ACCESS_ERR, IBV_EVENT_QP_ACCESS_ERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(wrong_rkey_is_a_remote_access_error),
	        cmocka_unit_test(one_byte_beyond_the_region_is_a_remote_access_error),
	        cmocka_unit_test(access_that_the_queue_pair_does_not_grant_is_an_invalid_request),
	        cmocka_unit_test(message_longer_than_the_receive_fails_both_sides),
	        cmocka_unit_test(misaligned_atomic_is_an_invalid_request),
	        cmocka_unit_test(wrong_lkey_fails_after_the_work_before_it),
	        cmocka_unit_test(region_taken_away_stops_the_read_that_uses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
