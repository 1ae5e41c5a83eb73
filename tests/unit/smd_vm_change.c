/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The table of a VM that gets a VF or gives it up: every pair of state and event, every way out,
 * and what is given back on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sm-side/vm_change.h"

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
#include "sm-side/vm_change_states.def"
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

/* ---- roads ---- */

static struct vm_change begun(bool destroys, bool dynamic)
{
	struct vm_change_intent intent = {
	        .id = 1, .epoch = 7, .destroys = destroys, .dynamic = dynamic, .fabric = true};
	struct vm_change change;

	vm_change_init(&change, &intent, &deadlines_default);
	vm_change_start(&change, 1000);
	return change;
}

static void all_answer(struct vm_change *change)
{
	unsigned awaited = change->awaited;

	for (unsigned party = 1; party <= awaited; party <<= 1)
		if (awaited & party)
			vm_change_answered(change, party, true, 2000);
}

static void assert_road(
        struct vm_change *change, const enum change_state *road, size_t count, const char *outcome)
{
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(change_state_name(change->state), change_state_name(road[i]));
		all_answer(change);
	}
	assert_true(vm_change_ended(change));
	assert_string_equal(vm_change_outcome(change), outcome);
}

#define ROAD(change, outcome, ...)                                                                 \
	do {                                                                                       \
		static const enum change_state road[] = {__VA_ARGS__};                             \
		assert_road(change, road, sizeof(road) / sizeof(*road), outcome);                  \
	} while (0)

static void with_dynamic_lids_routes_come_before_the_link(void **unused)
{
	struct vm_change change = begun(false, true);

	ROAD(&change, "done", CHANGE_CHECKING, CHANGE_NAMING, CHANGE_LEASING, CHANGE_PLANNING,
	        CHANGE_APPLYING, CHANGE_LINKING, CHANGE_UNLEASING, CHANGE_WAKING, CHANGE_ATTACHING);
	change = begun(true, true);
	ROAD(&change, "done", CHANGE_ASKING, CHANGE_DETACHING, CHANGE_END_LEASING, CHANGE_UNLINKING,
	        CHANGE_END_PLANNING, CHANGE_END_APPLYING, CHANGE_END_UNLEASING, CHANGE_FADING);
}

static void a_prepopulated_slot_is_the_hosts_alone(void **unused)
{
	struct vm_change change = begun(false, false);

	ROAD(&change, "done", CHANGE_CHECKING, CHANGE_ATTACHING);
	change = begun(true, false);
	ROAD(&change, "done", CHANGE_DETACHING);
}

/* @done answers are good, the next one is not. */
static struct vm_change failed_after(bool destroys, unsigned done)
{
	struct vm_change change = begun(destroys, true);

	while (done--)
		all_answer(&change);
	vm_change_event(&change, CHANGE_EVENT_TIMEOUT, 3000);
	return change;
}

static void one_that_does_not_come_leaves_nothing(void **unused)
{
	struct vm_change change = failed_after(false, 0);

	assert_string_equal(vm_change_outcome(&change), "refused");
	/* GUIDs alone: the SM has not heard of it. */
	change = failed_after(false, 1);
	ROAD(&change, "failed", CHANGE_UNLINKING);
	change = failed_after(false, 3);
	ROAD(&change, "failed", CHANGE_UNLINKING);
	for (unsigned done = 4; done <= 5; done++) {
		change = failed_after(false, done);
		ROAD(&change, "failed", CHANGE_END_LEASING, CHANGE_UNLINKING, CHANGE_END_PLANNING,
		        CHANGE_END_APPLYING, CHANGE_END_UNLEASING, CHANGE_FADING);
	}
	change = failed_after(false, 8);
	ROAD(&change, "failed", CHANGE_DROPPING, CHANGE_END_LEASING, CHANGE_UNLINKING,
	        CHANGE_END_PLANNING, CHANGE_END_APPLYING, CHANGE_END_UNLEASING, CHANGE_FADING);
}

/* A successor would know of nothing but that it was tried. */
static void what_cannot_be_announced_is_not_begun(void **unused)
{
	for (int kind = 0; kind < 4; kind++) {
		struct vm_change change = begun(kind & 1, kind & 2);

		while (change_phase(change.state) == CHANGE_TRYING)
			all_answer(&change);
		vm_change_event(&change, CHANGE_EVENT_JOURNAL_FAILED, 3000);
		assert_int_equal(change.state, CHANGE_REFUSED);
	}
}

/* Or it would be gone on with from there. */
static void what_has_begun_is_brought_to_an_end_without_the_journal(void **unused)
{
	for (int kind = 0; kind < 4; kind++) {
		for (unsigned states = 1; states < 10; states++) {
			struct vm_change change = begun(kind & 1, kind & 2);

			while (change_phase(change.state) == CHANGE_TRYING)
				all_answer(&change);
			for (unsigned i = 0; i < states; i++)
				all_answer(&change);
			vm_change_event(&change, CHANGE_EVENT_JOURNAL_FAILED, 3000);
			assert_int_not_equal(change.state, CHANGE_REFUSED);
		}
	}
}

static void who_was_recovered_has_begun(void **unused)
{
	struct vm_change change = begun(true, true);

	all_answer(&change);
	vm_change_recover(&change, 4000);
	vm_change_event(&change, CHANGE_EVENT_JOURNAL_FAILED, 5000);
	assert_int_equal(change.state, CHANGE_DETACHING);
}

static void setbacks_are_those_of_one_question(void **unused)
{
	struct vm_change change = begun(true, true);

	all_answer(&change);
	for (unsigned times = 0; times < 15; times++)
		vm_change_answered(&change, PARTY_HOST, false, 3000);
	all_answer(&change);
	assert_int_equal(change.state, CHANGE_END_LEASING);
	for (unsigned times = 0; times < 15; times++)
		vm_change_answered(&change, PARTY_SM, false, 3000);
	assert_int_equal(change.state, CHANGE_END_LEASING);
	all_answer(&change);
	assert_int_equal(change.state, CHANGE_UNLINKING);
}

static void a_vf_that_does_not_leave_stays(void **unused)
{
	struct vm_change change = failed_after(true, 1);

	ROAD(&change, "failed", CHANGE_KEEPING);
}

static void whoever_cannot_give_back_is_asked_often_and_then_named(void **unused)
{
	struct vm_change change = begun(true, true);
	unsigned times = 0;

	all_answer(&change);
	all_answer(&change);
	for (; !vm_change_ended(&change) && times < 1000; times++)
		vm_change_answered(&change, PARTY_SM, false, 3000);
	assert_in_range(times, 10, 100);
	assert_string_equal(vm_change_outcome(&change), "incomplete");
}

static void a_plan_that_is_stale_for_ever_comes_to_an_end(void **unused)
{
	struct vm_change change = begun(false, true);
	unsigned times = 0;

	while (change.state != CHANGE_APPLYING)
		all_answer(&change);
	for (; change.state == CHANGE_APPLYING && times < 1000; times++) {
		vm_change_event(&change, CHANGE_EVENT_STALE, 3000);
		if (change.state == CHANGE_PLANNING)
			all_answer(&change);
	}
	assert_int_equal(change.state, CHANGE_END_LEASING);
}

static void a_successor_takes_back_what_may_have_been_promised(void **unused)
{
	struct vm_change change = begun(false, true);

	while (change.state != CHANGE_LEASING)
		all_answer(&change);
	/* As if APPLYING's record had been lost with the machine. */
	vm_change_recover(&change, 4000);
	vm_change_event(&change, CHANGE_EVENT_TIMEOUT, 5000);
	assert_int_equal(change.state, CHANGE_END_LEASING);
}

static void a_hosts_no_stands_when_the_sm_comes_back(void **unused)
{
	struct vm_change change = begun(false, true);

	vm_change_event(&change, CHANGE_EVENT_SM_LOST, 2000);
	vm_change_answered(&change, PARTY_HOST, false, 2000);
	assert_int_equal(vm_change_event(&change, CHANGE_EVENT_SM_BACK, 2000).parties, PARTY_SM);
	vm_change_answered(&change, PARTY_SM, true, 2000);
	assert_int_equal(change.state, CHANGE_REFUSED);
}

static void who_waits_for_anothers_lease_has_time(void **unused)
{
	struct vm_change change = begun(false, true);

	while (change.state != CHANGE_LEASING)
		all_answer(&change);
	vm_change_time_stop(&change);
	assert_int_equal(vm_change_next_us(&change), change.phase_us);
	assert_false(vm_change_tick(&change, change.phase_us - 1).entered);
	vm_change_time_run(&change, 1000000);
	assert_true(change.timer_us > 1000000);
	assert_true(vm_change_tick(&change, UINT64_MAX).entered);
	assert_string_equal(change.reason, "timeout");
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
	        cmocka_unit_test(with_dynamic_lids_routes_come_before_the_link),
	        cmocka_unit_test(a_prepopulated_slot_is_the_hosts_alone),
	        cmocka_unit_test(one_that_does_not_come_leaves_nothing),
	        cmocka_unit_test(what_cannot_be_announced_is_not_begun),
	        cmocka_unit_test(what_has_begun_is_brought_to_an_end_without_the_journal),
	        cmocka_unit_test(who_was_recovered_has_begun),
	        cmocka_unit_test(setbacks_are_those_of_one_question),
	        cmocka_unit_test(a_vf_that_does_not_leave_stays),
	        cmocka_unit_test(whoever_cannot_give_back_is_asked_often_and_then_named),
	        cmocka_unit_test(a_plan_that_is_stale_for_ever_comes_to_an_end),
	        cmocka_unit_test(a_successor_takes_back_what_may_have_been_promised),
	        cmocka_unit_test(a_hosts_no_stands_when_the_sm_comes_back),
	        cmocka_unit_test(who_waits_for_anothers_lease_has_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
