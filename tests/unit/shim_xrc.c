/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* XRC: senders, targets and the shared queues that senders name, before, in and after a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "notifier/wire/rows.h"
#include "preload/objects.h"
#include "preload/xrc.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_xrc_ends.h"

/* A deadlock ends the program. */
enum { DEADLOCK_S = 20 };

static void messages_reach_the_queue_that_they_name(void **state)
{
	expect_it_works(&xrc.vm, &xrc.peer);
	expect_it_works(&xrc.peer, &xrc.vm);
}

static void they_do_after_moves(void **state)
{
	struct harness *h = &xrc.h;

	for (int i = 0; i < 3; i++) {
		uint32_t real;

		harness_move(h);
		assert_int_equal(
		        ibv_get_srq_num(shared_receive_queue_of(xrc.vm.srqs[0])->real, &real), 0);
		assert_int_not_equal(real, xrc.vm.numbers[0]);
		expect_it_works(&xrc.vm, &xrc.peer);
		expect_it_works(&xrc.peer, &xrc.vm);
	}
}

static void built_work_names_its_queue(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h->peer.qp);

	harness_move(h);
	assert_int_equal(xend_receive(&xrc.vm, 1, 5, 0, BYTES), 0);
	ibv_wr_start(qpx);
	qpx->wr_id = 6;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_send(qpx);
	ibv_wr_set_sge(qpx, h->peer.mr->lkey, (uintptr_t)h->peer.memory, BYTES);
	ibv_wr_set_xrc_srqn(qpx, xrc.vm.numbers[1]);
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_int_equal(xend_execute(&xrc.peer, 9, true), 1);
	expect_completion(xrc.vm.cq, 5, xrc.vm.target->qp_num);
	expect_completion(h->peer.cq, 6, h->peer.qp->qp_num);
}

/* One executed without an answer, one not at all: one made up, one sent again, each once. */
static void expect_each_once(struct xend *from, struct xend *to)
{
	struct harness *h = &xrc.h;

	assert_int_equal(xend_receive(to, 0, 10, 0, BYTES), 0);
	assert_int_equal(xend_receive(to, 1, 11, BYTES, BYTES), 0);
	assert_int_equal(xend_send(from, to->numbers[0], 1, BYTES), 0);
	assert_int_equal(xend_send(from, to->numbers[1], 2, BYTES), 0);
	assert_int_equal(xend_execute(from, 1, false), 1);
	harness_move(h);
	expect_completion(from->end->cq, 1, from->end->qp->qp_num);
	expect_completion(to->end->cq, 10, to->target->qp_num);
	expect_no_completion(to->cq);
	assert_int_equal(xend_execute(from, 9, true), 1);
	expect_completion(from->end->cq, 2, from->end->qp->qp_num);
	expect_completion(to->cq, 11, to->target->qp_num);
	expect_no_completion(to->end->cq);
	expect_it_works(from, to);
}

static void what_the_vm_sends_is_executed_once(void **state)
{
	expect_each_once(&xrc.vm, &xrc.peer);
}

static void what_the_peer_sends_is_executed_once(void **state)
{
	expect_each_once(&xrc.peer, &xrc.vm);
}

/* Not before both sides have voted. */
static void release_late(struct harness *h)
{
	if (h->settled && h->now_ms % 50 == 0)
		fake_release_receives();
}

static void release_waits_for_receives_in_all_queues(void **state)
{
	struct harness *h = &xrc.h;

	assert_int_equal(xend_receive(&xrc.vm, 0, 10, 0, BYTES), 0);
	assert_int_equal(xend_receive(&xrc.vm, 1, 11, 0, BYTES), 0);
	assert_int_equal(xend_send(&xrc.peer, xrc.vm.numbers[0], 1, BYTES), 0);
	assert_int_equal(xend_send(&xrc.peer, xrc.vm.numbers[1], 2, BYTES), 0);
	fake.hold_receives = true;
	assert_int_equal(xend_execute(&xrc.peer, 9, true), 2);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	expect_completion(h->vm.cq, 10, xrc.vm.target->qp_num);
	expect_completion(xrc.vm.cq, 11, xrc.vm.target->qp_num);
}

/* What RECONNECT does not say is taken back, and after an abort it says what SETTLE's answers did.
 */
static void numbers_outlive_an_abort(void **state)
{
	struct harness *h = &xrc.h;
	unsigned said = 0;

	harness_move(h);
	harness_stop(h);
	for (size_t i = 0; i < h->settled->qps->n_local_qpn; i++) {
		struct qp_row row = qp_rows_get(h->settled->qps, i);

		said += row.local_lid == harness_vm_lid(h) && !row.remote_qpn && !row.remote_lid &&
		        row.local_qpn == (XRC_NUMBERS | xrc.vm.numbers[0]) &&
		        row.real_qpn != row.local_qpn;
	}
	assert_int_equal(said, 1);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	expect_it_works(&xrc.vm, &xrc.peer);
	expect_it_works(&xrc.peer, &xrc.vm);
}

/* The peer's queues stay, and a message of which a part is there has taken a buffer. */
static void a_buffer_that_is_flushed_is_posted_again(void **state)
{
	struct harness *h = &xrc.h;

	assert_int_equal(xend_receive(&xrc.peer, 1, 50, 0, LONG_BYTES), 0);
	assert_int_equal(xend_send(&xrc.vm, xrc.peer.numbers[1], 1, LONG_BYTES), 0);
	fake_execute_part(real_of(h->vm.qp), 1);
	harness_move(h);
	assert_int_equal(xend_execute(&xrc.vm, 9, true), 1);
	expect_completion(xrc.peer.cq, 50, xrc.peer.target->qp_num);
	expect_completion(h->vm.cq, 1, h->vm.qp->qp_num);
}

static void a_wrong_number_stays_wrong(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_wc wc;

	harness_move(h);
	assert_int_equal(xend_send(&xrc.peer, 0x777777, 1, BYTES), 0);
	xend_execute(&xrc.peer, 9, true);
	assert_int_equal(ibv_poll_cq(h->peer.cq, 1, &wc), 1);
	assert_int_equal(wc.status, IBV_WC_REM_INV_REQ_ERR);
}

static void a_number_that_is_taken_is_not_given(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_srq *made;
	uint32_t number;

	harness_move(h);
	fake_next_number(xrc.vm.numbers[0]);
	made = xend_create_srq_ex(&xrc.vm, h->vm.cq);
	assert_non_null(made);
	assert_int_equal(ibv_get_srq_num(made, &number), 0);
	assert_int_not_equal(number, xrc.vm.numbers[0]);
	assert_int_not_equal(number, xrc.vm.numbers[1]);
	assert_int_equal(ibv_destroy_srq(made), 0);
	expect_it_works(&xrc.peer, &xrc.vm);
}

static void a_queue_made_later_is_served_by_earlier_targets(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_srq *had = xrc.vm.srqs[1];

	harness_move(h);
	xrc.vm.srqs[1] = xend_create_srq_ex(&xrc.vm, xrc.vm.cq);
	assert_int_equal(ibv_get_srq_num(xrc.vm.srqs[1], &xrc.vm.numbers[1]), 0);
	assert_int_equal(ibv_destroy_srq(had), 0);
	expect_it_works(&xrc.peer, &xrc.vm);
	harness_move(h);
	expect_it_works(&xrc.peer, &xrc.vm);
}

static void a_target_may_be_left_in_rtr(void **state)
{
	struct harness *h = &xrc.h;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};

	assert_int_equal(ibv_modify_qp(xrc.vm.target, &attr, IBV_QP_STATE), 0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_INIT, .port_num = 1};
	assert_int_equal(
	        ibv_modify_qp(xrc.vm.target, &attr,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	attr = (struct ibv_qp_attr){.qp_state = IBV_QPS_RTR,
	        .path_mtu = IBV_MTU_1024,
	        .dest_qp_num = h->peer.qp->qp_num,
	        .rq_psn = HARNESS_FIRST_PSN,
	        .ah_attr = end_address(&h->vm, &h->peer, harness_peer_lid())};
	assert_int_equal(
	        ibv_modify_qp(xrc.vm.target, &attr,
	                IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	                        IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER),
	        0);
	expect_it_works(&xrc.peer, &xrc.vm);
	harness_move(h);
	expect_it_works(&xrc.peer, &xrc.vm);
}

static void what_a_destroyed_target_has_received_is_shown(void **state)
{
	struct harness *h = &xrc.h;
	uint32_t qpn = xrc.vm.target->qp_num;

	harness_move(h);
	assert_int_equal(xend_receive(&xrc.vm, 1, 5, 0, BYTES), 0);
	assert_int_equal(xend_send(&xrc.peer, xrc.vm.numbers[1], 6, BYTES), 0);
	assert_int_equal(xend_execute(&xrc.peer, 9, true), 1);
	assert_int_equal(ibv_destroy_qp(xrc.vm.target), 0);
	xrc.vm.target = NULL;
	expect_completion(xrc.vm.cq, 5, qpn);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
}

static void *close_and_open(void *unused)
{
	xrc_close_completions(xrc_domain_of(xrc.vm.domain));
	xrc_open_completions(xrc_domain_of(xrc.vm.domain));
	return NULL;
}

static void await_closed(struct gate *gate)
{
	while (!pthread_mutex_trylock(&gate->lock)) {
		pthread_mutex_unlock(&gate->lock);
		sched_yield();
	}
}

/* As a signal handler does that polls one queue while its thread is inside another. */
static void who_closes_all_queues_gives_way(void **state)
{
	struct gate *first = &completion_queue_of(xrc.h.vm.cq)->gate;
	struct gate *last = &completion_queue_of(xrc.vm.cq)->gate;
	enum gate_pass inside, meanwhile;
	pthread_t thread;

	if (first > last) {
		last = &completion_queue_of(xrc.h.vm.cq)->gate;
		first = &completion_queue_of(xrc.vm.cq)->gate;
	}
	alarm(DEADLOCK_S);
	inside = gate_enter(last);
	pthread_create(&thread, NULL, close_and_open, NULL);
	await_closed(first);
	meanwhile = gate_enter(first);
	gate_leave(first, meanwhile);
	gate_leave(last, inside);
	pthread_join(thread, NULL);
	alarm(0);
	expect_it_works(&xrc.peer, &xrc.vm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, xrc_setup, xrc_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(messages_reach_the_queue_that_they_name),
	        TEST(they_do_after_moves),
	        TEST(built_work_names_its_queue),
	        TEST(what_the_vm_sends_is_executed_once),
	        TEST(what_the_peer_sends_is_executed_once),
	        TEST(release_waits_for_receives_in_all_queues),
	        TEST(numbers_outlive_an_abort),
	        TEST(a_buffer_that_is_flushed_is_posted_again),
	        TEST(a_wrong_number_stays_wrong),
	        TEST(a_number_that_is_taken_is_not_given),
	        TEST(a_queue_made_later_is_served_by_earlier_targets),
	        TEST(a_target_may_be_left_in_rtr),
	        TEST(what_a_destroyed_target_has_received_is_shown),
	        TEST(who_closes_all_queues_gives_way),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
