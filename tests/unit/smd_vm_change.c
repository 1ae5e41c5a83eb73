/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The table of a VM that gets a VF or gives it up: every pair of state and event, every way out,
 * and what is given back on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sm-side/vm_change/vm_change.h"

static void every_pair_is_moved_or_ignored(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		for (int e = 0; e < CHANGE_EVENT_COUNT; e++) {
			struct change_move move = change_lookup(s, e);

			if (move.verdict == CHANGE_MISSING)
				fail_msg("%s has no row for event %d", change_state_name(s), e);
			if (move.verdict == CHANGE_IGNORES)
				assert_true(move.why && *move.why);
		}
	}
}

static void no_pair_has_two_moves(void **unused)
{
	static int seen[CHANGE_STATE_COUNT][CHANGE_EVENT_COUNT];

#define MOVE(from, event, to, how) seen[CHANGE_##from][CHANGE_EVENT_##event]++;
#include "sm-side/vm_change/vm_change_states.def"
	for (int s = 0; s < CHANGE_STATE_COUNT; s++)
		for (int e = 0; e < CHANGE_EVENT_COUNT; e++)
			assert_true(seen[s][e] <= 1);
}

static bool goes(enum change_state state, enum change_event event)
{
	struct change_move move = change_lookup(state, event);

	return move.verdict == CHANGE_MOVES && move.how == HOW_GO;
}

/* When the phase's time is over, nothing else comes first where it leads on. */
static bool is_way_out(enum change_state state, enum change_event event)
{
	return goes(state, event) &&
	       (event == CHANGE_EVENT_OVERALL || !goes(state, CHANGE_EVENT_OVERALL));
}

/* Depth-first: coming back to a state on the way is a circle, so an end might never be reached. */
static void walk(enum change_state state, bool *on_the_way, bool *finished)
{
	if (finished[state])
		return;
	if (on_the_way[state])
		fail_msg("a circle through %s", change_state_name(state));
	on_the_way[state] = true;
	for (int e = 0; e < CHANGE_EVENT_COUNT; e++) {
		if (is_way_out(state, e))
			walk(change_lookup(state, e).to, on_the_way, finished);
	}
	on_the_way[state] = false;
	finished[state] = true;
}

/* Who waits for others' leases is not timed meanwhile. */
static bool may_be_untimed(enum change_state state)
{
	enum change_action action = change_state_action(state);

	return action == CHANGE_ACTION_LEASE || action == CHANGE_ACTION_LOCATE ||
	       action == CHANGE_ACTION_LOCATE_GONE;
}

static void every_failure_leads_to_an_end(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		bool on_the_way[CHANGE_STATE_COUNT] = {false},
		     finished[CHANGE_STATE_COUNT] = {false};

		walk(s, on_the_way, finished);
		if (change_phase(s) == CHANGE_ENDED)
			continue;
		assert_true(goes(s, CHANGE_EVENT_DONE));
		assert_int_equal(change_lookup(s, CHANGE_EVENT_TIMEOUT).verdict, CHANGE_MOVES);
		assert_int_equal(change_lookup(s, CHANGE_EVENT_FAILED).verdict, CHANGE_MOVES);
		if (!goes(s, CHANGE_EVENT_TIMEOUT) || may_be_untimed(s))
			assert_true(goes(s, CHANGE_EVENT_OVERALL));
		if (change_lookup(s, CHANGE_EVENT_FAILED).how == HOW_RETRY)
			assert_true(goes(s, CHANGE_EVENT_HOPELESS));
	}
}

/* A phase that is left is not come back to, so the time of each is given once. */
static void no_phase_is_entered_twice(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++)
		for (int e = 0; e < CHANGE_EVENT_COUNT; e++)
			assert_true(change_phase(change_lookup(s, e).to) >= change_phase(s));
}

static void an_sm_that_goes_away_is_waited_for_or_not_needed(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		struct change_move lost = change_lookup(s, CHANGE_EVENT_SM_LOST);

		if (!(change_action_parties(change_state_action(s)) & PARTY_SM))
			continue;
		assert_int_equal(lost.verdict, CHANGE_MOVES);
		if (lost.how == HOW_WAIT)
			assert_int_equal(
			        change_lookup(s, CHANGE_EVENT_SM_BACK).verdict, CHANGE_MOVES);
	}
}

static void nothing_changes_while_it_is_tried(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		enum change_action action = change_state_action(s);

		if (change_phase(s) != CHANGE_TRYING)
			continue;
		assert_true(action == CHANGE_ACTION_CHECK_CREATE ||
		            action == CHANGE_ACTION_CHECK_DESTROY);
		assert_int_equal(change_lookup(s, CHANGE_EVENT_FAILED).to, CHANGE_REFUSED);
		assert_int_equal(change_lookup(s, CHANGE_EVENT_TIMEOUT).to, CHANGE_REFUSED);
		assert_int_equal(change_lookup(s, CHANGE_EVENT_JOURNAL_FAILED).to, CHANGE_REFUSED);
	}
}

/* The SM is told to forget what it has been told, or the end says that it was not. */
static void what_was_promised_is_taken_back(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		for (int e = 0; e < CHANGE_EVENT_COUNT; e++) {
			struct change_move move = change_lookup(s, e);

			if (change_phase(s) == CHANGE_TRYING || move.verdict != CHANGE_MOVES)
				continue;
			if (e == CHANGE_EVENT_UNBEGUN)
				continue;
			assert_int_not_equal(move.to, CHANGE_REFUSED);
			if (move.to == CHANGE_ABSENT)
				assert_int_equal(s, CHANGE_FADING);
			if (move.to == CHANGE_FADING)
				assert_true(s == CHANGE_END_UNLEASING || s == CHANGE_FADING);
			if (move.to == CHANGE_END_UNLEASING)
				assert_true(s == CHANGE_END_APPLYING || s == CHANGE_END_PLANNING ||
				            s == CHANGE_END_UNLEASING);
		}
	}
}

static void whatever_was_journalled_is_gone_on_with(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		enum change_state to = change_reenter(s), parsed;

		assert_int_equal(change_state_parse(change_state_name(s), &parsed), 0);
		assert_int_equal(parsed, s);
		if (change_phase(s) == CHANGE_ENDED) {
			assert_int_equal(to, CHANGE_STATE_COUNT);
			continue;
		}
		assert_int_not_equal(to, CHANGE_STATE_COUNT);
		assert_true(to == CHANGE_REFUSED || change_phase(to) == change_phase(s));
		/* A new lease and a new plan; they are not in the journal. */
		assert_int_not_equal(to, CHANGE_APPLYING);
		assert_int_not_equal(to, CHANGE_END_APPLYING);
	}
}

/* ---- nobody answers ---- */

static struct vm_change in_state(enum change_state state, bool destroys)
{
	struct vm_change_intent intent = {
	        .id = 1, .epoch = 7, .destroys = destroys, .dynamic = true, .fabric = true};
	struct vm_change change;

	vm_change_init(&change, &intent, &deadlines_default);
	vm_change_start(&change, 1);
	/* As its predecessor left it, but for REENTER, which has its own test. */
	change.touched = true;
	change.state = state;
	change.timer_us = 0;
	change.phase_us = 1 + (uint64_t)deadlines_default.change_ms * 1000;
	vm_change_time_run(&change, 1);
	return change;
}

/* Whoever may be kept waiting for others is, for ever. */
static void ends_alone(struct vm_change change)
{
	uint64_t phases_us = 2 * (uint64_t)deadlines_default.change_ms * 1000, now_us = 1;

	while (!vm_change_ended(&change)) {
		if (may_be_untimed(change.state))
			vm_change_time_stop(&change);
		assert_int_not_equal(vm_change_next_us(&change), 0);
		now_us = vm_change_next_us(&change);
		assert_in_range(now_us, 1, 2 * phases_us);
		vm_change_tick(&change, now_us);
	}
}

static void whoever_hears_nothing_comes_to_an_end(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		if (change_phase(s) == CHANGE_ENDED)
			continue;
		ends_alone(in_state(s, false));
		ends_alone(in_state(s, true));
	}
}

/* Nor is the lease thought to be his for longer than one step: what he waits for he waits for
 * without it, and without a place among those that may be at a time where it is his host. */
static void whoever_hears_nothing_does_not_keep_the_lease(void **unused)
{
	for (int s = 0; s < CHANGE_STATE_COUNT; s++) {
		struct vm_change change = in_state(s, false);

		if (!vm_change_is_under_lease(&change))
			continue;
		vm_change_tick(&change, vm_change_next_us(&change));
		assert_false(vm_change_is_under_lease(&change));
		for (int step = 0; step < 1000 && !vm_change_ended(&change); step++) {
			vm_change_tick(&change, vm_change_next_us(&change));
			assert_false(vm_change_is_under_lease(&change));
		}
	}
}

static void whoever_waits_for_his_host_has_no_place(void **unused)
{
	struct vm_change change = in_state(CHANGE_UNLINKING, true);

	assert_true(vm_change_has_place(&change));
	vm_change_tick(&change, vm_change_next_us(&change));
	for (int step = 0; step < 5; step++) {
		assert_int_equal(change.state, CHANGE_AWAITING);
		assert_false(vm_change_has_place(&change));
		vm_change_tick(&change, vm_change_next_us(&change));
	}
	vm_change_answered(&change, PARTY_HOST, true, 5000);
	assert_int_equal(change.state, CHANGE_END_LEASING);
	assert_true(vm_change_has_place(&change));
}

static void who_never_had_the_lease_is_not_under_it(void **unused)
{
	struct vm_change change = in_state(CHANGE_NAMING, false);

	change.touched = false;
	vm_change_event(&change, CHANGE_EVENT_FAILED, 2);
	assert_int_equal(change.state, CHANGE_UNLINKING);
	assert_false(vm_change_is_under_lease(&change));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_pair_is_moved_or_ignored),
	        cmocka_unit_test(no_pair_has_two_moves),
	        cmocka_unit_test(every_failure_leads_to_an_end),
	        cmocka_unit_test(no_phase_is_entered_twice),
	        cmocka_unit_test(whoever_hears_nothing_comes_to_an_end),
	        cmocka_unit_test(whoever_hears_nothing_does_not_keep_the_lease),
	        cmocka_unit_test(whoever_waits_for_his_host_has_no_place),
	        cmocka_unit_test(who_never_had_the_lease_is_not_under_it),
	        cmocka_unit_test(an_sm_that_goes_away_is_waited_for_or_not_needed),
	        cmocka_unit_test(nothing_changes_while_it_is_tried),
	        cmocka_unit_test(what_was_promised_is_taken_back),
	        cmocka_unit_test(whatever_was_journalled_is_gone_on_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
