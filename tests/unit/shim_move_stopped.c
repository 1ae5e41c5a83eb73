/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an application may do while its work is stopped, and its device away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_sides.h"

BOTH_WAYS(sends_are_kept_while_stopped_and_go_out_afterwards)
{
	harness_stop(h);
	assert_int_equal(write8(s, 1, "kept", IBV_SEND_SIGNALED), 0);
	harness_go_on(h);
	assert_int_equal(end_run(s.from, 9), 1);
	assert_string_equal(there(s, 1), "kept");
	harness_expect_one(h, s.from, 1);
}

BOTH_WAYS(a_stopped_queue_fills_as_a_queue_does)
{
	harness_stop(h);
	for (int i = 0; i < HARNESS_DEPTH; i++)
		assert_int_equal(write8(s, 1, "kept", 0), 0);
	assert_int_equal(write8(s, 1, "kept", 0), ENOMEM);
	harness_go_on(h);
	assert_int_equal(end_run(s.from, 99), HARNESS_DEPTH);
	assert_int_equal(write8(s, 1, "last", IBV_SEND_SIGNALED), ENOMEM); /* none was signalled */
}

BOTH_WAYS(receives_are_open_while_senders_drain)
{
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	end_receive(s.to, 50, 256, 8);
	assert_int_equal(end_run(s.from, 1), 1);
	harness_expect_one(h, s.to, 50);
	harness_expect_one(h, s.from, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	assert_int_equal(end_pending(s.from), 0);
}

static void receives_posted_without_a_device_are_there_afterwards(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	for (int i = 0; i < HARNESS_DEPTH; i++)
		assert_int_equal(end_receive(&h->vm, 50, 256, 8), 0);
	assert_int_equal(end_receive(&h->vm, 50, 256, 8), ENOMEM);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	fake.slot = 1;
	harness_step(h, TETHER__STEP__STEP_ATTACH);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), HARNESS_DEPTH);
	harness_step(h, TETHER__STEP__STEP_RECONNECT);
	harness_step(h, TETHER__STEP__STEP_RESUME);
}

static void everything_real_is_gone_before_the_device_may_go(void **state)
{
	struct harness *h = *state;
	unsigned before = fake.live_objects;

	harness_stop(h);
	harness_step(h, TETHER__STEP__STEP_RELEASE);
	assert_int_equal(fake.live_objects, before - 5); /* context, pd, mr, cq, qp */
	harness_go_on(h);
	assert_int_equal(fake.live_objects, before);
}

static void the_application_can_ask_while_the_device_is_away(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr init;
	struct ibv_port_attr port;
	struct ibv_qp_attr attr;
	union ibv_gid gid;

	harness_stop(h);
	harness_step(h, TETHER__STEP__STEP_RELEASE);
	assert_int_equal(___ibv_query_port(h->vm.context, 1, &port), 0);
	assert_int_equal(port.lid, FAKE_LID_VM);
	assert_int_equal(port.state, IBV_PORT_ACTIVE);
	assert_int_equal(ibv_query_gid(h->vm.context, 1, 0, &gid), 0);
	assert_int_equal(ibv_query_qp(h->vm.qp, &attr, IBV_QP_STATE, &init), 0);
	assert_int_equal(attr.qp_state, IBV_QPS_RTS);
	harness_go_on(h);
}

static long times_gone_to_sleep(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* Else the pollers of a VM take the CPUs from what brings the device back. */
static void who_polls_without_a_device_lets_others_run(void **state)
{
	const int polls = 640;
	struct harness *h = *state;
	long before;

	harness_stop(h);
	harness_step(h, TETHER__STEP__STEP_RELEASE);
	before = times_gone_to_sleep();
	for (int i = 0; i < polls; i++)
		assert_int_equal(ibv_poll_cq(h->vm.cq, 1, h->wc), 0);
	assert_true(times_gone_to_sleep() - before >= polls / 64);
	harness_go_on(h);
}

#define EITHER(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EITHER(sends_are_kept_while_stopped_and_go_out_afterwards),
	        EITHER(a_stopped_queue_fills_as_a_queue_does),
	        EITHER(receives_are_open_while_senders_drain),
	        EITHER(receives_posted_without_a_device_are_there_afterwards),
	        EITHER(everything_real_is_gone_before_the_device_may_go),
	        EITHER(the_application_can_ask_while_the_device_is_away),
	        EITHER(who_polls_without_a_device_lets_others_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
