/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: errors that a device gives as it goes are not told, and those that
 * look like that are, once it is known that the device is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "notifier/wire/rows.h"
#include "tests/unit/shim_unplanned_ends.h"

static void vm_posts(void)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
}

static void vm_fails(enum ibv_wc_status status)
{
	fake_fail(real_of(h.vm.qp), status);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

/* ---- a device that goes ---- */

static void what_it_flushes_as_it_goes_is_not_told(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	service_asks(1);
	lose_without_a_word();
	vm_goes_on();
}

static void what_it_cannot_do_as_it_goes_is_not_told(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_LOC_QP_OP_ERR);
	lose_without_a_word();
	vm_goes_on();
}

/* Nobody has polled before. */
static void what_it_could_not_do_before_it_went_is_not_told(void **state)
{
	vm_posts();
	fake_fail(real_of(h.vm.qp), IBV_WC_LOC_QP_OP_ERR);
	lose_without_a_word();
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	vm_goes_on();
}

/* As of rxe, and not even an event. */
static void one_that_answers_no_more_is_noticed_by_it(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	fake.gone = 1;
	service_asks(20);
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_AWAY);
	vm_goes_on();
}

/* ---- one that stays ---- */

static void an_error_is_told_when_the_device_is_there(enum ibv_wc_status first)
{
	vm_posts();
	vm_fails(first);
	service_asks(19);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	service_asks(2);
	EXPECT(&h.vm, first, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(write8(&h.vm, &h.peer, 3), 0);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
	service_asks(100);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void what_it_flushed_is_told_when_it_is_there(void **state)
{
	an_error_is_told_when_the_device_is_there(IBV_WC_WR_FLUSH_ERR);
}

static void what_it_could_not_do_is_told_when_it_is_there(void **state)
{
	an_error_is_told_when_the_device_is_there(IBV_WC_LOC_QP_OP_ERR);
}

/* Its RECVs were flushed before it was said why. Nobody waits for the device then. */
static void an_error_that_has_a_cause_is_told_behind_it(void **state)
{
	vm_posts();
	fake_flush_receives_first(real_of(h.vm.qp));
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	assert_int_equal(end_receive(&h.vm, 10, 256, 64), 0);
	fake_fail(real_of(h.vm.qp), IBV_WC_REM_ACCESS_ERR);
	EXPECT(&h.vm, IBV_WC_REM_ACCESS_ERR, IBV_WC_WR_FLUSH_ERR);
	service_looks();
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h.wc[0].wr_id, 9);
	assert_int_equal(h.wc[1].wr_id, 10);
}

/* Neither a loss of its device nor of its peer, so that it waits for nobody. */
static void a_cause_of_another_kind_is_told_at_once(void **state)
{
	vm_posts();
	fake_flush_receives_first(real_of(h.vm.qp));
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	fake_fail(real_of(h.vm.qp), IBV_WC_RNR_RETRY_EXC_ERR);
	EXPECT(&h.vm, IBV_WC_RNR_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR);
	service_looks();
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
}

static void a_buffer_that_was_given_back_is_posted_again(void **state)
{
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	service_asks(21);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(fake_receives(real_of(h.vm.qp)), 1);
}

/* ---- errors that go on ---- */

/* What its program posts meanwhile is flushed, too. */
static void what_is_posted_meanwhile_keeps_nothing_waiting(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	service_asks(10);
	assert_int_equal(write8(&h.vm, &h.peer, 3), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	service_asks(9);
	assert_int_equal(write8(&h.vm, &h.peer, 4), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	service_asks(2);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR,
	        IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* Of the same context. */
static struct end another, its_peer;

static int setup_two(void **state)
{
	setup(state);
	another = h.vm;
	its_peer = h.peer;
	end_create_qp(&another, &h);
	end_create_qp(&its_peer, &h);
	end_connect(&another, &its_peer, FAKE_LID_PEER);
	end_connect(&its_peer, &another, FAKE_LID_VM);
	return 0;
}

static int teardown_two(void **state)
{
	assert_int_equal(ibv_destroy_qp(another.qp), 0);
	assert_int_equal(ibv_destroy_qp(its_peer.qp), 0);
	return teardown(state);
}

static void another_fails(void)
{
	assert_int_equal(write8(&another, &its_peer, 1), 0);
	fake_fail(real_of(another.qp), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void each_queue_pair_has_its_own_end(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	service_asks(19);
	another_fails();
	service_asks(2);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h.wc[0].qp_num, h.vm.qp->qp_num);
	service_asks(17);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	service_asks(2);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h.wc[0].qp_num, another.qp->qp_num);
}

static void errors_of_another_keep_no_refused_work_waiting(void **state)
{
	fake.refuses_work = true;
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	fake.refuses_work = false;
	service_asks(19);
	another_fails();
	service_asks(2);
	assert_int_equal(end_pending(&h.vm), 1);
	service_asks(100);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
}

/* ---- meanwhile ---- */

static void who_takes_it_to_error_is_told_at_once(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	vm_posts();
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(ibv_modify_qp(h.vm.qp, &attr, IBV_QP_STATE), 0);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	service_asks(21);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void an_abort_tells_nothing_before(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_LOC_QP_OP_ERR);
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	service_asks(21);
	EXPECT(&h.vm, IBV_WC_LOC_QP_OP_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* The device is known to be there while it is stopped. */
static void a_stop_tells_nothing(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_WR_FLUSH_ERR);
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	service_asks(21);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	service_asks(2);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* ---- in a stop ---- */

static void vm_is_stopped(void)
{
	vm_posts();
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
}

/* And nothing comes of the migration. */
static void vm_fails_in_a_stop(enum ibv_wc_status status)
{
	vm_is_stopped();
	vm_fails(status);
	assert_int_equal(write8(&h.vm, &h.peer, 3), 0);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void vm_lost_its_device_in_a_stop(enum ibv_wc_status status)
{
	vm_fails_in_a_stop(status);
	service_asks(5);
	lose_without_a_word();
	recover();
	assert_int_equal(end_run(&h.vm, 3), 3);
	EXPECT(&h.vm, DONE_WELL, DONE_WELL, DONE_WELL);
	assert_int_equal(fake_receives(real_of(h.vm.qp)), 1);
}

static void what_it_flushed_in_a_stop_is_not_told(void **state)
{
	vm_lost_its_device_in_a_stop(IBV_WC_WR_FLUSH_ERR);
}

static void what_it_could_not_do_in_a_stop_is_not_told(void **state)
{
	vm_lost_its_device_in_a_stop(IBV_WC_LOC_QP_OP_ERR);
}

static void an_error_in_a_stop_is_told_when_it_is_there(enum ibv_wc_status status)
{
	vm_fails_in_a_stop(status);
	service_asks(21);
	EXPECT(&h.vm, status, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

static void what_it_flushed_in_a_stop_is_told_when_it_is_there(void **state)
{
	an_error_in_a_stop_is_told_when_it_is_there(IBV_WC_WR_FLUSH_ERR);
}

static void what_it_could_not_do_in_a_stop_is_told_when_it_is_there(void **state)
{
	an_error_in_a_stop_is_told_when_it_is_there(IBV_WC_LOC_QP_OP_ERR);
}

static void receives_that_it_flushed_in_a_stop_are_not_told(void **state)
{
	vm_is_stopped();
	fake_flush_receives_first(real_of(h.vm.qp));
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	lose_without_a_word();
	vm_goes_on();
}

/* No loss explains it. */
static void another_error_in_a_stop_is_told_by_its_abort(void **state)
{
	vm_is_stopped();
	vm_fails(IBV_WC_RNR_RETRY_EXC_ERR);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	EXPECT(&h.vm, IBV_WC_RNR_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* That it has failed, with its vote: nothing of its peer's is replayed. */
static bool vm_has_said_so(void)
{
	const Tether__EvidenceRows *rows = h.settled->evidence;
	size_t count;

	assert_int_equal(evidence_rows_count(rows, &count), 0);
	for (size_t i = 0; i < count; i++) {
		struct evidence_row row = evidence_rows_get(rows, i);

		if (row.local_qpn == h.vm.qp->qp_num && row.local_lid == FAKE_LID_VM)
			return row.flags & TETHER__EVIDENCE_FLAG__EVIDENCE_APPLICATION;
	}
	return false;
}

/* Its device does as SETTLE tells it. */
static void what_it_could_not_do_is_told_by_a_move(void **state)
{
	vm_is_stopped();
	vm_fails(IBV_WC_LOC_QP_OP_ERR);
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	assert_true(vm_has_said_so());
	harness_go_on(&h);
	EXPECT(&h.vm, IBV_WC_LOC_QP_OP_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(end_pending(&h.vm), 0);
	service_asks(100);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

/* Its completion comes late. */
static void what_it_could_not_do_is_told_when_that_is_seen(void **state)
{
	vm_is_stopped();
	fake.hold_failures = true;
	vm_fails(IBV_WC_LOC_QP_OP_ERR);
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	fake_release_flushes();
	harness_go_on(&h);
	EXPECT(&h.vm, IBV_WC_LOC_QP_OP_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* It was doubted before. */
static void what_was_doubted_is_told_by_a_move(void **state)
{
	vm_posts();
	vm_fails(IBV_WC_LOC_QP_OP_ERR);
	harness_move(&h);
	EXPECT(&h.vm, IBV_WC_LOC_QP_OP_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

static void what_a_peer_could_not_do_is_told_by_a_move(void **state)
{
	assert_int_equal(write8(&h.peer, &h.vm, 1), 0);
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	fake_fail(real_of(h.peer.qp), IBV_WC_LOC_QP_OP_ERR);
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(&h);
	EXPECT(&h.peer, IBV_WC_LOC_QP_OP_ERR);
}

/* Not where that is lost before it is released. */
static void what_it_could_not_do_before_it_was_lost_is_not_told(void **state)
{
	vm_is_stopped();
	vm_fails(IBV_WC_LOC_QP_OP_ERR);
	lose_without_a_word();
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_arrive(&h);
	assert_int_equal(end_run(&h.vm, 2), 2);
	EXPECT(&h.vm, DONE_WELL, DONE_WELL);
}

#define TWO(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown_two)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_it_flushes_as_it_goes_is_not_told),
	        SHARED(what_it_flushes_as_it_goes_is_not_told),
	        TEST(what_it_cannot_do_as_it_goes_is_not_told),
	        TEST(what_it_could_not_do_before_it_went_is_not_told),
	        TEST(one_that_answers_no_more_is_noticed_by_it),
	        TEST(what_it_flushed_is_told_when_it_is_there),
	        TEST(what_it_could_not_do_is_told_when_it_is_there),
	        TEST(an_error_that_has_a_cause_is_told_behind_it),
	        TEST(a_cause_of_another_kind_is_told_at_once),
	        SHARED(a_buffer_that_was_given_back_is_posted_again),
	        TEST(what_is_posted_meanwhile_keeps_nothing_waiting),
	        TWO(each_queue_pair_has_its_own_end),
	        TWO(errors_of_another_keep_no_refused_work_waiting),
	        TEST(who_takes_it_to_error_is_told_at_once),
	        TEST(an_abort_tells_nothing_before),
	        TEST(a_stop_tells_nothing),
	        TEST(what_it_flushed_in_a_stop_is_not_told),
	        TEST(what_it_could_not_do_in_a_stop_is_not_told),
	        TEST(what_it_flushed_in_a_stop_is_told_when_it_is_there),
	        TEST(what_it_could_not_do_in_a_stop_is_told_when_it_is_there),
	        TEST(receives_that_it_flushed_in_a_stop_are_not_told),
	        TEST(another_error_in_a_stop_is_told_by_its_abort),
	        TEST(what_it_could_not_do_is_told_by_a_move),
	        TEST(what_it_could_not_do_is_told_when_that_is_seen),
	        TEST(what_was_doubted_is_told_by_a_move),
	        TEST(what_a_peer_could_not_do_is_told_by_a_move),
	        TEST(what_it_could_not_do_before_it_was_lost_is_not_told),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
