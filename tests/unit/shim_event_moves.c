/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that sleep until an event comes (shim_sleepers.h), through migration after migration:
 * 200 of them, 10,000 with TETHER_FULL. What is in the fabric goes on in a thread of its own, a
 * message, or an acknowledgement, at a time. The root moves the VM, or changes its mind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

#include "tests/unit/shim_sleepers.h"
#include "tests/unit/shim_unrest.h"

enum { SLEEPERS = 4 };

static struct harness h;
static struct sleeper sleepers[SLEEPERS];
static struct unrest unrest;

/* ---- the fabric ---- */

/* Atomic. Nothing gets through while it is: what was executed stays without an answer. */
static bool fabric_is_blocked;

static void stir(unsigned *seed)
{
	if (!__atomic_load_n(&fabric_is_blocked, __ATOMIC_RELAXED))
		fake_stir(seed);
}

static void block_fabric(bool is_blocked)
{
	__atomic_store_n(&fabric_is_blocked, is_blocked, __ATOMIC_RELAXED);
}

/* ---- the root ---- */

/* False: an atomic is not answered in time, which is short here. */
static bool is_done(Tether__Step number)
{
	if (harness_step(&h, number) == DONE)
		return true;
	assert_string_equal(harness_reason(&h), "atomic-unanswered");
	return false;
}

static bool stops(void)
{
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	if (is_done(TETHER__STEP__STEP_STOP) && is_done(TETHER__STEP__STEP_SETTLE))
		return true;
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	return false;
}

static void stop(unsigned *seed)
{
	bool is_stopped;

	do {
		block_fabric(rand_r(seed) % 2);
		is_stopped = stops();
		block_fabric(false);
	} while (!is_stopped);
}

static void give_up_before_the_vote(void)
{
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	is_done(TETHER__STEP__STEP_STOP);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
}

static void time_passes(struct harness *unused)
{
	static unsigned seed = 4;

	stir(&seed);
	sched_yield();
}

static void describe(void)
{
	for (int i = 0; i < SLEEPERS; i++)
		sleeper_describe(&sleepers[i]);
}

/* ---- the test ---- */

static void report(int moves)
{
	uint64_t arms = 0, events = 0, limits = 0, turns = 0;
	unsigned false_alarms = 0, doubtful = 0;

	for (int i = 0; i < SLEEPERS; i++) {
		for (int cq = 0; cq < SLEEPER_CQS; cq++) {
			arms += sleepers[i].cqs[cq].arms;
			events += sleepers[i].cqs[cq].events;
		}
		for (int flow = 0; flow < SLEEPER_FLOWS; flow++)
			turns += sleepers[i].flows[flow].turns;
		limits += sleepers[i].limits;
		false_alarms += sleepers[i].false_alarms;
		doubtful += sleepers[i].doubtful;
	}
	print_message("# %d migrations, %" PRIu64 " turns, %" PRIu64 " arms, %" PRIu64
	              " events, %" PRIu64 " limits; %u times readable without an event, %u times "
	              "woken for what may have been solicited\n",
	        moves, turns, arms, events, limits, false_alarms, doubtful);
	assert_in_range(doubtful, 0, 1 + moves / 1000);
}

static void check(struct sleeper *sleeper)
{
	unsigned wrong =
	        sleeper->made_up + sleeper->strange_events + sleeper->errors + sleeper->disorders;

	/* This library has atomics signalled that nobody asked for; they come to nothing, but the
	 * device has told of them. */
	if (!sleeper->uses_atomics)
		wrong += sleeper->false_alarms;
	if (wrong)
		sleeper_describe(sleeper);
	assert_int_equal(wrong, 0);
}

static void no_wake_up_is_lost_and_none_is_made_up(void **state)
{
	const int moves = unrest_moves();

	unrest = (struct unrest){.h = &h,
	        .stir = stir,
	        .stop = stop,
	        .give_up_before_the_vote = give_up_before_the_vote,
	        .describe = describe};
	for (int i = 0; i < SLEEPERS; i++)
		for (int flow = 0; flow < SLEEPER_FLOWS; flow++)
			unrest_add_flow(
			        &unrest, sleepers[i].name, flow, &sleepers[i].flows[flow].turns);
	unrest_begin(&unrest);
	sleepers_start(&sleepers[0], &sleepers[1]);
	sleepers_start(&sleepers[2], &sleepers[3]);
	unrest_move(&unrest, moves);
	sleepers_end(&sleepers[0], &sleepers[1]);
	sleepers_end(&sleepers[2], &sleepers[3]);
	unrest_end(&unrest);
	report(moves);
	for (int i = 0; i < SLEEPERS; i++)
		check(&sleepers[i]);
}

static int setup(void **state)
{
	static const struct sleeper kinds[SLEEPERS] = {
	        {.name = "epoll in the VM", .way = SLEEPS_IN_EPOLL},
	        {.name = "blocked at the peer", .way = IS_BLOCKED},
	        {.name = "epoll for edges at the peer",
	                .way = SLEEPS_IN_EPOLL_FOR_EDGES,
	                .uses_atomics = true},
	        {.name = "blocked in the VM", .way = IS_BLOCKED, .uses_atomics = true},
	};

	harness_open(&h);
	h.meanwhile = time_passes;
	for (int i = 0; i < SLEEPERS; i++) {
		sleepers[i] = kinds[i];
		sleepers[i].seed = (unsigned)i + 3;
	}
	sleepers_open(&sleepers[0], &sleepers[1], false);
	sleepers_open(&sleepers[2], &sleepers[3], true);
	return 0;
}

static int teardown(void **state)
{
	harness_close(&h);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                no_wake_up_is_lost_and_none_is_made_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
