/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Both ends of a connection move: a queue pair is in one migration at a time. Whatever another one
 * asks for beside it is refused before anything is held, and the first is not disturbed; when that
 * is over the other one is done, and all work is executed once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_sides.h"

static const Tether__Step road[] = {
        TETHER__STEP__STEP_PREPARE,
        TETHER__STEP__STEP_STOP,
        TETHER__STEP__STEP_SETTLE,
        TETHER__STEP__STEP_RELEASE,
        TETHER__STEP__STEP_ATTACH,
        TETHER__STEP__STEP_RECONNECT,
        TETHER__STEP__STEP_RESUME,
};

enum { ROAD = sizeof(road) / sizeof(road[0]) };

/* Two roots in one: what each has heard is its own, time is not. */
struct both {
	struct harness *h, other;
};

static struct both both_of(struct harness *h, bool peer_first)
{
	static uint64_t others = 1000;
	struct both both = {h, *h};

	both.other.migration = others += 100;
	both.other.answer = both.other.stopped = both.other.settled = both.other.attached = NULL;
	h->moves_peer = peer_first;
	both.other.moves_peer = !peer_first;
	return both;
}

static void both_end(struct both *both)
{
	harness_forget_answers(&both->other);
	both->h->moves_peer = false;
}

static void same_time(struct harness *h, const struct harness *as)
{
	if (h->now_ms < as->now_ms)
		h->now_ms = as->now_ms;
}

static Tether__Outcome step(struct harness *h, Tether__Step what)
{
	/* The VM's device is at another place then; the peer's stays. */
	if (what == TETHER__STEP__STEP_ATTACH && !h->moves_peer)
		fake.slot = (fake.slot + 1) % 4;
	return harness_step(h, what);
}

static void go_to(struct both *both, struct harness *h, unsigned from, unsigned to)
{
	same_time(h, h == both->h ? &both->other : both->h);
	for (unsigned i = from; i < to; i++) {
		Tether__Outcome is = step(h, road[i]);

		if (is != DONE)
			fail_msg("step %d: %d: %s", road[i], is, harness_reason(h));
	}
}

/* Each way has places of its own in both memories: 1 and 2, 3 and 4. */
static uint64_t first_of(int way)
{
	return 1 + 2 * (uint64_t)way;
}

static struct sides way_of(struct harness *h, int way)
{
	return way ? from_peer(h) : from_vm(h);
}

/* Executed and not acknowledged, and not executed, both ways. */
static void leave_work_open(struct harness *h)
{
	for (int i = 0; i < 2; i++) {
		struct sides s = way_of(h, i);

		write8(s, first_of(i), "sent", IBV_SEND_SIGNALED);
		end_run_unacknowledged(s.from, 1);
		strcpy((char *)s.to->memory + 8 * first_of(i), "seen");
		write8(s, first_of(i) + 1, "later", IBV_SEND_SIGNALED);
	}
}

/* It has been executed once. */
static void expect_once(struct harness *h)
{
	for (int i = 0; i < 2; i++) {
		struct sides s = way_of(h, i);

		assert_string_equal(there(s, first_of(i)), "seen");
		assert_int_equal(end_run(s.from, 9), 1);
		assert_string_equal(there(s, first_of(i) + 1), "later");
		assert_int_equal(harness_poll(h, s.from), 2);
		assert_int_equal(h->wc[0].wr_id, first_of(i));
		assert_int_equal(h->wc[1].wr_id, first_of(i) + 1);
		assert_int_equal(h->wc[0].status | h->wc[1].status, IBV_WC_SUCCESS);
	}
	memset(h->vm.memory, 0, 64);
	memset(h->peer.memory, 0, 64);
}

static void expect_refused(struct harness *h, Tether__Step what)
{
	assert_int_equal(harness_step(h, what), REFUSED);
	assert_string_equal(harness_reason(h), "already-moving");
}

/* The first is @at so many steps when the other one asks. */
static void move_both(struct harness *h, bool peer_first, unsigned at)
{
	struct both both = both_of(h, peer_first);

	leave_work_open(h);
	go_to(&both, h, 0, at);
	same_time(&both.other, h);
	if (at > 1 && at < ROAD) {
		expect_refused(&both.other, TETHER__STEP__STEP_PREPARE);
		expect_refused(&both.other, TETHER__STEP__STEP_STOP);
	} else {
		assert_int_equal(harness_step(&both.other, TETHER__STEP__STEP_PREPARE), DONE);
	}
	/* What a root that knows of both does then. */
	harness_expect(&both.other, TETHER__STEP__STEP_ABORT, DONE);
	go_to(&both, h, at, ROAD);
	go_to(&both, &both.other, 0, ROAD);
	expect_once(h);
	both_end(&both);
}

static void wherever_the_first_is_the_other_is_done_after_it(void **state)
{
	for (unsigned at = 0; at <= ROAD; at++)
		for (int peer_first = 0; peer_first < 2; peer_first++)
			move_both(*state, peer_first, at);
}

/* Nothing is held by PREPARE, so it is whose STOP comes first. */
static void of_two_that_are_prepared_the_first_to_stop_has_it(void **state)
{
	struct harness *h = *state;

	for (int peer_first = 0; peer_first < 2; peer_first++) {
		struct both both = both_of(h, peer_first);

		leave_work_open(h);
		go_to(&both, h, 0, 1);
		go_to(&both, &both.other, 0, 2);
		same_time(h, &both.other);
		expect_refused(h, TETHER__STEP__STEP_STOP);
		harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
		go_to(&both, &both.other, 2, ROAD);
		go_to(&both, h, 0, ROAD);
		expect_once(h);
		both_end(&both);
	}
}

/* Aborted after so many steps: before the vote, or mended after it. */
static void abort_at(struct harness *h, unsigned at)
{
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	if (at <= 2)
		return;
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}

static void where_the_first_is_aborted_the_other_is_done(void **state)
{
	struct harness *h = *state;

	for (unsigned at = 1; at <= 3; at++)
		for (int peer_first = 0; peer_first < 2; peer_first++) {
			struct both both = both_of(h, peer_first);

			leave_work_open(h);
			go_to(&both, h, 0, at);
			abort_at(h, at);
			go_to(&both, &both.other, 0, ROAD);
			expect_once(h);
			both_end(&both);
		}
}

/* The requests that the first move has given to the device again are open in the second. */
static void moves_in_a_row_of_both_execute_it_once(void **state)
{
	struct harness *h = *state;
	struct both both = both_of(h, false);

	leave_work_open(h);
	for (int i = 0; i < 6; i++)
		go_to(&both, i % 2 ? &both.other : h, 0, ROAD);
	expect_once(h);
	both_end(&both);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(wherever_the_first_is_the_other_is_done_after_it),
	        TEST(of_two_that_are_prepared_the_first_to_stop_has_it),
	        TEST(where_the_first_is_aborted_the_other_is_done),
	        TEST(moves_in_a_row_of_both_execute_it_once),
	};

	return HARNESS_RUN_ON_EACH_LINK(tests);
}
