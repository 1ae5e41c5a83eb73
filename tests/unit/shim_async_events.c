/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Asynchronous events: what a move causes is nobody's, what is the application's is told once,
 * whichever device knew of it, and limits of shared queues stay armed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"

static struct harness h;

static int setup_with(bool with_srq)
{
	harness_begin(&h, (struct harness){.with_srq = with_srq});
	return 0;
}

static int setup(void **state)
{
	return setup_with(false);
}

static int setup_shared(void **state)
{
	return setup_with(true);
}

static int teardown(void **state)
{
	harness_close(&h);
	assert_int_equal(fake_unread_events(), 0);
	return 0;
}

/* ---- what a program does ---- */

static bool is_readable(const struct end *end)
{
	struct pollfd fd = {.fd = end->context->async_fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static struct ibv_async_event get_event(struct end *end)
{
	struct ibv_async_event event;

	assert_true(is_readable(end));
	assert_int_equal(ibv_get_async_event(end->context, &event), 0);
	return event;
}

static void expect_event(struct end *end, enum ibv_event_type type, const void *element)
{
	struct ibv_async_event event = get_event(end);

	assert_int_equal(event.event_type, type);
	if (element)
		assert_ptr_equal(event.element.qp, element);
	ibv_ack_async_event(&event);
}

static void expect_silence(struct end *end)
{
	int fd = end->context->async_fd;
	struct ibv_async_event event;

	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
	assert_false(is_readable(end));
	errno = 0;
	assert_int_equal(ibv_get_async_event(end->context, &event), -1);
	assert_int_equal(errno, EAGAIN);
}

/* The device tells of one of our objects, or of a port. */
static void device_tells(struct end *end, enum ibv_event_type type)
{
	struct ibv_async_event event = {.element.port_num = 1, .event_type = type};

	if (type == IBV_EVENT_COMM_EST || type == IBV_EVENT_QP_LAST_WQE_REACHED ||
	        type == IBV_EVENT_SQ_DRAINED || type == IBV_EVENT_QP_FATAL)
		event.element.qp = real_of(end->qp);
	if (type == IBV_EVENT_CQ_ERR)
		event.element.cq = completion_queue_of(end->cq)->real;
	fake_async_event(context_of(end->context)->real, event);
}

static void step(Tether__Step step)
{
	harness_expect(&h, step, DONE);
}

static void release(void)
{
	harness_stop(&h);
	step(TETHER__STEP__STEP_RELEASE);
	fake.slot = 1;
}

/* ---- unread before ---- */

static void what_nobody_has_read_is_kept_in_order(void **state)
{
	int descriptor = h.vm.context->async_fd;

	device_tells(&h.vm, IBV_EVENT_COMM_EST);
	device_tells(&h.vm, IBV_EVENT_PKEY_CHANGE);
	device_tells(&h.vm, IBV_EVENT_CQ_ERR);
	harness_move(&h);
	harness_move(&h);
	assert_int_equal(h.vm.context->async_fd, descriptor);
	expect_event(&h.vm, IBV_EVENT_COMM_EST, h.vm.qp);
	expect_event(&h.vm, IBV_EVENT_PKEY_CHANGE, NULL);
	expect_event(&h.vm, IBV_EVENT_CQ_ERR, h.vm.cq);
	expect_silence(&h.vm);
}

static void it_is_read_while_there_is_no_device(void **state)
{
	device_tells(&h.vm, IBV_EVENT_COMM_EST);
	release();
	expect_event(&h.vm, IBV_EVENT_COMM_EST, h.vm.qp);
	expect_silence(&h.vm);
	step(TETHER__STEP__STEP_ATTACH);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	expect_silence(&h.vm);
}

static void aborted_move_leaves_it_where_it_is(void **state)
{
	device_tells(&h.vm, IBV_EVENT_COMM_EST);
	device_tells(&h.peer, IBV_EVENT_COMM_EST);
	harness_stop(&h);
	step(TETHER__STEP__STEP_ABORT);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	expect_event(&h.vm, IBV_EVENT_COMM_EST, h.vm.qp);
	expect_event(&h.peer, IBV_EVENT_COMM_EST, h.peer.qp);
	expect_silence(&h.vm);
	device_tells(&h.vm, IBV_EVENT_PORT_ACTIVE);
	expect_event(&h.vm, IBV_EVENT_PORT_ACTIVE, NULL);
}

static void event_of_a_destroyed_queue_pair_is_dropped(void **state)
{
	device_tells(&h.vm, IBV_EVENT_COMM_EST);
	release();
	assert_true(is_readable(&h.vm));
	assert_int_equal(ibv_destroy_qp(h.vm.qp), 0);
	h.vm.qp = NULL;
	expect_silence(&h.vm);
	step(TETHER__STEP__STEP_ATTACH);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
}

/* ---- what the move causes ---- */

static void what_the_move_causes_is_nobodys(void **state)
{
	static const enum ibv_event_type types[] = {IBV_EVENT_PORT_ERR, IBV_EVENT_PORT_ACTIVE,
	        IBV_EVENT_LID_CHANGE, IBV_EVENT_GID_CHANGE, IBV_EVENT_SM_CHANGE,
	        IBV_EVENT_CLIENT_REREGISTER, IBV_EVENT_COMM_EST, IBV_EVENT_SQ_DRAINED,
	        IBV_EVENT_QP_LAST_WQE_REACHED};

	release();
	expect_silence(&h.vm);
	step(TETHER__STEP__STEP_ATTACH);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		device_tells(&h.vm, types[i]);
	expect_silence(&h.vm);
	step(TETHER__STEP__STEP_RECONNECT);
	device_tells(&h.vm, IBV_EVENT_COMM_EST);
	device_tells(&h.peer, IBV_EVENT_COMM_EST);
	device_tells(&h.peer, IBV_EVENT_SQ_DRAINED);
	step(TETHER__STEP__STEP_RESUME);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
	device_tells(&h.vm, IBV_EVENT_PORT_ERR);
	expect_event(&h.vm, IBV_EVENT_PORT_ERR, NULL);
}

static void lost_device_is_told_once(void **state)
{
	release();
	fake.slot = -1;
	for (int i = 0; i < 2; i++) {
		step(TETHER__STEP__STEP_ERROR);
		if (!i)
			expect_event(&h.vm, IBV_EVENT_DEVICE_FATAL, NULL);
		expect_silence(&h.vm);
		expect_silence(&h.peer);
	}
}

/* The peer's other events are told all the same. */
static void queue_pairs_that_are_broken_tell_nothing(void **state)
{
	harness_stop(&h);
	device_tells(&h.peer, IBV_EVENT_QP_LAST_WQE_REACHED);
	device_tells(&h.peer, IBV_EVENT_PKEY_CHANGE);
	expect_event(&h.peer, IBV_EVENT_PKEY_CHANGE, NULL);
	expect_silence(&h.peer);
	harness_go_on(&h);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
}

static void last_wqe_of_the_application_is_told_once(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	assert_int_equal(ibv_modify_qp(h.vm.qp, &attr, IBV_QP_STATE), 0);
	harness_move(&h);
	expect_event(&h.vm, IBV_EVENT_QP_LAST_WQE_REACHED, h.vm.qp);
	harness_move(&h);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
}

/* It goes to ERR where it has no device, and the next one tells again. */
static void last_wqe_of_one_without_a_device_is_told(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	release();
	assert_int_equal(ibv_modify_qp(h.vm.qp, &attr, IBV_QP_STATE), 0);
	step(TETHER__STEP__STEP_ATTACH);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	expect_event(&h.vm, IBV_EVENT_QP_LAST_WQE_REACHED, h.vm.qp);
	expect_silence(&h.vm);
}

static void last_wqe_of_one_that_ends_is_told(void **state)
{
	harness_stop(&h);
	step(TETHER__STEP__STEP_RELEASE);
	step(TETHER__STEP__STEP_ERROR);
	expect_event(&h.vm, IBV_EVENT_DEVICE_FATAL, NULL);
	expect_event(&h.vm, IBV_EVENT_QP_LAST_WQE_REACHED, h.vm.qp);
	expect_event(&h.peer, IBV_EVENT_QP_LAST_WQE_REACHED, h.peer.qp);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
}

/* ---- limits ---- */

enum { LIMIT = 2, POSTED = 4 };

static void set_limit(struct end *end, uint32_t limit)
{
	struct ibv_srq_attr attr = {.srq_limit = limit};

	assert_int_equal(ibv_modify_srq(end->srq, &attr, IBV_SRQ_LIMIT), 0);
}

static uint32_t limit_of(struct end *end)
{
	struct ibv_srq_attr attr;

	assert_int_equal(ibv_query_srq(end->srq, &attr), 0);
	return attr.srq_limit;
}

static void give_receives(struct end *end, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(end_receive(end, 1, 0, 64), 0);
}

static void send_messages(struct end *from, struct end *to, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(end_send(from, 1, 0, 64, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_execute(real_of(from->qp), count, true), count);
	assert_int_equal(harness_poll(&h, from), count);
	assert_true(harness_poll(&h, to) >= (int)count);
}

static void limit_stays_armed(void **state)
{
	struct end *ends[] = {&h.vm, &h.peer};

	for (int i = 0; i < 2; i++) {
		give_receives(ends[i], POSTED);
		set_limit(ends[i], LIMIT);
	}
	harness_move(&h);
	for (int i = 0; i < 2; i++) {
		expect_silence(ends[i]);
		assert_int_equal(limit_of(ends[i]), LIMIT);
		send_messages(ends[!i], ends[i], POSTED - LIMIT);
		expect_silence(ends[i]);
		send_messages(ends[!i], ends[i], 1);
		expect_event(ends[i], IBV_EVENT_SRQ_LIMIT_REACHED, ends[i]->srq);
		assert_int_equal(limit_of(ends[i]), 0);
	}
	harness_move(&h);
	for (int i = 0; i < 2; i++) {
		send_messages(ends[!i], ends[i], 1);
		expect_silence(ends[i]);
	}
}

static void limit_that_nobody_has_read_of_is_told_once(void **state)
{
	give_receives(&h.vm, POSTED);
	set_limit(&h.vm, LIMIT);
	send_messages(&h.peer, &h.vm, POSTED - 1);
	harness_move(&h);
	expect_event(&h.vm, IBV_EVENT_SRQ_LIMIT_REACHED, h.vm.srq);
	expect_silence(&h.vm);
	/* Armed again while the event of before was unread: that was another one. */
	give_receives(&h.vm, POSTED);
	set_limit(&h.vm, LIMIT);
	send_messages(&h.peer, &h.vm, POSTED);
	give_receives(&h.vm, POSTED);
	set_limit(&h.vm, LIMIT);
	harness_move(&h);
	expect_event(&h.vm, IBV_EVENT_SRQ_LIMIT_REACHED, h.vm.srq);
	expect_silence(&h.vm);
	assert_int_equal(limit_of(&h.vm), LIMIT);
	send_messages(&h.peer, &h.vm, POSTED);
	expect_event(&h.vm, IBV_EVENT_SRQ_LIMIT_REACHED, h.vm.srq);
}

static void limit_is_armed_where_there_is_no_device(void **state)
{
	give_receives(&h.vm, POSTED);
	release();
	set_limit(&h.vm, LIMIT);
	assert_int_equal(limit_of(&h.vm), LIMIT);
	step(TETHER__STEP__STEP_ATTACH);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	expect_silence(&h.vm);
	send_messages(&h.peer, &h.vm, POSTED - LIMIT + 1);
	expect_event(&h.vm, IBV_EVENT_SRQ_LIMIT_REACHED, h.vm.srq);
}

/* One that was not met when the device went, and is when the next comes. */
static void limit_above_what_is_posted_is_told_at_once(void **state)
{
	release();
	set_limit(&h.vm, LIMIT);
	step(TETHER__STEP__STEP_ATTACH);
	expect_event(&h.vm, IBV_EVENT_SRQ_LIMIT_REACHED, h.vm.srq);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	expect_silence(&h.vm);
	assert_int_equal(limit_of(&h.vm), 0);
}

static void limit_reached_before_resume_is_told(void **state)
{
	give_receives(&h.vm, POSTED);
	set_limit(&h.vm, LIMIT);
	for (int i = 0; i < POSTED; i++)
		assert_int_equal(end_send(&h.peer, 1, 0, 64, IBV_SEND_SIGNALED), 0);
	release();
	step(TETHER__STEP__STEP_ATTACH);
	step(TETHER__STEP__STEP_RECONNECT);
	fake.automatic = true;
	step(TETHER__STEP__STEP_RESUME);
	expect_event(&h.vm, IBV_EVENT_SRQ_LIMIT_REACHED, h.vm.srq);
	expect_silence(&h.vm);
}

/* ---- acknowledgement ---- */

static void *destroy_qp(void *qp)
{
	return (void *)(intptr_t)ibv_destroy_qp(qp);
}

static void destroying_waits_for_acknowledgement_from_before_the_move(void **state)
{
	struct ibv_async_event event;
	struct watched thread;

	device_tells(&h.vm, IBV_EVENT_COMM_EST);
	event = get_event(&h.vm);
	harness_move(&h);
	watched_start(&thread, destroy_qp, h.vm.qp);
	assert_false(watched_ends_at_once(&thread));
	ibv_ack_async_event(&event);
	assert_null(watched_join(&thread)); /* no error */
	h.vm.qp = NULL;
}

static void *await_one(void *got)
{
	if (ibv_get_async_event(h.vm.context, got))
		return NULL;
	ibv_ack_async_event(got);
	return got;
}

static void who_is_blocked_holds_nothing_up_and_is_woken(void **state)
{
	struct ibv_async_event got;
	struct watched thread;

	watched_start(&thread, await_one, &got);
	assert_false(watched_ends_at_once(&thread));
	harness_move(&h);
	device_tells(&h.vm, IBV_EVENT_PKEY_CHANGE);
	assert_ptr_equal(watched_join(&thread), &got);
	assert_int_equal(got.event_type, IBV_EVENT_PKEY_CHANGE);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SHARED(name) cmocka_unit_test_setup_teardown(name, setup_shared, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_nobody_has_read_is_kept_in_order),
	        TEST(it_is_read_while_there_is_no_device),
	        TEST(aborted_move_leaves_it_where_it_is),
	        TEST(event_of_a_destroyed_queue_pair_is_dropped),
	        TEST(what_the_move_causes_is_nobodys),
	        TEST(lost_device_is_told_once),
	        SHARED(queue_pairs_that_are_broken_tell_nothing),
	        SHARED(last_wqe_of_the_application_is_told_once),
	        SHARED(last_wqe_of_one_without_a_device_is_told),
	        SHARED(last_wqe_of_one_that_ends_is_told),
	        SHARED(limit_stays_armed),
	        SHARED(limit_that_nobody_has_read_of_is_told_once),
	        SHARED(limit_is_armed_where_there_is_no_device),
	        SHARED(limit_above_what_is_posted_is_told_at_once),
	        SHARED(limit_reached_before_resume_is_told),
	        TEST(destroying_waits_for_acknowledgement_from_before_the_move),
	        TEST(who_is_blocked_holds_nothing_up_and_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
