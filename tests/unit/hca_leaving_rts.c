/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* An RC queue pair that leaves RTS: ERR, RESET, SQD; and what a query shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/hca_pair_checks.h"

static void error_state_flushes_everything_in_order(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};
	struct ibv_wc wc = {0};

	pair->fate = pair_lose_all;
	for (uint64_t i = 0; i < 5; i++) {
		struct ibv_sge sge = pair_sge(pair, 0, LOCAL, 8);
		struct ibv_send_wr wr = pair_request(pair, 0, IBV_WR_SEND, &sge, 0, i);

		wr.send_flags = 0; /* unsignalled work is flushed with a completion as well */
		assert_int_equal(pair_post(pair, 0, &wr), 0);
		assert_int_equal(pair_post_receive(pair, 0, LOCAL, 8, 50 + i), 0);
	}
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	for (uint64_t i = 0; i < 5; i++) {
		pair_assert_sent(pair, 0, i, IBV_WC_WR_FLUSH_ERR);
		assert_true(pair_poll_receive(pair, 0, &wc));
		assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
		assert_int_equal(wc.wr_id, 50 + i);
	}
	/* What is posted to a queue pair in ERR is flushed at once. */
	pair_post_work(pair, IBV_WR_SEND, 8, 9);
	pair_assert_sent(pair, 0, 9, IBV_WC_WR_FLUSH_ERR);
	pair_assert_nothing_more(pair);
	pair_close(pair);
}

static void rxe_leaves_receives_where_they_are(void **state)
{
	struct pair *pair = pair_open(&pair_default);

	pair->end[0].host.err_flushes_receives = false;
	assert_int_equal(pair_post_receive(pair, 0, LOCAL, 8, 1), 0);
	queue_pair_fail(&pair->end[0].qp);
	pair_assert_nothing_more(pair);
	pair_close(pair);
}

static void reset_forgets_and_connects_anew(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};
	struct pair_options options = pair_default;

	pair->fate = pair_lose_all;
	pair_post_work(pair, IBV_WR_SEND, 8, 1);
	pair_steps(pair, 3);
	pair->fate = NULL;
	options.first_psn = 5;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(queue_pair_modify(&pair->end[i].qp, &attr, IBV_QP_STATE), 0);
		assert_int_equal(pair_connect(pair, i, &options), 0);
	}
	assert_int_equal(pair_post_receive(pair, 1, REMOTE, 8, 7), 0);
	pair_post_work(pair, IBV_WR_SEND, 8, 2);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
	pair_assert_received(pair, 1, 7, 8);
	pair_assert_nothing_more(pair);
	pair_close(pair);
}

static void send_queue_drains_in_sqd_and_says_so(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1};
	struct ibv_wc wc = {0};

	pair_post_work(pair, IBV_WR_RDMA_WRITE, 5000, 1);
	pair_steps(pair, 1);
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr,
	                         IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY),
	        0);
	queue_pair_query(&pair->end[0].qp, &attr);
	assert_int_equal(attr.sq_draining, 1);
	pair_post_work(pair, IBV_WR_RDMA_WRITE, 8, 2);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 1, IBV_WC_SUCCESS);
	assert_false(pair_poll_send(pair, 0, &wc));
	assert_int_equal(pair->end[0].events[pair->end[0].event_count - 1], IBV_EVENT_SQ_DRAINED);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTS};
	assert_int_equal(queue_pair_modify(&pair->end[0].qp, &attr, IBV_QP_STATE), 0);
	assert_true(pair_settle(pair));
	pair_assert_sent(pair, 0, 2, IBV_WC_SUCCESS);
	pair_close(pair);
}

static void psns_in_a_query_are_live(void **state)
{
	struct pair *pair = pair_open(&pair_default);
	struct ibv_qp_attr attr;

	pair_post_work(pair, IBV_WR_RDMA_WRITE, 5 * 1024, 1);
	pair_post_work(pair, IBV_WR_RDMA_READ, 3 * 1024, 2);
	assert_true(pair_settle(pair));
	queue_pair_query(&pair->end[0].qp, &attr);
	assert_int_equal(attr.sq_psn, psn_add(pair_default.first_psn, 8));
	queue_pair_query(&pair->end[1].qp, &attr);
	assert_int_equal(attr.rq_psn, psn_add(pair_default.first_psn, 8));
	pair_close(pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(error_state_flushes_everything_in_order),
	        cmocka_unit_test(rxe_leaves_receives_where_they_are),
	        cmocka_unit_test(reset_forgets_and_connects_anew),
	        cmocka_unit_test(send_queue_drains_in_sqd_and_says_so),
	        cmocka_unit_test(psns_in_a_query_are_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
