/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What both ends say of their work decides what becomes of it, errors too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "notifier/wire/rows.h"
#include "tests/unit/shim_harness.h"

static void both_ends_report_each_other(void **state)
{
	struct harness *h = *state;
	struct evidence_row vm, peer;

	end_receive(&h->peer, 50, 0, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, true);
	harness_stop(h);
	assert_int_equal(h->settled->evidence->n_flags, 2);
	vm = evidence_rows_get(h->settled->evidence, 0);
	peer = evidence_rows_get(h->settled->evidence, 1);
	assert_int_equal(vm.local_lid, FAKE_LID_VM);
	assert_int_equal(vm.local_qpn, peer.remote_qpn);
	assert_int_equal(vm.remote_lid, peer.local_lid);
	assert_int_equal(vm.sent, 1);
	assert_int_equal(peer.receives, 1);
	assert_int_equal(peer.rq_psn, (HARNESS_FIRST_PSN + 1) & 0xffffff);
	harness_go_on(h);
}

static void nothing_is_executed_after_the_vote(void **state)
{
	struct harness *h = *state;

	harness_write(h, 1);
	harness_stop(h);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 0);
	harness_go_on(h);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
}

static void without_the_other_sides_word_work_ends_with_an_error(void **state)
{
	struct harness *h = *state;

	harness_write(h, 1);
	harness_stop(h);
	for (size_t i = 0; i < h->settled->evidence->n_flags; i++)
		h->settled->evidence->local_qpn[i] ^= 1;
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
}

static void receives_that_never_come_end_the_connection(void **state)
{
	struct harness *h = *state;

	fake.hold_receives = true;
	end_receive(&h->peer, 50, 0, 8);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, true);
	harness_poll(h, &h->vm);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].wr_id, 50);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
}

static void an_application_error_is_kept_and_nothing_is_replayed(void **state)
{
	struct harness *h = *state;

	h->peer.mr->rkey ^= 0x4000;
	harness_write(h, 1);
	h->peer.mr->rkey ^= 0x4000;
	harness_write(h, 2);
	fake_execute(real_of(h->vm.qp), 1, true);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	harness_move(h);
	assert_int_equal(end_pending(&h->vm), 0);
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_ERR);
	harness_write(h, 3);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
}

static void execute_once(struct harness *h)
{
	if (real_of(h->vm.qp))
		fake_execute(real_of(h->vm.qp), 1, true);
}

static void an_error_that_the_stop_finds_is_the_applications(void **state)
{
	struct harness *h = *state;

	h->peer.mr->rkey ^= 0x4000;
	harness_write(h, 1);
	h->peer.mr->rkey ^= 0x4000;
	harness_write(h, 2);
	h->meanwhile = execute_once;
	harness_move(h);
	h->meanwhile = NULL;
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(end_pending(&h->vm), 0);
}

static void what_the_stop_posts_itself_is_not_shown(void **state)
{
	struct harness *h = *state;

	fake.hold_flushes = true;
	h->peer.mr->rkey ^= 0x4000;
	harness_write(h, 1);
	h->peer.mr->rkey ^= 0x4000;
	harness_write(h, 2);
	execute_once(h);
	harness_stop(h);
	fake_release_flushes();
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
}

static void a_queue_pair_destroyed_in_between_leaves_its_peer_an_error(void **state)
{
	struct harness *h = *state;

	end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	h->vm.qp = NULL;
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
}

static void modify_to_err_while_stopped_flushes_at_once(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	harness_write(h, 1);
	harness_stop(h);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	harness_go_on(h);
	assert_int_equal(end_pending(&h->vm), 0);
}

static struct qp_row row_of(const struct harness *h, const struct end *end)
{
	struct qp_row row = {0};

	for (size_t i = 0; i < h->answer->qps->n_local_qpn; i++) {
		row = qp_rows_get(h->answer->qps, i);
		if (row.local_qpn == end->qp->qp_num)
			return row;
	}
	fail_msg("there is no row of qp 0x%x", end->qp->qp_num);
	return row;
}

/* Nobody need show the other end of such a one; both settle as ever. */
static void one_that_has_ended_is_connected_to_nobody(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(row_of(h, &h->vm).remote_qpn, h->peer.qp->qp_num);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(row_of(h, &h->vm).remote_qpn, 0);
	assert_int_equal(row_of(h, &h->vm).remote_lid, 0);
	assert_int_equal(row_of(h, &h->peer).remote_qpn, h->vm.qp->qp_num);
	harness_stop(h);
	assert_int_equal(qp_rows_get(h->settled->qps, 0).remote_qpn, h->peer.qp->qp_num);
	harness_go_on(h);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(both_ends_report_each_other),
	        CONNECTED(nothing_is_executed_after_the_vote),
	        CONNECTED(without_the_other_sides_word_work_ends_with_an_error),
	        CONNECTED(receives_that_never_come_end_the_connection),
	        CONNECTED(an_application_error_is_kept_and_nothing_is_replayed),
	        CONNECTED(an_error_that_the_stop_finds_is_the_applications),
	        CONNECTED(what_the_stop_posts_itself_is_not_shown),
	        CONNECTED(a_queue_pair_destroyed_in_between_leaves_its_peer_an_error),
	        CONNECTED(one_that_has_ended_is_connected_to_nobody),
	        CONNECTED(modify_to_err_while_stopped_flushes_at_once),
	};

	return HARNESS_RUN_WHEREVER_ENDS_ARE(tests);
}
