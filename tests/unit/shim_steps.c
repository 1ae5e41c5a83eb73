/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The protocol: what is answered, refused, undone, and what happens when nobody speaks any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "notifier/wire/rows.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_harness.h"

static int write_one(struct harness *h, uint64_t wr_id)
{
	return end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, wr_id, 0, 8, IBV_SEND_SIGNALED);
}

static unsigned pending(struct ibv_qp *qp)
{
	return fake_pending(real_of(qp));
}

/* ---- going back ---- */

static void an_abort_before_the_vote_goes_on_as_if_nothing_had_been(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(write_one(h, 1), 0);
	assert_int_equal(pending(h->vm.qp), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(pending(h->vm.qp), 1);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

static void an_abort_after_the_vote_is_mended_on_the_same_device(void **state)
{
	struct harness *h = *state;
	unsigned opens;

	strcpy((char *)h->vm.memory, "sent");
	write_one(h, 1);
	fake_execute(real_of(h->vm.qp), 1, false);
	strcpy((char *)h->peer.memory, "seen");
	end_receive(&h->peer, 50, 256, 8);
	harness_stop(h);
	opens = fake.opens;
	write_one(h, 2);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_non_null(h->answer->evidence); /* says that it is broken */
	assert_true(h->answer->evidence->flags[0] & TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN);
	assert_int_equal(pending(h->vm.qp), 0);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake.opens, opens);
	assert_int_equal(fake_receives(real_of(h->peer.qp)), 1);
	assert_int_equal(pending(h->vm.qp), 1);
	assert_string_equal((char *)h->peer.memory, "seen");
	fake_execute(real_of(h->vm.qp), 1, true);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
}

/* Its transport has given up: the peer is dead. Nothing was ever broken by the stop. */
static void what_the_transport_gave_up_while_stopped_ends_with_errors_at_an_abort(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	write_one(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	write_one(h, 2);
	assert_int_equal(below.ibv_modify_qp(real_of(h->vm.qp), &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	write_one(h, 3);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
}

static void an_abort_after_the_commit_is_too_late(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, REFUSED);
	assert_string_equal(harness_reason(h), "too-late");
	harness_go_on(h);
}

/* One side never heard SETTLE, the other voted: the first opened at ABORT and is stopped again. */
static void who_was_let_go_is_stopped_again_to_mend_the_others(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	write_one(h, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
}

/* ---- silence ---- */

static void the_lease_reopens_gates_before_the_vote(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	write_one(h, 1);
	harness_time_passes(h, 4900);
	assert_int_equal(pending(h->vm.qp), 0);
	harness_time_passes(h, 200);
	assert_int_equal(pending(h->vm.qp), 1);
}

static void post_atomic(struct harness *h, uint64_t wr_id)
{
	assert_int_equal(end_fetch_add(&h->vm, &h->peer, wr_id, 64, 1), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, false), 1);
}

/* It reopened alone and has posted since; the late SETTLE stops it again, and then nobody speaks.
 */
static void an_atomic_of_who_had_reopened_ends_the_vote_by_name_and_is_not_broken(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_time_passes(h, 5100);
	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, FAILED);
	assert_string_equal(harness_reason(h), "atomic-unanswered");
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_RTS);
	write_one(h, 2);
	assert_int_equal(pending(h->vm.qp), 0);
	harness_time_passes(h, 5100);
	assert_int_equal(pending(h->vm.qp), 1);
	fake_execute(real_of(h->vm.qp), 9, true);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

static void a_lease_does_not_end_in_the_middle_of_a_step(void **state)
{
	struct harness *h = *state;
	Tether__Event event;

	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_STOP);
	event.lease_ms = 300;
	assert_int_equal(harness_event(h, &event), FAILED);
	assert_string_equal(harness_reason(h), "atomic-unanswered");
	write_one(h, 2);
	assert_int_equal(pending(h->vm.qp), 0);
	harness_time_passes(h, 400);
	assert_int_equal(pending(h->vm.qp), 1);
}

static void a_step_without_a_deadline_ends_with_the_lease(void **state)
{
	struct harness *h = *state;
	Tether__Event event;

	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_STOP);
	event.lease_ms = 300;
	event.deadline_ms = 0;
	assert_int_equal(harness_event(h, &event), FAILED);
	assert_string_equal(harness_reason(h), "lease-over");
	write_one(h, 2);
	assert_int_equal(pending(h->vm.qp), 1);
}

static void after_the_vote_nobody_decides_alone(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	write_one(h, 1);
	harness_time_passes(h, 15000);
	assert_int_equal(pending(h->vm.qp), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_go_on(h);
	assert_int_equal(pending(h->vm.qp), 1);
}

static void at_the_overall_deadline_work_ends_with_errors(void **state)
{
	struct harness *h = *state;

	end_receive(&h->vm, 50, 0, 8);
	write_one(h, 1);
	write_one(h, 2);
	harness_stop(h);
	harness_time_passes(h, 21000);
	assert_int_equal(harness_poll(h, &h->vm), 3);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h->wc[2].wr_id, 50);
	assert_int_equal(h->wc[2].status, IBV_WC_WR_FLUSH_ERR);
}

static void without_a_device_later_work_is_flushed_too(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	assert_int_equal(write_one(h, 3), 0);
	assert_int_equal(end_receive(&h->vm, 51, 0, 8), 0);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_null(ibv_reg_mr(h->vm.pd, h->vm.memory, 8, 0));
	assert_int_equal(errno, ENODEV);
}

static void a_device_that_never_comes_is_a_failure(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "no-device");
	fake.slot = 2;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}

/* ---- repeats and late ones ---- */

static void a_repeated_event_gets_the_same_answer(void **state)
{
	struct harness *h = *state;
	Tether__Event event;
	uint32_t psn;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_SETTLE);
	assert_int_equal(harness_event(h, &event), DONE);
	psn = h->answer->qps->sq_psn[0];
	assert_int_equal(harness_event(h, &event), DONE);
	assert_int_equal(h->answer->qps->sq_psn[0], psn);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	assert_int_equal(h->settled->qps->sq_psn[0], psn);
	harness_go_on(h);
}

static void an_older_epoch_is_refused(void **state)
{
	struct harness *h = *state;
	Tether__Event event;

	harness_event_fill(h, &event, TETHER__STEP__STEP_PREPARE);
	event.epoch = 9;
	assert_int_equal(harness_event(h, &event), DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_STOP);
	event.epoch = 8;
	assert_int_equal(harness_event(h, &event), REFUSED);
	assert_string_equal(harness_reason(h), "older-epoch");
	assert_int_equal(write_one(h, 1), 0);
	assert_int_equal(pending(h->vm.qp), 1);
}

static void epochs_of_different_vms_are_not_compared(void **state)
{
	struct harness *h = *state;
	Tether__Address other = TETHER__ADDRESS__INIT;
	Tether__Event event;

	harness_event_fill(h, &event, TETHER__STEP__STEP_PREPARE);
	other.lid = 99;
	event.address = &other;
	event.epoch = 9;
	event.migration = 1000;
	assert_int_equal(harness_event(h, &event), DONE);
	harness_move(h); /* of epoch 1 */
}

static void an_event_that_was_overtaken_begins_nothing(void **state)
{
	struct harness *h = *state;
	Tether__Event late, abort;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_event_fill(h, &late, TETHER__STEP__STEP_SETTLE);
	h->sequence += 5;
	harness_event_fill(h, &abort, TETHER__STEP__STEP_ABORT);
	assert_int_equal(harness_event(h, &abort), DONE);
	assert_int_equal(harness_event(h, &late), REFUSED);
	assert_string_equal(harness_reason(h), "over");
	write_one(h, 1);
	assert_int_equal(pending(h->vm.qp), 1);
}

static void a_step_that_is_no_process_business_is_refused(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_MOVE, REFUSED);
	assert_string_equal(harness_reason(h), "unknown-step");
}

static void a_process_that_is_not_concerned_agrees_to_everything(void **state)
{
	struct harness *h = *state;

	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(h->peer.qp), 0);
	h->vm.qp = h->peer.qp = NULL;
	harness_move(h);
}

/* ---- evidence ---- */

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

	write_one(h, 1);
	harness_stop(h);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 0);
	harness_go_on(h);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
}

static void without_the_other_sides_word_work_ends_with_an_error(void **state)
{
	struct harness *h = *state;

	write_one(h, 1);
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
	write_one(h, 1);
	h->peer.mr->rkey ^= 0x4000;
	write_one(h, 2);
	fake_execute(real_of(h->vm.qp), 1, true);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	harness_move(h);
	assert_int_equal(pending(h->vm.qp), 0);
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_ERR);
	write_one(h, 3);
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
	write_one(h, 1);
	h->peer.mr->rkey ^= 0x4000;
	write_one(h, 2);
	h->meanwhile = execute_once;
	harness_move(h);
	h->meanwhile = NULL;
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(pending(h->vm.qp), 0);
}

static void what_the_stop_posts_itself_is_not_shown(void **state)
{
	struct harness *h = *state;

	fake.hold_flushes = true;
	h->peer.mr->rkey ^= 0x4000;
	write_one(h, 1);
	h->peer.mr->rkey ^= 0x4000;
	write_one(h, 2);
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

	write_one(h, 1);
	harness_stop(h);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	harness_go_on(h);
	assert_int_equal(pending(h->vm.qp), 0);
}

/* ---- vetoes ---- */

static void refused_for(struct harness *h, const char *reason)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), reason);
	assert_int_equal(write_one(h, 1), 0);
	assert_int_equal(pending(h->vm.qp), 1);
}

static uint8_t *pages_map(size_t count)
{
	return mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void memory_with_a_hole_is_refused_by_name(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(3);
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, pages, 3 * 4096, IBV_ACCESS_LOCAL_WRITE);

	munmap(pages + 4096, 4096);
	refused_for(h, "veto-memory-unmapped");
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

static void what_came_after_prepare_is_refused_at_stop(void **state)
{
	struct harness *h = *state;
	uint8_t *pages = pages_map(3);
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, pages, 3 * 4096, IBV_ACCESS_LOCAL_WRITE);

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	munmap(pages + 4096, 4096);
	harness_expect(h, TETHER__STEP__STEP_STOP, REFUSED);
	assert_int_equal(write_one(h, 1), 0);
	assert_int_equal(pending(h->vm.qp), 1);
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

static void one_migration_at_a_time_for_a_queue_pair(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED); /* another one */
	assert_string_equal(harness_reason(h), "already-moving");
	h->migration--;
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	write_one(h, 1);
	assert_int_equal(pending(h->vm.qp), 1);
}

/* ---- queue pairs that are not connected ---- */

static void a_queue_pair_made_before_connects_after_the_move(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr attr = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_recv_wr = 4, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp_attr init = {.qp_state = IBV_QPS_INIT, .port_num = 1};
	struct qp_row row;

	h->vm.qp = ibv_create_qp(h->vm.pd, &attr);
	assert_int_equal(
	        ibv_modify_qp(h->vm.qp, &init,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	assert_int_equal(end_receive(&h->vm, 50, 0, 8), 0);
	harness_move(h);
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_INIT);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), 1);
	row = qp_rows_get(h->attached->qps, 0);
	assert_int_equal(row.local_qpn, h->vm.qp->qp_num);
	assert_int_equal(row.real_qpn, real_of(h->vm.qp)->qp_num);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
#define UNCONNECTED(test)                                                                          \
	cmocka_unit_test_setup_teardown(test, harness_setup_unconnected, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(an_abort_before_the_vote_goes_on_as_if_nothing_had_been),
	        CONNECTED(an_abort_after_the_vote_is_mended_on_the_same_device),
	        CONNECTED(what_the_transport_gave_up_while_stopped_ends_with_errors_at_an_abort),
	        CONNECTED(an_abort_after_the_commit_is_too_late),
	        CONNECTED(who_was_let_go_is_stopped_again_to_mend_the_others),
	        CONNECTED(the_lease_reopens_gates_before_the_vote),
	        CONNECTED(an_atomic_of_who_had_reopened_ends_the_vote_by_name_and_is_not_broken),
	        CONNECTED(a_lease_does_not_end_in_the_middle_of_a_step),
	        CONNECTED(a_step_without_a_deadline_ends_with_the_lease),
	        CONNECTED(after_the_vote_nobody_decides_alone),
	        CONNECTED(at_the_overall_deadline_work_ends_with_errors),
	        CONNECTED(without_a_device_later_work_is_flushed_too),
	        CONNECTED(a_device_that_never_comes_is_a_failure),
	        CONNECTED(a_repeated_event_gets_the_same_answer),
	        CONNECTED(an_older_epoch_is_refused),
	        CONNECTED(epochs_of_different_vms_are_not_compared),
	        CONNECTED(an_event_that_was_overtaken_begins_nothing),
	        CONNECTED(a_step_that_is_no_process_business_is_refused),
	        CONNECTED(a_process_that_is_not_concerned_agrees_to_everything),
	        CONNECTED(both_ends_report_each_other),
	        CONNECTED(nothing_is_executed_after_the_vote),
	        CONNECTED(without_the_other_sides_word_work_ends_with_an_error),
	        CONNECTED(receives_that_never_come_end_the_connection),
	        CONNECTED(an_application_error_is_kept_and_nothing_is_replayed),
	        CONNECTED(an_error_that_the_stop_finds_is_the_applications),
	        CONNECTED(what_the_stop_posts_itself_is_not_shown),
	        CONNECTED(a_queue_pair_destroyed_in_between_leaves_its_peer_an_error),
	        CONNECTED(modify_to_err_while_stopped_flushes_at_once),
	        CONNECTED(memory_with_a_hole_is_refused_by_name),
	        CONNECTED(what_came_after_prepare_is_refused_at_stop),
	        CONNECTED(one_migration_at_a_time_for_a_queue_pair),
	        UNCONNECTED(a_queue_pair_made_before_connects_after_the_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
