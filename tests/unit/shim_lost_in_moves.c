/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What becomes of a migration in whichever step a device is taken away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <semaphore.h>
#include <string.h>

#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_lost_ends.h"

static void in_prepare_it_ends_at_stop(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	step(TETHER__STEP__STEP_PREPARE);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	step_fails(TETHER__STEP__STEP_STOP, "device-lost");
	expect_lost(&h.vm);
	step(TETHER__STEP__STEP_ABORT);
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_LOST);
}

/* The VM was given another one, and the root begins again. */
static void it_begins_again_with_the_next_one(void **state)
{
	struct end lost = h.vm, peer = h.peer;

	step(TETHER__STEP__STEP_PREPARE);
	lose_device();
	step_fails(TETHER__STEP__STEP_STOP, "device-lost");
	step(TETHER__STEP__STEP_ABORT);
	fake.slot = 1;
	end_open(&h.vm, FAKE_LID_VM, false);
	end_open(&h.peer, FAKE_LID_PEER, false);
	harness_connect(&h);
	h.migration--;
	h.begun_again++;
	harness_move(&h);
	expect_alive(&h.vm);
	end_close(&lost);
	end_close(&peer);
}

/* What was kept back was never with the device, and is flushed like all else. */
static void in_stop_it_ends_at_settle(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 0, 64);
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	send(2, IBV_SEND_SIGNALED);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 3);
	expect_wc(0, 1, IBV_WC_WR_FLUSH_ERR);
	expect_wc(1, 2, IBV_WC_WR_FLUSH_ERR);
	expect_wc(2, 10, IBV_WC_WR_FLUSH_ERR);
	step_fails(TETHER__STEP__STEP_SETTLE, "device-lost");
	step(TETHER__STEP__STEP_ABORT);
	assert_int_equal(send(3, 0), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_lost(&h.vm);
	expect_alive(&h.peer);
	assert_int_equal(
	        end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_pending(&h.peer), 1);
}

static void before_the_lease_ends_it_is_not_opened(void **state)
{
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	lose_device();
	harness_time_passes(&h, 6000);
	assert_int_equal(send(1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_wc(0, 1, IBV_WC_WR_FLUSH_ERR);
	expect_lost(&h.vm);
}

/* All that settlement needs was read before: the application does not even notice. */
static void behind_the_vote_the_move_goes_on(void **state)
{
	strcpy((char *)h.vm.memory, "exact");
	send(1, IBV_SEND_SIGNALED);
	send(2, IBV_SEND_SIGNALED);
	end_run_unacknowledged(&h.vm, 1);
	end_send(&h.peer, 3, 0, 64, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 256, 64);
	end_run_unacknowledged(&h.peer, 1);
	harness_stop(&h);
	lose_device();
	service_looks();
	step(TETHER__STEP__STEP_RELEASE);
	fake.slot = 1;
	harness_arrive(&h);
	expect_alive(&h.vm);
	assert_int_equal(end_pending(&h.vm), 1);
	assert_int_equal(end_run(&h.vm, 1), 1);
	assert_int_equal(harness_poll(&h, &h.vm), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h.wc[i].status, IBV_WC_SUCCESS);
	harness_expect_one(&h, &h.peer, 3);
}

static void behind_the_vote_an_abort_ends_it(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 0, 64);
	harness_stop(&h);
	lose_device();
	step(TETHER__STEP__STEP_ABORT);
	step(TETHER__STEP__STEP_SETTLE);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	assert_int_not_equal(h.wc[0].status, IBV_WC_SUCCESS);
	expect_wc(1, 10, IBV_WC_WR_FLUSH_ERR);
	expect_lost(&h.vm);
}

static void the_next_one_is_lost_before_resume(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	harness_stop(&h);
	step(TETHER__STEP__STEP_RELEASE);
	fake.slot = 1;
	step(TETHER__STEP__STEP_ATTACH);
	lose_device();
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	assert_int_not_equal(h.wc[0].status, IBV_WC_SUCCESS);
	expect_lost(&h.vm);
}

static void behind_the_vote_the_overall_deadline_ends_it(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	harness_stop(&h);
	lose_device();
	harness_time_passes(&h, 30000);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_lost(&h.vm);
}

/* The VM's queue pair ends with an error, since its other end has no evidence any more. */
static void a_peers_device_is_lost(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.peer, 10, 0, 64);
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	fake.peer_is_gone = true;
	device_tells(&h.peer, IBV_EVENT_DEVICE_FATAL);
	service_looks();
	assert_int_equal(harness_poll(&h, &h.peer), 1);
	expect_lost(&h.peer);
	step(TETHER__STEP__STEP_SETTLE);
	harness_go_on(&h);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_wc(0, 1, IBV_WC_RETRY_EXC_ERR);
	expect_alive(&h.vm);
	assert_int_equal(end_receive(&h.peer, 11, 0, 64), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(in_prepare_it_ends_at_stop),
	        TEST(it_begins_again_with_the_next_one),
	        TEST(in_stop_it_ends_at_settle),
	        TEST(before_the_lease_ends_it_is_not_opened),
	        TEST(behind_the_vote_the_move_goes_on),
	        TEST(behind_the_vote_an_abort_ends_it),
	        TEST(the_next_one_is_lost_before_resume),
	        TEST(behind_the_vote_the_overall_deadline_ends_it),
	        TEST(a_peers_device_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
