/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A child that goes on with what it inherited: it waits for nobody, and its events are its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>

#include "preload/async_events.h"
#include "preload/objects.h"
#include "preload/queue_pair.h"
#include "tests/unit/shim_child.h"

static int modify_to_reset(struct harness *h)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};

	return ibv_modify_qp(h->vm.qp, &reset, IBV_QP_STATE);
}

static int modify_both_to_reset(struct harness *h)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
	int err = ibv_modify_qp(h->peer.qp, &reset, IBV_QP_STATE);

	return err ? err : modify_to_reset(h);
}

static int write_and_execute(struct harness *h)
{
	int err = harness_write(h, 1);

	return err ? err : fake_execute(real_of(h->vm.qp), 9, true) != 1;
}

static void who_is_forked_behind_a_stop_waits_for_no_resume(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(in_child(h, write_and_execute), 0);
	assert_int_equal(in_child(h, modify_both_to_reset), 0);
}

static int post_and_be_flushed(struct harness *h)
{
	int err = harness_write(h, 1);

	if (err)
		return err;
	return harness_poll(h, &h->vm) != 1 || h->wc[0].status != IBV_WC_WR_FLUSH_ERR;
}

static void who_is_forked_without_a_device_does_not_wait_for_one(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(in_child(h, modify_to_reset), ENODEV);
	assert_int_equal(in_child(h, post_and_be_flushed), 0);
}

/* The service thread is in the middle of a step. */
static void who_is_forked_while_a_queue_is_closed_finds_it_open(void **state)
{
	struct harness *h = *state;
	struct queue_pair *qp = queue_pair_of(h->vm.qp);

	queue_pair_close(qp);
	pthread_mutex_lock(&qp->context->lists_lock);
	assert_int_equal(in_child(h, write_and_execute), 0);
	assert_int_equal(in_child(h, modify_to_reset), 0);
	pthread_mutex_unlock(&qp->context->lists_lock);
	queue_pair_open(qp);
}

/* ---- its events and the parent's ---- */

static bool is_readable(int descriptor)
{
	struct pollfd fd = {.fd = descriptor, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static int get_event(struct harness *h)
{
	struct ibv_cq *cq;
	void *context;

	if (!is_readable(h->vm.channel->fd))
		return 1;
	if (ibv_get_cq_event(h->vm.channel, &cq, &context))
		return 2;
	ibv_ack_cq_events(cq, 1);
	return is_readable(h->vm.channel->fd) ? 3 : 0;
}

static int be_flushed_and_told(struct harness *h)
{
	int err = post_and_be_flushed(h);

	return err ? err : get_event(h);
}

static void flush_in_a_child_wakes_the_child_alone(void **state)
{
	struct harness *h = *state;

	assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(in_child(h, post_and_be_flushed), 0);
	assert_false(is_readable(h->vm.channel->fd));
	assert_int_equal(in_child(h, be_flushed_and_told), 0);
	assert_false(is_readable(h->vm.channel->fd));
}

static int destroy_queues(struct harness *h)
{
	int err = ibv_destroy_qp(h->vm.qp);

	return err ? err : ibv_destroy_cq(h->vm.cq);
}

/* One is read already, since the queue was armed again: the bell stands for it. */
static void queues_destroyed_in_a_child_leave_the_parent_its_events(void **state)
{
	struct harness *h = *state;
	struct ibv_async_event event = {.event_type = IBV_EVENT_QP_FATAL, .element.qp = h->vm.qp};

	assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, true), 1);
	assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
	async_events_raise(context_of(h->vm.context), &event);
	assert_int_equal(in_child(h, get_event), 0);
	assert_int_equal(in_child(h, destroy_queues), 0);
	assert_int_equal(get_event(h), 0);
	assert_true(is_readable(h->vm.context->async_fd));
	assert_int_equal(ibv_get_async_event(h->vm.context, &event), 0);
	ibv_ack_async_event(&event);
	assert_int_equal(harness_poll(h, &h->vm), 1);
}

/* ---- what other threads were in ---- */

static int enter_what_another_thread_was_in(struct harness *h)
{
	struct gate *poll_gate = &completion_queue_of(h->vm.cq)->poll_gate;
	struct gate *build_gate = &queue_pair_of(h->vm.qp)->build_gate;

	gate_leave(poll_gate, gate_enter(poll_gate));
	gate_leave(build_gate, gate_enter(build_gate));
	return 0;
}

static void who_is_forked_while_another_thread_polls_or_builds_may_do_so(void **state)
{
	struct harness *h = *state;
	struct gate *poll_gate = &completion_queue_of(h->vm.cq)->poll_gate;
	struct gate *build_gate = &queue_pair_of(h->vm.qp)->build_gate;

	gate_close(poll_gate);
	gate_close(build_gate);
	assert_int_equal(in_child(h, enter_what_another_thread_was_in), 0);
	gate_open(build_gate);
	gate_open(poll_gate);
}

static int is_still_inside(struct harness *h)
{
	return gate_enter(&queue_pair_of(h->vm.qp)->build_gate) != GATE_NESTED;
}

static void who_forks_while_it_builds_goes_on_building(void **state)
{
	struct harness *h = *state;
	struct gate *build_gate = &queue_pair_of(h->vm.qp)->build_gate;
	enum gate_pass pass = gate_enter(build_gate);

	assert_int_equal(pass, GATE_OWNED);
	assert_int_equal(in_child(h, is_still_inside), 0);
	gate_leave(build_gate, pass);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
#define TEST_CHANNEL(name)                                                                         \
	cmocka_unit_test_setup_teardown(name, harness_setup_channel, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(who_is_forked_behind_a_stop_waits_for_no_resume),
	        TEST(who_is_forked_without_a_device_does_not_wait_for_one),
	        TEST(who_is_forked_while_a_queue_is_closed_finds_it_open),
	        TEST_CHANNEL(flush_in_a_child_wakes_the_child_alone),
	        TEST_CHANNEL(queues_destroyed_in_a_child_leave_the_parent_its_events),
	        TEST(who_is_forked_while_another_thread_polls_or_builds_may_do_so),
	        TEST(who_forks_while_it_builds_goes_on_building),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
