/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is easily forgotten: two threads at once, verbs in the middle of a migration, steps that
 * fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/objects.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"

/* A deadlock ends the program: the rest of the tests cannot run in it. */
enum { DEADLOCK_S = 20 };

static struct harness harness;

static int begin(void **state, struct harness wanted)
{
	harness_begin(&harness, wanted);
	*state = &harness;
	alarm(DEADLOCK_S);
	return 0;
}

static int setup(void **state)
{
	return begin(state, (struct harness){0});
}

static int setup_srq(void **state)
{
	return begin(state, (struct harness){.with_srq = true});
}

static int setup_ex(void **state)
{
	return begin(state, (struct harness){.with_ex = true});
}

static int teardown(void **state)
{
	alarm(0);
	harness_close(*state);
	return 0;
}

/* ---- ibv_wr_start and a stop ---- */

struct builder {
	struct harness *h;
	sem_t started, go_on;
	int posted, completed;
	struct ibv_mr *mr;
};

static void *build_across_a_stop(void *at)
{
	struct builder *b = at;
	struct end *vm = &b->h->vm, *peer = &b->h->peer;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(vm->qp);

	ibv_wr_start(qpx);
	qpx->wr_id = 1;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(qpx, peer->mr->rkey, (uintptr_t)peer->memory);
	sem_post(&b->started);
	sem_wait(&b->go_on);
	b->posted = end_rdma(peer, vm, IBV_WR_RDMA_WRITE, 5, 64, 8, IBV_SEND_SIGNALED);
	b->mr = ibv_reg_mr(vm->pd, vm->memory, 64, 0);
	ibv_wr_set_sge(qpx, vm->mr->lkey, (uintptr_t)vm->memory, 8);
	b->completed = ibv_wr_complete(qpx);
	return NULL;
}

static void a_stop_does_not_wait_for_ibv_wr_complete(void **state)
{
	struct builder b = {.h = *state};
	struct harness *h = *state;
	pthread_t thread;

	sem_init(&b.started, 0, 0);
	sem_init(&b.go_on, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, build_across_a_stop, &b), 0);
	sem_wait(&b.started);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	sem_post(&b.go_on);
	pthread_join(thread, NULL);
	assert_int_equal(b.posted, 0);
	assert_int_equal(b.completed, 0);
	assert_non_null(b.mr);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].wr_id, 5);
	ibv_dereg_mr(b.mr);
}

/* ---- the log and the device ---- */

static int (*post_to_device)(struct ibv_qp *, struct ibv_send_wr *, struct ibv_send_wr **);
static int polled_early;

static int post_and_be_overtaken(
        struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	int err = post_to_device(qp, wr, bad_wr);

	fake_execute(qp, 9, true);
	polled_early = harness_poll(&harness, &harness.vm);
	return err;
}

static void release_late(struct harness *h)
{
	if (h->now_ms % 50 == 0)
		fake_release_receives();
}

/* The receive behind it is implied, though the send was complete before it was in the log. */
static void a_completion_may_overtake_the_post_that_it_belongs_to(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *real = real_of(h->vm.qp);

	end_receive(&h->peer, 50, 256, 8);
	end_receive(&h->peer, 51, 264, 8);
	fake.hold_receives = true;
	post_to_device = real->context->ops.post_send;
	real->context->ops.post_send = post_and_be_overtaken;
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	real->context->ops.post_send = post_to_device;
	assert_int_equal(polled_early, 1);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	fake_release_receives();
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].wr_id, 50);
	assert_int_equal(fake_receives(real_of(h->peer.qp)), 1);
}

/* As if the responder had begun more than half of the sequence numbers ago. */
static void a_frontier_counts_after_more_packets_than_a_window_compares(void **state)
{
	struct harness *h = *state;
	struct queue_pair *peer = queue_pair_of(h->peer.qp);

	peer->attr.rq_psn = (peer->attr.rq_psn - 0x900000) & 0xffffff;
	assert_int_equal(harness_write(h, 1), 0);
	harness_move(h);
	fake_execute(real_of(h->vm.qp), 9, true);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

static void kept_work_is_flushed_behind_an_error_of_the_application(void **state)
{
	struct harness *h = *state;
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, h->vm.mr->lkey};
	struct ibv_send_wr *bad, wr = {.wr_id = 1,
	                                 .sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_RDMA_WRITE,
	                                 .send_flags = IBV_SEND_SIGNALED,
	                                 .wr.rdma = {(uintptr_t)h->peer.memory, 0xdead}};

	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), 0);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(harness_write(h, 2), 0);
	fake_execute(real_of(h->vm.qp), 1, true);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_not_equal(h->wc[0].status, IBV_WC_SUCCESS);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 2);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
}

static void what_a_destroyed_queue_pair_flushes_late_is_not_shown(void **state)
{
	struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};
	struct harness *h = *state;

	fake.reset_purges = false;
	fake.hold_flushes = true;
	assert_int_equal(harness_write(h, 77), 0);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &error, IBV_QP_STATE), 0);
	assert_int_equal(ibv_destroy_qp(h->vm.qp), 0);
	h->vm.qp = NULL;
	fake_release_flushes();
	assert_int_equal(harness_poll(h, &h->vm), 0);
}

static void a_modify_on_a_lost_device_fails(void **state)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &reset, IBV_QP_STATE), ENODEV);
}

/* Readers walk it without a lock. */
static void a_number_that_is_known_is_overwritten_in_its_place(void **state)
{
	struct number_table table = {0};
	void *before;

	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(number_table_set(&table, 100 + i, i), 0);
	before = table.entries;
	assert_int_equal(number_table_set(&table, 103, 0), 0);
	assert_ptr_equal(before, table.entries);
	number_table_clear(&table);
}

/* ---- made in the middle of a migration ---- */

static void *enhance(void *at)
{
	struct harness *h = at;
	struct ibv_ece options = {.vendor_id = 1, .options = 1};

	return (void *)(intptr_t)ibv_set_ece(h->vm.qp, &options);
}

static void what_cannot_move_is_not_made_between_stop_and_resume(void **state)
{
	struct harness *h = *state;
	struct watched thread;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	watched_start(&thread, enhance, h);
	assert_false(watched_ends_at_once(&thread));
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	assert_null(watched_join(&thread)); /* no error */
}

static void what_cannot_move_any_more_after_stop_is_vetoed_before_it_is_broken(void **state)
{
	struct harness *h = *state;
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, 3 * bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, memory, 3 * bytes, 0);

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	munmap(memory + bytes, bytes);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-memory-unmapped");
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	ibv_dereg_mr(mr);
}

static void what_is_opened_after_stop_stops_with_its_device(void **state)
{
	struct harness *h = *state;
	struct ibv_context *late;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	late = ibv_open_device(h->vm.context->device);
	assert_non_null(late);
	assert_int_equal(context_of(late)->phase, PHASE_STOPPED);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	assert_int_equal(context_of(late)->phase, PHASE_RUNNING);
	ibv_close_device(late);
}

/* By whatever way it came to be. */
static void a_connection_that_has_not_voted_is_not_released(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	queue_pair_of(h->vm.qp)->migration.broken = false;
	harness_expect(h, TETHER__STEP__STEP_RELEASE, FAILED);
	assert_string_equal(harness_reason(h), "not-voted");
	assert_non_null(real_of(h->vm.qp));
}

/* ---- steps that fail ---- */

/* Both ends are in this process and stay where they are after an abort; the first does not RESET.
 */
static void one_that_does_not_reset_is_lost_alone(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	fake.does_not_reset = real_of(h->vm.qp);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(h->vm.qp->state, IBV_QPS_ERR);
	assert_int_equal(real_of(h->peer.qp)->state, IBV_QPS_RTS);
}

static void a_context_that_cannot_be_rebuilt_is_lost_whole(void **state)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
	struct harness *h = *state;

	harness_stop(h);
	assert_int_equal(harness_write(h, 1), 0);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	fake.makes_no_qps = true;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "not-rebuilt");
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	assert_int_equal(context_of(h->vm.context)->phase, PHASE_LOST);
	assert_null(context_of(h->vm.context)->real);
	assert_int_equal(ibv_modify_qp(h->vm.qp, &reset, IBV_QP_STATE), ENODEV);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_not_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_false(context_of(h->vm.context)->hides_events);
}

static void shared_buffers_outlive_a_migration_that_ends_with_errors(void **state)
{
	struct harness *h = *state;
	int shown;

	end_receive(&h->peer, 50, 256, 8);
	end_receive(&h->peer, 51, 264, 8);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	shown = harness_poll(h, &h->peer);
	assert_int_equal(shown + (int)fake_receives(real_of(h->peer.qp)), 2);
}

/* ---- interest ---- */

static void interest_ends_with_a_reset_and_with_a_modify_that_fails(void **state)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
	struct ibv_qp_attr rtr = {
	        .qp_state = IBV_QPS_RTR, .dest_qp_num = 1, .ah_attr = {.dlid = FAKE_LID_PEER}};
	struct harness *h = *state;
	int before = harness_interest;

	assert_int_equal(ibv_modify_qp(h->vm.qp, &reset, IBV_QP_STATE), 0);
	assert_int_equal(harness_interest, before - 1);
	/* Not from RESET. */
	assert_int_not_equal(
	        ibv_modify_qp(h->vm.qp, &rtr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_DEST_QPN), 0);
	assert_int_equal(harness_interest, before - 1);
}

#define IN(how, name) cmocka_unit_test_setup_teardown(name, how, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        IN(setup_ex, a_stop_does_not_wait_for_ibv_wr_complete),
	        IN(setup, a_completion_may_overtake_the_post_that_it_belongs_to),
	        IN(setup, a_frontier_counts_after_more_packets_than_a_window_compares),
	        IN(setup, kept_work_is_flushed_behind_an_error_of_the_application),
	        IN(setup, what_a_destroyed_queue_pair_flushes_late_is_not_shown),
	        IN(setup, a_modify_on_a_lost_device_fails),
	        IN(setup, what_cannot_move_is_not_made_between_stop_and_resume),
	        IN(setup, what_cannot_move_any_more_after_stop_is_vetoed_before_it_is_broken),
	        IN(setup, what_is_opened_after_stop_stops_with_its_device),
	        IN(setup, a_connection_that_has_not_voted_is_not_released),
	        IN(setup, one_that_does_not_reset_is_lost_alone),
	        IN(setup, a_context_that_cannot_be_rebuilt_is_lost_whole),
	        IN(setup_srq, shared_buffers_outlive_a_migration_that_ends_with_errors),
	        IN(setup, interest_ends_with_a_reset_and_with_a_modify_that_fails),
	        cmocka_unit_test(a_number_that_is_known_is_overwritten_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
