/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: a device refuses what a migration gives it in the end, as one that is
 * gone would. It was accepted before, so it is kept, and the device is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/shim_letters.h"
#include "tests/unit/shim_unplanned_ends.h"

static void devices_are_there_after_all(void)
{
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	fake.refuses_work = false;
	for (int i = 0; i < 21; i++, h.now_ms += 100)
		service_looks();
}

static void does_one(struct end *end)
{
	assert_int_equal(end_run(end, 1), 1);
	EXPECT(end, DONE_WELL);
}

static void what_was_kept_is_refused_at_an_abort(void)
{
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	fake.refuses_work = true;
	step(TETHER__STEP__STEP_ABORT);
}

static void what_is_refused_at_an_abort_is_given_again(void **state)
{
	what_was_kept_is_refused_at_an_abort();
	devices_are_there_after_all();
	does_one(&h.vm);
}

static void what_is_refused_at_an_abort_is_done_where_the_vm_is_next(void **state)
{
	what_was_kept_is_refused_at_an_abort();
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	lose_without_a_word();
	fake.refuses_work = false;
	vm_goes_on();
}

static void what_is_refused_for_another_reason_ends(void **state)
{
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	fake.post_fails_at = 0;
	step(TETHER__STEP__STEP_ABORT);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
}

/* A buffer of the peer's shared queue was given back when its queue pair was broken. */
static void what_is_refused_at_the_end_of_a_move_is_given_again(void **state)
{
	assert_int_equal(end_receive(&h.peer, 9, 256, 2 * FAKE_MTU), 0);
	assert_int_equal(end_send(&h.vm, 1, 0, 2 * FAKE_MTU, IBV_SEND_SIGNALED), 0);
	fake_execute_part(real_of(h.vm.qp), 1);
	harness_stop(&h);
	fake.refuses_work = true;
	harness_go_on(&h);
	devices_are_there_after_all();
	does_one(&h.vm);
	harness_expect_one(&h, &h.peer, 9);
}

/* Its own device has refused it, and somebody else's migration ends. */
static void a_datagram_that_was_refused_stays_when_a_move_is_given_up(void **state)
{
	fake.refuses_work = true;
	assert_int_equal(send_letter(&h.peer, 0, IBV_SEND_SIGNALED), 0);
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	step(TETHER__STEP__STEP_ABORT);
	devices_are_there_after_all();
	does_one(&h.peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_is_refused_at_an_abort_is_given_again),
	        TEST(what_is_refused_at_an_abort_is_done_where_the_vm_is_next),
	        TEST(what_is_refused_for_another_reason_ends),
	        SHARED(what_is_refused_at_the_end_of_a_move_is_given_again),
	        DATAGRAMS(a_datagram_that_was_refused_stays_when_a_move_is_given_up),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
