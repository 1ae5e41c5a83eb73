/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Buffers of a shared receive queue that stays while the other end moves: each completes once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/objects.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_harness.h"

enum { LONG_BYTES = 2 * FAKE_MTU };

/* The peer has two buffers, of which a message has taken one when half of it is there. */
static void begin_a_message(struct harness *h)
{
	assert_int_equal(end_receive(&h->peer, 50, 0, LONG_BYTES), 0);
	assert_int_equal(end_receive(&h->peer, 51, LONG_BYTES, LONG_BYTES), 0);
	assert_int_equal(end_send(&h->vm, 1, 0, LONG_BYTES, IBV_SEND_SIGNALED), 0);
	fake_execute_part(real_of(h->vm.qp), 1);
}

/* Both buffers are there once: the message that was begun and another one find them. */
static void expect_both_buffers(struct harness *h)
{
	uint64_t ids = 0;

	assert_int_equal(fake_receives(real_of(h->peer.qp)), 2);
	assert_int_equal(end_send(&h->vm, 2, 0, LONG_BYTES, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 2);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(h->wc[i].status, IBV_WC_SUCCESS);
		ids += h->wc[i].wr_id;
	}
	assert_int_equal(ids, 50 + 51);
	assert_int_equal(fake_receives(real_of(h->peer.qp)), 0);
}

static void a_buffer_that_is_flushed_in_time_is_posted_again(void **state)
{
	struct harness *h = *state;

	begin_a_message(h);
	harness_move(h);
	expect_both_buffers(h);
}

static void a_buffer_that_is_flushed_before_resume_is_posted_again(void **state)
{
	struct harness *h = *state;

	fake.reset_purges = false;
	fake.hold_flushes = true;
	begin_a_message(h);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	fake_release_flushes();
	assert_int_equal(harness_poll(h, &h->peer), 0);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	expect_both_buffers(h);
}

static void a_buffer_that_is_flushed_after_resume_is_posted_again_and_not_shown(void **state)
{
	struct harness *h = *state;

	fake.reset_purges = false;
	fake.hold_flushes = true;
	begin_a_message(h);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(h->peer.qp)), 1);
	fake_release_flushes();
	assert_int_equal(harness_poll(h, &h->peer), 0);
	expect_both_buffers(h);
	harness_move(h);
}

/* The VM's own queue is made again with all that is open: what comes late of the old one is of
 * nobody. */
static void a_buffer_of_the_vm_is_there_once(void **state)
{
	struct harness *h = *state;

	assert_int_equal(end_receive(&h->vm, 50, 0, LONG_BYTES), 0);
	assert_int_equal(end_send(&h->peer, 1, 0, LONG_BYTES, IBV_SEND_SIGNALED), 0);
	fake_execute_part(real_of(h->peer.qp), 1);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), 1);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 50);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

/* By the device, after the move: this one is the application's. */
static void a_flush_of_a_queue_pair_that_fails_is_shown(void **state)
{
	struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};
	struct harness *h = *state;

	harness_move(h);
	begin_a_message(h);
	assert_int_equal(below.ibv_modify_qp(real_of(h->peer.qp), &error, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].wr_id, 50);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(fake_receives(real_of(h->peer.qp)), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup_srq, harness_teardown)

int main(void)
{
	/* There the device stays with its connection, or with its windows. */
	const struct CMUnitTest of_who_stays[] = {
	        TEST(a_buffer_that_is_flushed_after_resume_is_posted_again_and_not_shown),
	};
	const struct CMUnitTest tests[] = {
	        TEST(a_buffer_that_is_flushed_in_time_is_posted_again),
	        TEST(a_buffer_that_is_flushed_before_resume_is_posted_again),
	        TEST(a_buffer_of_the_vm_is_there_once),
	        TEST(a_flush_of_a_queue_pair_that_fails_is_shown),
	};

	return cmocka_run_group_tests(of_who_stays, NULL, NULL) +
	       HARNESS_RUN_WHEREVER_ENDS_ARE(tests);
}
