/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The table of a migration: every pair, every way out, and the roads that matter from start to end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"
#include "sm-side/migration.h"
#include "sm-side/orders.h"

static const struct deadlines *const deadlines = &deadlines_default;

static struct migration_intent intent_of(bool fabric)
{
	return (struct migration_intent){.id = 7,
	        .epoch = 3,
	        .vm = "vm1",
	        .source = {.host = "hyp1", .slot = "vf1"},
	        .destination = {.host = "hyp2", .slot = "vf2"},
	        .address = {.lid = 11},
	        .fabric = fabric};
}

/* ---- the table ---- */

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
#include "sm-side/migration_states.def"
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
		            move.to == STATE_MENDING_SETTLING);
	}
	for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++)
		assert_int_equal(migration_reenter(STATE_SETTLING, f),
		        without_commit(f, STATE_MENDING_SETTLING));
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

/* ---- roads ---- */

struct road {
	const char *what;
	bool fabric;
	const char *events; /* one word each */
	const char *states; /* entered, from LOCATING on */
};

static const struct {
	const char *word;
	enum migration_event event;
} words[] = {
        {"done", EVENT_DONE},
        {"failed", EVENT_FAILED},
        {"broken", EVENT_BROKEN},
        {"busy", EVENT_BUSY},
        {"already", EVENT_ALREADY},
        {"stale", EVENT_STALE},
        {"timeout", EVENT_TIMEOUT},
        {"overall", EVENT_OVERALL},
        {"abort", EVENT_ABORT_ASKED},
        {"lost", EVENT_AGENT_LOST},
        {"smlost", EVENT_SM_LOST},
        {"smback", EVENT_SM_BACK},
        {"disk", EVENT_JOURNAL_FAILED},
};

static enum migration_event event_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(words[i].word, word))
			return words[i].event;
	}
	fail_msg("no event %s", word);
	return EVENT_COUNT;
}

static void append_state(char *text, size_t size, enum migration_state state)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s", used ? " " : "", migration_state_name(state));
}

static void road_walk(struct migration *m, const char *events, char *states, size_t size)
{
	char copy[512], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", events);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		enum migration_state before = m->state;

		migration_event(m, event_of(w), 1000);
		if (m->state != before)
			append_state(states, size, m->state);
	}
}

#define TO_COMMIT  "locating preparing stopping settling releasing"
#define TO_MOVING  TO_COMMIT " detaching moving"
#define TO_APPLY   TO_MOVING " leasing naming vacating applying"
#define BACK_HOSTS "back-moving back-giving back-rebuilding back-reconnecting back-resuming"
#define BACK_FROM_VACATING                                                                         \
	"back-vacating back-undoing back-unleasing " BACK_HOSTS " failed-at-source"
#define BACK_FULL "back-leasing back-naming " BACK_FROM_VACATING

static const struct road roads[] = {
        {"the good road", true,
                "done done done done done done done done done done done done done done done done",
                TO_APPLY " unleasing attaching rebuilding reconnecting resuming done"},
        {"without an SM its states are stepped over", false,
                "done done done done done done done done done done",
                "preparing stopping settling releasing detaching moving attaching rebuilding "
                "reconnecting resuming done"},
        {"a veto changes nothing", true, "done failed done", "locating preparing dropping refused"},
        {"a VM that the SM does not know", true, "failed", "locating refused"},
        {"abort while it is being located", true, "abort", "locating aborted"},
        {"abort while it is being prepared", true, "done abort done",
                "locating preparing aborting aborted"},
        {"STOP not done by all", true, "done done failed done",
                "locating preparing stopping aborting aborted"},
        {"nobody answers anything", true, "done done timeout timeout timeout",
                "locating preparing stopping restopping aborting aborted"},
        {"abort asked while gates close: first, what did that break?", true,
                "done done abort done done",
                "locating preparing stopping restopping aborting aborted"},
        {"abort asked while gates close, and QPs are broken", true,
                "done done abort broken done done done",
                "locating preparing stopping restopping mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"the vote fails: those who have voted have broken their QPs", true,
                "done done done failed done done done",
                "locating preparing stopping settling mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"abort asked between STOP and the commit", true, "done done done abort done done done",
                "locating preparing stopping settling mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"broken QPs are connected again", true, "done done broken done done done",
                "locating preparing stopping mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"broken QPs come to light with the abort", true, "done done failed broken done done done",
                "locating preparing stopping aborting mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"the disk is full before the commit", true, "done done disk done",
                "locating preparing stopping aborting aborted"},
        {"the disk is full before the vote", true, "done done done disk done done done",
                "locating preparing stopping settling mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"an agent is not there for the commit", true, "done done lost done lost done done done",
                "locating preparing stopping settling mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"abort after the commit is too late", true, "done done done done abort done",
                TO_COMMIT " detaching"},
        {"a process does not release", true, "done done done done failed done done done",
                TO_COMMIT " back-rebuilding back-reconnecting back-resuming failed-at-source"},
        {"detach fails", true, "done done done done done failed done done done done",
                TO_COMMIT " detaching back-giving back-rebuilding back-reconnecting back-resuming "
                          "failed-at-source"},
        {"the memory does not move", true,
                "done done done done done done failed done done done done done done",
                TO_MOVING " looking looking-there back-giving back-rebuilding back-reconnecting "
                          "back-resuming "
                          "failed-at-source"},
        {"the SM gives no lease", true,
                "done done done done done done done busy timeout busy timeout done done done done "
                "done done done done",
                TO_MOVING " leasing back-leasing back-unleasing " BACK_HOSTS " failed-at-source"},
        {"the SM is another one when it is asked to undo: it is held first", true,
                "done done done done done done done done done done done done failed done done done "
                "smlost smback done done done done done done done done done done",
                TO_APPLY " unleasing attaching back-leasing back-naming back-vacating "
                         "back-undoing back-leasing " BACK_FROM_VACATING},
        {"the destination's GUIDs cannot be set: a sweep may have seen them all the same", true,
                "done done done done done done done done failed done done done done done done done "
                "done "
                "done done",
                TO_MOVING " leasing naming back-leasing " BACK_FROM_VACATING},
        {"the source does not take its GUIDs back: the destination keeps them and the VM", true,
                "done done done done done done done done done failed done failed failed timeout "
                "done done failed done",
                TO_MOVING " leasing naming vacating back-leasing back-naming stay-applying "
                          "stay-unleasing staying lost"},
        {"the source takes its GUIDs back at last", true,
                "done done done done done done done done done failed done failed failed done "
                "done done done done done done done done",
                TO_MOVING " leasing naming vacating " BACK_FULL},
        {"the destination does not give its GUIDs back: the source has them", true,
                "done done done done done done done done done failed done done failed timeout "
                "failed done done done",
                TO_MOVING " leasing naming vacating back-leasing back-naming back-vacating "
                          "back-undoing back-unleasing back-moving back-giving lost"},
        {"an SM that is another one asks nobody for GUIDs that are there", true,
                "done done done done done done done done done done failed done done done smlost "
                "smback done done",
                TO_APPLY " back-leasing back-naming back-vacating back-undoing back-leasing "
                         "back-vacating back-undoing"},
        {"apply fails", true,
                "done done done done done done done done done done failed done done done done done "
                "done done done done done",
                TO_APPLY " " BACK_FULL},
        {"a stale plan is made anew", true,
                "done done done done done done done done done done stale done done done",
                TO_APPLY " replanning applying unleasing attaching"},
        {"a sweep has made the move before the plan was applied", true,
                "done done done done done done done done done done stale already done done",
                TO_APPLY " replanning confirming unleasing attaching"},
        {"a sweep has made the move and changed the LID: errors, but the VM gets its VF", true,
                "done done done done done done done done done done stale already failed done done",
                TO_APPLY " replanning confirming unleasing attaching lost"},
        {"the SM dies while it applies and comes back", true,
                "done done done done done done done done done done smlost smback done done done "
                "stale done done",
                TO_APPLY " leasing-again naming vacating applying replanning applying unleasing"},
        {"the SM comes back and gives no lease: GUIDs that were exchanged go back", true,
                "done done done done done done done done done done smlost smback failed done done "
                "done done done done done done done done",
                TO_APPLY
                " leasing-again back-naming back-vacating back-undoing back-unleasing " BACK_HOSTS
                " failed-at-source"},
        {"the SM dies while it applies and stays away", true,
                "done done done done done done done done done done smlost timeout smlost done done "
                "timeout timeout done done",
                TO_APPLY " back-leasing back-naming back-vacating back-undoing back-unleasing "
                         "back-moving back-giving lost"},
        {"attach fails", true,
                "done done done done done done done done done done done done failed done done done "
                "done done done done done done done",
                TO_APPLY " unleasing attaching " BACK_FULL},
        {"nobody rebuilds", true,
                "done done done done done done done done done done done done done failed done",
                TO_APPLY " unleasing attaching rebuilding erroring lost"},
        {"the overall deadline passes while hosts work: the VM still gets a VF", true,
                "done done done done done done overall done done done done done done done",
                TO_APPLY " unleasing attaching lost"},
        {"the overall deadline passes at RECONNECT", true,
                "done done done done done done done done done done done done done done overall "
                "timeout",
                TO_APPLY " unleasing attaching rebuilding reconnecting erroring lost"},
        {"the source cannot give the VF back", true,
                "done done done done done failed failed failed timeout done",
                TO_COMMIT " detaching back-giving erroring lost"},
};

static void roads_lead_where_they_should(void **unused)
{
	for (size_t i = 0; i < ARRAY_SIZE(roads); i++) {
		struct migration_intent intent = intent_of(roads[i].fabric);
		struct migration m;
		char states[1024] = "";

		migration_init(&m, &intent, deadlines);
		migration_start(&m, 1);
		append_state(states, sizeof(states), m.state);
		road_walk(&m, roads[i].events, states, sizeof(states));
		if (strcmp(states, roads[i].states))
			fail_msg("%s:\n  went %s\n  not  %s", roads[i].what, states,
			        roads[i].states);
		migration_clear(&m);
	}
}

/* Kill tether-smd with @at as the last record; everything works afterwards. */
static enum migration_state end_after_crash(enum migration_state at, enum migration_fact fact)
{
	struct migration_intent intent = intent_of(true);
	enum migration_state end;
	struct migration m;
	int steps = 0;

	migration_init(&m, &intent, deadlines);
	migration_recover(&m, at, false, deadlines->overall_ms, 1);
	m.fact = fact;
	while (!migration_ended(&m) && steps++ < STATE_COUNT)
		migration_event(&m, EVENT_DONE, 2);
	end = m.state;
	assert_true(migration_ended(&m));
	migration_clear(&m);
	return end;
}

static void a_crash_before_the_commit_ends_aborted(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		enum migration_phase phase = migration_phase(s);

		if (phase != PHASE_TRYING && phase != PHASE_LEAVING)
			continue;
		assert_int_equal(end_after_crash(s, FACT_AT_SOURCE),
		        s == STATE_DROPPING ? STATE_REFUSED : STATE_ABORTED);
	}
}

static bool is_beyond_saving(enum migration_state state)
{
	return state == STATE_ERRORING || state == STATE_STAY_APPLYING ||
	       state == STATE_STAY_UNLEASING || state == STATE_STAYING;
}

static void a_crash_after_the_commit_is_driven_to_its_end(void **unused)
{
	for (int s = 0; s < STATE_COUNT; s++) {
		for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++) {
			/* Those who were looked at know nothing of the VM. */
			if (s == STATE_LOOKING || s == STATE_LOOKING_THERE)
				assert_int_equal(end_after_crash(s, f), STATE_FAILED_AT_SOURCE);
			else if (migration_phase(s) == PHASE_FORWARD)
				assert_int_equal(end_after_crash(s, f), STATE_DONE);
			if (migration_phase(s) == PHASE_BACK)
				assert_int_equal(end_after_crash(s, f),
				        is_beyond_saving(s) ? STATE_LOST : STATE_FAILED_AT_SOURCE);
		}
	}
}

static void who_has_the_memory_is_looked_at(void **unused)
{
	for (int f = FACT_ANYWHERE; f < FACT_COUNT; f++) {
		bool there = f == FACT_AT_DESTINATION || f == FACT_AT_DESTINATION_WITHOUT_VF;
		struct migration_intent intent = intent_of(true);
		struct migration m;

		migration_init(&m, &intent, deadlines);
		migration_start(&m, 1);
		while (m.state != STATE_MOVING)
			migration_event(&m, EVENT_DONE, 1);
		migration_event(&m, EVENT_TIMEOUT, 2);
		assert_int_equal(m.state, STATE_LOOKING);
		migration_event(&m, EVENT_DONE, 3);
		m.fact = f;
		migration_event(&m, EVENT_DONE, 3);
		assert_int_equal(m.state, there ? STATE_LEASING : STATE_BACK_GIVING);
		migration_clear(&m);
	}
}

static void given_up_survives_the_crash(void **unused)
{
	struct migration_intent intent = intent_of(true);
	struct migration m;

	migration_init(&m, &intent, deadlines);
	migration_recover(&m, STATE_ATTACHING, true, 0, 1);
	m.fact = FACT_AT_DESTINATION_WITHOUT_VF;
	migration_event(&m, EVENT_DONE, 2);
	assert_int_equal(m.state, STATE_ATTACHING);
	migration_event(&m, EVENT_DONE, 3);
	assert_int_equal(m.state, STATE_LOST);
	migration_clear(&m);
}

/* ---- time ---- */

static void each_step_has_its_own_deadline(void **unused)
{
	struct migration_intent intent = intent_of(true);
	uint64_t now = 1000000;
	struct migration m;

	migration_init(&m, &intent, deadlines);
	migration_start(&m, now);
	assert_int_equal(migration_next_us(&m), now + deadlines->plan_ms * 1000);
	migration_event(&m, EVENT_DONE, now);
	migration_event(&m, EVENT_DONE, now += 5000);
	assert_int_equal(m.state, STATE_STOPPING);
	assert_int_equal(m.overall_us, now + deadlines->overall_ms * 1000);
	assert_int_equal(migration_next_us(&m), now + deadlines->stop_ms * 1000);
	migration_tick(&m, now + deadlines->stop_ms * 1000 - 1);
	assert_int_equal(m.state, STATE_STOPPING);
	migration_tick(&m, now + deadlines->stop_ms * 1000);
	assert_int_equal(m.state, STATE_RESTOPPING);
	migration_clear(&m);
}

static void plans_that_are_always_stale_end_in_time(void **unused)
{
	struct migration_intent intent = intent_of(true);
	uint64_t now = 1, begun;
	struct migration m;

	migration_init(&m, &intent, deadlines);
	migration_start(&m, now);
	while (m.state != STATE_APPLYING)
		migration_event(&m, EVENT_DONE, now);
	for (begun = now; m.state == STATE_APPLYING || m.state == STATE_REPLANNING; now += 100000) {
		migration_tick(&m, now);
		if (m.state == STATE_APPLYING)
			migration_event(&m, EVENT_STALE, now);
		else if (m.state == STATE_REPLANNING)
			migration_event(&m, EVENT_DONE, now);
		assert_true(now <= begun + (deadlines->apply_ms + 200) * 1000);
	}
	assert_int_equal(m.state, STATE_BACK_LEASING);
	migration_clear(&m);
}

static void giving_up_tells_the_tree_once(void **unused)
{
	struct migration_intent intent = intent_of(true);
	struct migration_output output;
	struct migration m;

	migration_init(&m, &intent, deadlines);
	migration_start(&m, 1);
	while (m.state != STATE_MOVING)
		migration_event(&m, EVENT_DONE, 1);
	output = migration_tick(&m, m.overall_us);
	assert_true(output.give_up && output.entered && output.durable);
	assert_int_equal(output.action, ACTION_NOTHING);
	assert_int_equal(m.state, STATE_MOVING);
	output = migration_event(&m, EVENT_OVERALL, 5);
	assert_false(output.give_up);
	migration_clear(&m);
}

static void the_timeline_has_no_holes(void **unused)
{
	struct migration_intent intent = intent_of(true);
	uint64_t now = 10;
	struct migration m;

	migration_init(&m, &intent, deadlines);
	migration_start(&m, now);
	while (!migration_ended(&m))
		migration_event(&m, EVENT_DONE, now += 10);
	assert_int_equal(m.step_count, 17);
	for (size_t i = 1; i < m.step_count; i++)
		assert_int_equal(m.steps[i].started_us, m.steps[i - 1].ended_us);
	assert_int_equal(m.steps[m.step_count - 1].state, STATE_DONE);
	migration_clear(&m);
}

/* ---- answers ---- */

struct said {
	Tether__Answer answer;
	Tether__EvidenceRows evidence;
	Tether__QpRows qps;
	Tether__KeyRows keys;
	char *answered[4], *missing[4];
	Tether__Refusal refusal;
	Tether__Refusal *refusals[1];
};

static void said_init(struct said *said, Tether__Step step, Tether__Outcome outcome)
{
	memset(said, 0, sizeof(*said));
	tether__answer__init(&said->answer);
	tether__evidence_rows__init(&said->evidence);
	tether__qp_rows__init(&said->qps);
	tether__key_rows__init(&said->keys);
	tether__refusal__init(&said->refusal);
	said->refusals[0] = &said->refusal;
	said->answer.step = step;
	said->answer.outcome = outcome;
	said->answer.evidence = &said->evidence;
	said->answer.qps = &said->qps;
	said->answer.keys = &said->keys;
	said->answer.answered = said->answered;
	said->answer.missing = said->missing;
	said->answer.refusals = said->refusals;
}

static void said_clear(struct said *said)
{
	rows_clear(&said->evidence.base);
	rows_clear(&said->qps.base);
	rows_clear(&said->keys.base);
}

static void said_qp(struct said *said, uint32_t lid, uint32_t qpn, uint32_t to_lid, uint32_t to_qpn)
{
	struct qp_row row = {.local_lid = lid,
	        .local_qpn = qpn,
	        .real_qpn = qpn,
	        .remote_lid = to_lid,
	        .remote_qpn = to_qpn};

	assert_int_equal(qp_rows_append(&said->qps, &row), 0);
}

static void said_answered(struct said *said, const char *name)
{
	said->answered[said->answer.n_answered++] = (char *)name;
}

static void said_missing(struct said *said, const char *name)
{
	said->missing[said->answer.n_missing++] = (char *)name;
}

static void said_refusal(struct said *said, const char *who)
{
	said->refusal.who = (char *)who;
	said->refusal.reason = (char *)"veto-device-memory";
	said->refusal.text = (char *)"uses device memory";
	said->answer.n_refusals = 1;
}

static void drive_to(struct migration *m, enum migration_state state, bool force)
{
	struct migration_intent intent = intent_of(true);

	intent.force = force;
	migration_init(m, &intent, deadlines);
	migration_start(m, 1);
	for (int i = 0; m->state != state && i < STATE_COUNT; i++)
		migration_event(m, EVENT_DONE, 1);
	assert_int_equal(m->state, state);
}

static void preparing_waits_for_all_three(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING, false);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said_qp(&said, 12, 0x200, 11, 0x100);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_answered(&m, PARTY_HOST, true, 2);
	assert_int_equal(m.state, STATE_STOPPING);
	said_clear(&said);
	migration_clear(&m);
}

static void a_veto_waits_for_the_others_reasons(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING, false);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_REFUSED);
	said_refusal(&said, "hyp1/vm1/12 prog");
	migration_tree_answered(&m, &said.answer, 2);
	migration_answered(&m, PARTY_HOST, false, 2);
	assert_int_equal(m.state, STATE_PREPARING);
	migration_answered(&m, PARTY_SM, true, 2);
	assert_int_equal(m.state, STATE_DROPPING);
	assert_int_equal(m.testimony.finding_count, 1);
	assert_string_equal(m.testimony.findings[0].reason, "veto-device-memory");
	said_clear(&said);
	migration_clear(&m);
}

static void prepared_with_lonely_qp(struct migration *m, bool force)
{
	struct said said;

	drive_to(m, STATE_PREPARING, force);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said_qp(&said, 12, 0x201, 13, 0x300);
	migration_answered(m, PARTY_SM, true, 2);
	migration_answered(m, PARTY_HOST, true, 2);
	migration_tree_answered(m, &said.answer, 2);
	said_clear(&said);
}

static void a_peer_without_shim_is_refused_by_name(void **unused)
{
	struct migration m;

	prepared_with_lonely_qp(&m, false);
	assert_int_equal(m.state, STATE_DROPPING);
	assert_int_equal(m.testimony.finding_count, 1);
	assert_string_equal(m.testimony.findings[0].reason, "peer-without-shim");
	assert_string_equal(m.testimony.findings[0].who, "lid 12 qp 0x200");
	migration_clear(&m);
}

/* Who sends datagrams is connected to nobody. */
static void a_datagram_qp_needs_no_other_end(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING, false);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 0, 0);
	said_qp(&said, 11, 0x101, 0, 0);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_answered(&m, PARTY_HOST, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_STOPPING);
	assert_int_equal(m.testimony.finding_count, 0);
	said_clear(&said);
	migration_clear(&m);
}

static void a_qp_of_the_vm_that_nobody_shows_is_refused_by_name(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_PREPARING, false);
	said_init(&said, TETHER__STEP__STEP_PREPARE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 12, 0x200, 11, 0x100);
	migration_answered(&m, PARTY_SM, true, 2);
	migration_answered(&m, PARTY_HOST, true, 2);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_DROPPING);
	assert_string_equal(m.testimony.findings[0].reason, "vm-qp-without-shim");
	assert_string_equal(m.testimony.findings[0].who, "lid 11 qp 0x100");
	said_clear(&said);
	migration_clear(&m);
}

static void force_moves_in_spite_of_a_peer_without_shim(void **unused)
{
	struct migration m;

	prepared_with_lonely_qp(&m, true);
	assert_int_equal(m.state, STATE_STOPPING);
	assert_int_equal(m.testimony.finding_count, 1);
	migration_clear(&m);
}

static void stop_that_breaks_qps_is_not_plainly_aborted(void **unused)
{
	struct evidence_row row = {
	        .local_lid = 11, .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN};
	struct migration m;
	struct said said;

	drive_to(&m, STATE_STOPPING, false);
	said_init(&said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_PARTIAL);
	said_missing(&said, "vm2/3.4");
	evidence_rows_append(&said.evidence, &row);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_MENDING_SETTLING);
	said_clear(&said);
	migration_clear(&m);
}

static void broken_qps_do_not_keep_the_good_road_from_going_on(void **unused)
{
	struct evidence_row row = {.flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN};
	struct migration m;
	struct said said;

	drive_to(&m, STATE_STOPPING, false);
	said_init(&said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_DONE);
	evidence_rows_append(&said.evidence, &row);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_SETTLING);
	said_clear(&said);
	migration_clear(&m);
}

static void stopped_with_sent(struct migration *m, size_t rows)
{
	struct evidence_row row = {.local_lid = 48000,
	        .local_qpn = 1 << 23,
	        .remote_lid = 11,
	        .remote_qpn = 1 << 23,
	        .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_SENT,
	        .sent = 1U << 31};
	struct said said;

	drive_to(m, STATE_STOPPING, false);
	said_init(&said, TETHER__STEP__STEP_STOP, TETHER__OUTCOME__OUTCOME_DONE);
	for (size_t i = 0; i < rows; i++)
		evidence_rows_append(&said.evidence, &row);
	migration_tree_answered(m, &said.answer, 2);
	said_clear(&said);
	assert_int_equal(m->state, STATE_SETTLING);
	assert_false(m->testimony.broken);
}

static void settle_says_what_was_sent_before_the_stop(void **unused)
{
	struct migration m;
	struct order order;
	struct said said;

	stopped_with_sent(&m, 2);
	assert_int_equal(order_fill_step(&order, &m, ACTION_SETTLE, 2), 0);
	assert_int_equal(order.event.evidence->n_sent, 2);
	/* It is no evidence, and gives way to it. */
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(order_fill_step(&order, &m, ACTION_RELEASE, 2), 0);
	assert_int_equal(order.event.evidence->n_sent, 0);
	said_clear(&said);
	migration_clear(&m);
}

static void settle_goes_without_what_does_not_fit(void **unused)
{
	struct migration m;
	struct order order;

	stopped_with_sent(&m, FRAME_MAX_BYTES / 16);
	assert_int_equal(order_fill_step(&order, &m, ACTION_SETTLE, 2), 0);
	assert_true(tether__event__get_packed_size(&order.event) + 16 <= FRAME_MAX_BYTES);
	migration_clear(&m);
}

static enum migration_state after_partial(
        enum migration_state at, Tether__Step step, const char *answered, const char *missing)
{
	enum migration_state state;
	struct migration m;
	struct said said;

	drive_to(&m, at, false);
	said_init(&said, step, TETHER__OUTCOME__OUTCOME_PARTIAL);
	if (answered)
		said_answered(&said, answered);
	said_missing(&said, missing);
	migration_tree_answered(&m, &said.answer, 2);
	state = m.state;
	assert_int_equal(m.testimony.finding_count, 1);
	said_clear(&said);
	migration_clear(&m);
	return state;
}

static void after_the_commit_a_missing_peer_is_left_behind(void **unused)
{
	assert_int_equal(
	        after_partial(STATE_SETTLING, TETHER__STEP__STEP_SETTLE, "vm1/1.1", "vm2/2.2"),
	        STATE_MENDING_SETTLING);
	assert_int_equal(
	        after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, "vm1/1.1", "vm2/2.2"),
	        STATE_DETACHING);
	assert_int_equal(
	        after_partial(STATE_RECONNECTING, TETHER__STEP__STEP_RECONNECT, "vm1/1.1", "hyp3"),
	        STATE_RESUMING);
}

static void after_the_commit_the_vms_own_processes_decide(void **unused)
{
	assert_int_equal(
	        after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, "vm1/1.1", "vm1/2.2"),
	        STATE_BACK_REBUILDING);
	assert_int_equal(after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, NULL, "hyp1"),
	        STATE_BACK_REBUILDING);
	/* vm11 is another VM. */
	assert_int_equal(
	        after_partial(STATE_RELEASING, TETHER__STEP__STEP_RELEASE, "vm1/1.1", "vm11/2.2"),
	        STATE_DETACHING);
	assert_int_equal(
	        after_partial(STATE_REBUILDING, TETHER__STEP__STEP_ATTACH, "vm1/1.1", "vm1/2.2"),
	        STATE_RECONNECTING);
	/* Its host is there to miss it: it has ended, or hangs. */
	assert_int_equal(
	        after_partial(STATE_REBUILDING, TETHER__STEP__STEP_ATTACH, NULL, "vm1/2.2"),
	        STATE_RECONNECTING);
	assert_int_equal(after_partial(STATE_REBUILDING, TETHER__STEP__STEP_ATTACH, NULL, "hyp2"),
	        STATE_ERRORING);
}

static void attach_supersedes_the_vms_numbers_only(void **unused)
{
	struct qp_row row;
	struct migration m;
	struct said said;

	drive_to(&m, STATE_SETTLING, false);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said_qp(&said, 12, 0x200, 11, 0x100);
	migration_tree_answered(&m, &said.answer, 2);
	said_clear(&said);
	while (m.state != STATE_REBUILDING)
		migration_event(&m, EVENT_DONE, 2);
	said_init(&said, TETHER__STEP__STEP_ATTACH, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said.qps.real_qpn[0] = 0x999;
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.testimony.qps.n_local_qpn, 2);
	row = qp_rows_get(&m.testimony.qps, 0);
	assert_int_equal(row.local_lid, 12);
	row = qp_rows_get(&m.testimony.qps, 1);
	assert_int_equal(row.real_qpn, 0x999);
	said_clear(&said);
	migration_clear(&m);
}

static void attach_is_asked_of_the_vm_and_keeps_the_peers(void **unused)
{
	struct migration m;
	struct said said;
	struct order order;

	drive_to(&m, STATE_RELEASING, false);
	said_init(&said, TETHER__STEP__STEP_RELEASE, TETHER__OUTCOME__OUTCOME_DONE);
	said_answered(&said, "vm2/2.2");
	said_answered(&said, "vm1/1.1");
	said_answered(&said, "vm1/1.2");
	migration_tree_answered(&m, &said.answer, 2);
	while (m.state != STATE_REBUILDING)
		migration_event(&m, EVENT_DONE, 2);
	assert_int_equal(order_fill_step(&order, &m, ACTION_ATTACH, 2), 0);
	assert_int_equal(order.event.n_expected, 2);
	assert_true(testimony_is_of_vm(order.event.expected[0], "vm1"));
	assert_true(testimony_is_of_vm(order.event.expected[1], "vm1"));
	said.answer.step = TETHER__STEP__STEP_ATTACH;
	said.answer.n_answered = 0;
	said_answered(&said, "vm1/1.1");
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_RECONNECTING);
	assert_int_equal(order_fill_step(&order, &m, ACTION_RECONNECT, 2), 0);
	assert_int_equal(order.event.n_expected, 2);
	assert_string_equal(order.event.expected[0], "vm1/1.1");
	assert_string_equal(order.event.expected[1], "vm2/2.2");
	said_clear(&said);
	migration_clear(&m);
}

static void malformed_tables_are_a_failure(void **unused)
{
	struct migration m;
	struct said said;

	drive_to(&m, STATE_SETTLING, false);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0x200);
	said.qps.n_context = 0;
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(m.state, STATE_MENDING_SETTLING);
	said.qps.n_context = 1;
	said_clear(&said);
	migration_clear(&m);
}

static void testimony_survives_the_journal(void **unused)
{
	struct testimony back;
	struct migration m;
	struct said said;
	char *text;

	drive_to(&m, STATE_SETTLING, false);
	said_init(&said, TETHER__STEP__STEP_SETTLE, TETHER__OUTCOME__OUTCOME_DONE);
	said_qp(&said, 11, 0x100, 12, 0xabcdef);
	said_answered(&said, "vm1/1.1");
	migration_tree_answered(&m, &said.answer, 2);
	assert_int_equal(testimony_pack(&m.testimony, &text), 0);
	testimony_init(&back);
	assert_int_equal(testimony_unpack(&back, "vm1", text), 0);
	assert_int_equal(back.qps.n_local_qpn, 1);
	assert_int_equal(back.qps.remote_qpn[0], 0xabcdef);
	assert_int_equal(back.process_count, 1);
	assert_string_equal(back.processes[0], "vm1/1.1");
	text[3] = 'z';
	assert_int_equal(testimony_unpack(&back, "vm1", text), -74);
	free(text);
	testimony_clear(&back);
	said_clear(&said);
	migration_clear(&m);
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
	        cmocka_unit_test(the_commit_is_the_only_way_forward_and_is_durable),
	        cmocka_unit_test(a_stopped_vm_that_is_elsewhere_is_not_aborted),
	        cmocka_unit_test(each_state_has_its_way_back_after_a_restart),
	        cmocka_unit_test(a_slot_is_vacated_only_when_the_other_has_the_guids),
	        cmocka_unit_test(names_are_read_back),
	        cmocka_unit_test(roads_lead_where_they_should),
	        cmocka_unit_test(a_crash_before_the_commit_ends_aborted),
	        cmocka_unit_test(a_crash_after_the_commit_is_driven_to_its_end),
	        cmocka_unit_test(who_has_the_memory_is_looked_at),
	        cmocka_unit_test(given_up_survives_the_crash),
	        cmocka_unit_test(each_step_has_its_own_deadline),
	        cmocka_unit_test(plans_that_are_always_stale_end_in_time),
	        cmocka_unit_test(giving_up_tells_the_tree_once),
	        cmocka_unit_test(the_timeline_has_no_holes),
	        cmocka_unit_test(preparing_waits_for_all_three),
	        cmocka_unit_test(a_veto_waits_for_the_others_reasons),
	        cmocka_unit_test(a_peer_without_shim_is_refused_by_name),
	        cmocka_unit_test(a_datagram_qp_needs_no_other_end),
	        cmocka_unit_test(a_qp_of_the_vm_that_nobody_shows_is_refused_by_name),
	        cmocka_unit_test(settle_says_what_was_sent_before_the_stop),
	        cmocka_unit_test(settle_goes_without_what_does_not_fit),
	        cmocka_unit_test(force_moves_in_spite_of_a_peer_without_shim),
	        cmocka_unit_test(stop_that_breaks_qps_is_not_plainly_aborted),
	        cmocka_unit_test(broken_qps_do_not_keep_the_good_road_from_going_on),
	        cmocka_unit_test(after_the_commit_a_missing_peer_is_left_behind),
	        cmocka_unit_test(after_the_commit_the_vms_own_processes_decide),
	        cmocka_unit_test(attach_supersedes_the_vms_numbers_only),
	        cmocka_unit_test(attach_is_asked_of_the_vm_and_keeps_the_peers),
	        cmocka_unit_test(malformed_tables_are_a_failure),
	        cmocka_unit_test(testimony_survives_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
