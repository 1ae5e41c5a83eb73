/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The table of a migration: every pair of state and event, and every way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sm-side/migration/migration.h"

static void every_pair_is_moved_ignored_or_refused(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		for (int e = 0; e < EVENT_COUNT; e++) {
			struct migration_move move = migration_lookup(s, e);

			if (move.verdict == VERDICT_MISSING)
				fail_msg("%s has no row for %s", migration_state_name(s),
				        migration_event_name(e));
			if (move.verdict != VERDICT_MOVE)
				assert_true(move.why && *move.why);
		}
	}
}

static void no_pair_has_two_moves(void **unused)
{
	static int seen[STATE_COUNT][EVENT_COUNT];

#define MOVE(from, event, to, how) seen[STATE_##from][EVENT_##event]++;
#include "sm-side/migration/migration_states.def"
	for (int s = 0; s < STATE_COUNT; s++) {
		for (int e = 0; e < EVENT_COUNT; e++)
			assert_true(seen[s][e] <= 1);
	}
}

static bool is_way_out(enum migration_event event)
{
	return event == EVENT_DONE || event == EVENT_FAILED || event == EVENT_TIMEOUT ||
	       event == EVENT_BROKEN;
}

/* Depth-first: coming back to a state on the way is a circle, so an end might never be reached. */
static void walk(enum migration_state state, bool *on_the_way, bool *finished)
{
	if (finished[state])
		return;
	if (on_the_way[state])
		fail_msg("a circle through %s", migration_state_name(state));
	on_the_way[state] = true;
	for (int e = 0; e < EVENT_COUNT; e++) {
		struct migration_move move = migration_lookup(state, e);

		/* The timer runs on while it is tried again. */
		if (move.how == HOW_RETRY)
			continue;
		if (is_way_out(e) && move.verdict == VERDICT_MOVE && move.to != STATE_REENTERED)
			walk(move.to, on_the_way, finished);
	}
	for (int f = FACT_ANYWHERE; state == STATE_LOOKING_THERE && f < FACT_COUNT; f++)
		walk(migration_reenter(state, f), on_the_way, finished);
	on_the_way[state] = false;
	finished[state] = true;
}

static void every_failure_leads_to_an_end(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		bool on_the_way[STATE_COUNT] = {false}, finished[STATE_COUNT] = {false};

		walk(s, on_the_way, finished);
		if (migration_phase(s) == PHASE_ENDED)
			continue;
		/* No state waits for ever, and none ignores that somebody could not. */
		assert_int_equal(migration_lookup(s, EVENT_TIMEOUT).verdict, VERDICT_MOVE);
		assert_int_not_equal(migration_lookup(s, EVENT_TIMEOUT).to, s);
		if (s != STATE_RECOVERING)
			assert_int_equal(migration_lookup(s, EVENT_FAILED).verdict, VERDICT_MOVE);
	}
}

static void nothing_outside_the_shims_changes_before_the_commit(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		enum migration_action action = migration_state_action(s);

		if (migration_phase(s) != PHASE_TRYING && migration_phase(s) != PHASE_LEAVING)
			continue;
		if (action != ACTION_LOCATE && action != ACTION_PREPARE)
			assert_int_equal(migration_action_parties(action), PARTY_TREE);
	}
}

static void assert_is_not_aborted(enum migration_state state)
{
	assert_int_not_equal(migration_phase(state), PHASE_TRYING);
	assert_int_not_equal(migration_phase(state), PHASE_LEAVING);
	assert_int_not_equal(state, STATE_ABORTED);
	assert_int_not_equal(state, STATE_REFUSED);
}

static void committed_is_never_aborted(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		enum migration_phase phase = migration_phase(s);

		if (phase != PHASE_FORWARD && phase != PHASE_BACK)
			continue;
		assert_string_equal(migration_lookup(s, EVENT_ABORT_ASKED).why, "too-late");
		for (int e = 0; e < EVENT_COUNT; e++) {
			struct migration_move move = migration_lookup(s, e);

			if (move.verdict != VERDICT_MOVE)
				continue;
			/* Without its record there is no commit. */
			if (s == STATE_RELEASING && e == EVENT_JOURNAL_FAILED) {
				assert_int_equal(move.to, STATE_MENDING_SETTLING);
				continue;
			}
			if (move.to != STATE_REENTERED)
				assert_is_not_aborted(move.to);
			for (int f = 0; move.to == STATE_REENTERED && f < FACT_COUNT; f++)
				assert_is_not_aborted(migration_reenter(s, f));
		}
	}
}

/* Of a journal without a commit: where does a VM that was stopped go on? @otherwise: it is where it
 * was with its VF, or nobody knows better. */
static enum migration_state without_commit(enum migration_fact fact, enum migration_state otherwise)
{
	switch (fact) {
	case FACT_AT_SOURCE_WITHOUT_VF:
		return STATE_BACK_GIVING;
	case FACT_AT_DESTINATION:
	case FACT_AT_DESTINATION_WITHOUT_VF:
		return STATE_LEASING_AGAIN;
	default:
		return otherwise;
	}
}

/* Whose other end is broken must not be reopened by a plain ABORT. */
static void after_the_vote_nothing_is_plainly_aborted(void **unused)
{
	for (int e = 0; e < EVENT_COUNT; e++) {
		struct migration_move move = migration_lookup(STATE_SETTLING, e);

		assert_true(move.verdict != VERDICT_MOVE || move.to == STATE_RELEASING ||
		            move.to == STATE_MENDING_STOPPING);
		move = migration_lookup(STATE_MENDING_STOPPING, e);
		assert_true(move.verdict != VERDICT_MOVE || e == EVENT_DONE ||
		            move.to == STATE_MENDING_SETTLING);
	}
}

/* Who was not asked for longer than its lease has gone on alone, and has no vote until then. */
static void whoever_is_asked_again_for_its_vote_was_stopped_again(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		for (int e = 0; e < EVENT_COUNT; e++) {
			struct migration_move move = migration_lookup(s, e);

			if (move.verdict != VERDICT_MOVE || move.to != STATE_MENDING_SETTLING)
				continue;
			assert_true(migration_state_action(s) == ACTION_STOP ||
			            s == STATE_ABORTING || s == STATE_RELEASING);
		}
		for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++)
			assert_int_not_equal(migration_reenter(s, f), STATE_MENDING_SETTLING);
	}
	for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++)
		assert_int_equal(migration_reenter(STATE_SETTLING, f),
		        without_commit(f, STATE_MENDING_STOPPING));
}

static void the_commit_is_the_only_way_forward_and_is_durable(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		if (migration_phase(s) != PHASE_TRYING && migration_phase(s) != PHASE_LEAVING)
			continue;
		for (int e = 0; e < EVENT_COUNT; e++) {
			struct migration_move move = migration_lookup(s, e);

			if (move.verdict != VERDICT_MOVE ||
			        migration_phase(move.to) != PHASE_FORWARD)
				continue;
			assert_int_equal(s, STATE_SETTLING);
			assert_int_equal(e, EVENT_DONE);
			assert_int_equal(move.to, STATE_RELEASING);
		}
	}
	assert_true(migration_state_durable(STATE_RELEASING));
	assert_true(migration_state_durable(STATE_APPLYING));
}

static bool was_stopped(enum migration_state state)
{
	return state != STATE_LOCATING && state != STATE_PREPARING && state != STATE_DROPPING;
}

/* Where the machine dies, a successor that does not know of it would wait for processes whose
 * device has gone, or leave them where they are not. */
static void what_moves_a_vm_or_its_vf_is_on_disk_before(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		switch (migration_state_action(s)) {
		case ACTION_DETACH:
		case ACTION_MOVE_MEMORY:
		case ACTION_ATTACH_VF:
		case ACTION_MOVE_MEMORY_BACK:
		case ACTION_GIVE_BACK:
			assert_true(migration_state_durable(s));
			break;
		default:
			break;
		}
	}
}

static void a_stopped_vm_that_is_elsewhere_is_not_aborted(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		enum migration_phase phase = migration_phase(s);

		if (phase != PHASE_TRYING && phase != PHASE_LEAVING)
			continue;
		for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++) {
			enum migration_state to = migration_reenter(s, f);

			if (was_stopped(s))
				assert_int_equal(to, without_commit(f, to));
			if (!was_stopped(s) || without_commit(f, STATE_COUNT) == STATE_COUNT)
				assert_int_equal(migration_phase(to), PHASE_LEAVING);
		}
	}
}

static void each_state_has_its_way_back_after_a_restart(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		enum migration_phase phase = migration_phase(s);

		if (phase == PHASE_ENDED || phase == PHASE_RECOVERY)
			continue;
		for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++) {
			enum migration_state to = migration_reenter(s, f);

			assert_int_not_equal(to, STATE_COUNT);
			if (phase == PHASE_TRYING || phase == PHASE_LEAVING)
				assert_true(migration_phase(to) == PHASE_LEAVING ||
				            (was_stopped(s) && to == without_commit(f, to)));
			else if (s != STATE_LOOKING_THERE)
				assert_int_equal(migration_phase(to), phase);
		}
	}
}

/* Two owners of a GUID are bad, none is worse: a sweep would drop the VM's port. */
static void a_slot_is_vacated_only_when_the_other_has_the_guids(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		for (int e = 0; e < EVENT_COUNT; e++) {
			struct migration_move move = migration_lookup(s, e);

			if (move.verdict != VERDICT_MOVE || (int)move.to == s)
				continue;
			if (move.to == STATE_VACATING)
				assert_true(s == STATE_NAMING && e == EVENT_DONE);
			if (move.to == STATE_BACK_VACATING)
				assert_true(s == STATE_BACK_NAMING && e == EVENT_DONE);
			if (move.to == STATE_REVACATING)
				assert_true(s == STATE_RENAMING && e == EVENT_DONE);
			if (move.to == STATE_BACK_REVACATING)
				assert_true(s == STATE_BACK_RENAMING && e == EVENT_DONE);
		}
	}
}

static bool sets_guids(enum migration_state state)
{
	switch (migration_state_action(state)) {
	case ACTION_NAME_DESTINATION:
	case ACTION_NAME_SOURCE:
	case ACTION_NAME_SOURCE_BACK:
	case ACTION_NAME_DESTINATION_BACK:
		return true;
	default:
		return false;
	}
}

/* The SM, which meets one GUID at two places, gives no lease; so both are set right without it. */
static void a_restart_asks_for_no_lease_before_the_guids_are_set_right(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		bool back = migration_phase(s) == PHASE_BACK;

		for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++) {
			enum migration_state to = migration_reenter(s, f);

			/* They go on to no lease. */
			if (s == STATE_STAY_NAMING || s == STATE_STAY_VACATING)
				assert_int_equal(to, STATE_STAY_NAMING);
			else if (sets_guids(s) ||
			         (f == FACT_SHOWN_TWICE && migration_reenter_asks(s, f)))
				assert_int_equal(to, back ? STATE_BACK_RENAMING : STATE_RENAMING);
			else
				assert_true(to == STATE_COUNT || !sets_guids(to));
		}
	}
	assert_int_equal(migration_lookup(STATE_RENAMING, EVENT_DONE).to, STATE_REVACATING);
	assert_int_equal(migration_lookup(STATE_REVACATING, EVENT_DONE).to, STATE_LEASING_AGAIN);
	assert_int_equal(
	        migration_lookup(STATE_BACK_RENAMING, EVENT_DONE).to, STATE_BACK_REVACATING);
	assert_int_equal(
	        migration_lookup(STATE_BACK_REVACATING, EVENT_DONE).to, STATE_BACK_LEASING);
}

/* Who has failed to set GUIDs, or to hand them back, asks for the lease again: of what he left the
 * inventories know. */
static void where_a_lease_is_asked_for_the_inventories_are_looked_at(void **unused)
{
	static const enum migration_state states[] = {
	        STATE_LEASING, STATE_LEASING_AGAIN, STATE_BACK_LEASING, STATE_BACK_UNDOING};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		assert_true(migration_reenter_asks(states[i], FACT_SHOWN_TWICE));
}

/* Of two that are up with one GUID neither would be found. Where the host that has the one is not
 * heard, the other comes up at last, so that the VM has a port. */
static void a_link_comes_up_only_behind_the_other(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		for (int e = 0; e < EVENT_COUNT; e++) {
			struct migration_move move = migration_lookup(s, e);

			if (move.verdict != VERDICT_MOVE || (int)move.to == s)
				continue;
			if (move.to == STATE_LINKING)
				assert_true(s == STATE_VACATING && e == EVENT_DONE);
			if (move.to == STATE_BACK_LINKING)
				assert_true(s == STATE_BACK_VACATING &&
				            (e == EVENT_DONE || (e == EVENT_TIMEOUT &&
				                                        move.how == HOW_GIVE_UP)));
		}
	}
}

static void names_are_read_back(void **unused)
{
	enum migration_state state;

	for (int s = 0; s < STATE_COUNT; s++) {
		assert_int_equal(migration_state_parse(migration_state_name(s), &state), 0);
		assert_int_equal(state, s);
	}
	assert_string_equal(migration_state_name(STATE_FAILED_AT_SOURCE), "failed-at-source");
	assert_int_equal(migration_state_parse("nowhere", &state), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_pair_is_moved_ignored_or_refused),
	        cmocka_unit_test(no_pair_has_two_moves),
	        cmocka_unit_test(every_failure_leads_to_an_end),
	        cmocka_unit_test(nothing_outside_the_shims_changes_before_the_commit),
	        cmocka_unit_test(committed_is_never_aborted),
	        cmocka_unit_test(after_the_vote_nothing_is_plainly_aborted),
	        cmocka_unit_test(whoever_is_asked_again_for_its_vote_was_stopped_again),
	        cmocka_unit_test(the_commit_is_the_only_way_forward_and_is_durable),
	        cmocka_unit_test(what_moves_a_vm_or_its_vf_is_on_disk_before),
	        cmocka_unit_test(a_stopped_vm_that_is_elsewhere_is_not_aborted),
	        cmocka_unit_test(each_state_has_its_way_back_after_a_restart),
	        cmocka_unit_test(a_slot_is_vacated_only_when_the_other_has_the_guids),
	        cmocka_unit_test(a_restart_asks_for_no_lease_before_the_guids_are_set_right),
	        cmocka_unit_test(where_a_lease_is_asked_for_the_inventories_are_looked_at),
	        cmocka_unit_test(a_link_comes_up_only_behind_the_other),
	        cmocka_unit_test(names_are_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
