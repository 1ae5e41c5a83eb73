/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Migrations from start to end: the roads that matter, crashes on the way, and time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/migration_drive.h"

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
                "done done done failed broken done done done",
                "locating preparing stopping settling mending-stopping mending-settling "
                "mending-reconnecting mending-resuming aborted"},
        {"the vote fails, and all say that they have not voted", true,
                "done done done failed done done",
                "locating preparing stopping settling mending-stopping aborting aborted"},
        {"the vote fails, and not all say whether they have voted", true,
                "done done done failed failed done done done",
                "locating preparing stopping settling mending-stopping mending-settling "
                "mending-reconnecting mending-resuming aborted"},
        {"abort asked between STOP and the commit", true,
                "done done done abort broken done done done",
                "locating preparing stopping settling mending-stopping mending-settling "
                "mending-reconnecting mending-resuming aborted"},
        {"broken QPs are connected again", true, "done done broken done done done",
                "locating preparing stopping mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"broken QPs come to light with the abort", true, "done done failed broken done done done",
                "locating preparing stopping aborting mending-settling mending-reconnecting "
                "mending-resuming aborted"},
        {"the disk is full before the commit", true, "done done disk done",
                "locating preparing stopping aborting aborted"},
        {"the disk is full before the vote", true, "done done done disk done done",
                "locating preparing stopping settling mending-stopping aborting aborted"},
        {"who refuses to be stopped again is mended with all others", true,
                "done done done failed failed done done done",
                "locating preparing stopping settling mending-stopping mending-settling "
                "mending-reconnecting mending-resuming aborted"},
        {"an agent is not there for the commit", true,
                "done done lost done lost timeout done done done",
                "locating preparing stopping settling mending-stopping mending-settling "
                "mending-reconnecting mending-resuming aborted"},
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
	return state == STATE_ERRORING || state == STATE_STAY_NAMING ||
	       state == STATE_STAY_VACATING || state == STATE_STAY_APPLYING ||
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(roads_lead_where_they_should),
	        cmocka_unit_test(a_crash_before_the_commit_ends_aborted),
	        cmocka_unit_test(a_crash_after_the_commit_is_driven_to_its_end),
	        cmocka_unit_test(who_has_the_memory_is_looked_at),
	        cmocka_unit_test(given_up_survives_the_crash),
	        cmocka_unit_test(each_step_has_its_own_deadline),
	        cmocka_unit_test(plans_that_are_always_stale_end_in_time),
	        cmocka_unit_test(giving_up_tells_the_tree_once),
	        cmocka_unit_test(the_timeline_has_no_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
