/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Migrations whose VMs are connected, asked for at once: every order in which their steps can end,
 * each of them done, failed, too late or aborted, and tether-smd killed between, walked through the
 * machine that runs (migration_states.def, turns.c). A world is a row of migrations; it is made
 * anew from what distinguishes it before each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/migration/migration.h"
#include "sm-side/migration/turns.h"

enum { MOVES_MAX = 3, WORLDS_MAX = 1 << 21, FAIR_STEPS = 200, WAITED_FOR_SEEN = 3 };

/* Who sees whom: which processes answer a migration besides those of its own VM. */
enum sharing {
	SHARE_BOTH_WAYS,
	SHARE_ONE_WAY, /* as those do who hear datagrams only: the last sees all others, nobody him
	                */
	SHARE_SEEN_LATE, /* at STOP: their agent was being started anew when they were prepared */
};

struct kind {
	enum sharing sharing;
	unsigned moves;
	bool evacuation; /* the last one */
	bool faults, kills;
};

/* What distinguishes one migration from another that is as far. */
struct standing {
	uint8_t state, journalled, fact, busy_with, waited_for;
	bool waits_turn, yields, abort_asked, committed, given_up, applied, vacated, unlinked;
	bool overall, broken, prepared, seen;
};

struct world {
	struct standing moves[MOVES_MAX];
};

static const char *const vms[MOVES_MAX] = {"vm1", "vm2", "vm3"};
static const char *const names[MOVES_MAX] = {"vm1/1.1", "vm2/2.2", "vm3/3.3"};

static unsigned count_of(const struct kind *kind)
{
	return kind->moves < MOVES_MAX ? kind->moves : MOVES_MAX;
}

/* ---- from a standing to a migration and back ---- */

static bool is_answered_by(
        const struct kind *kind, unsigned of, const struct standing *s, unsigned other)
{
	if (of == other || kind->sharing == SHARE_BOTH_WAYS)
		return true;
	if (kind->sharing == SHARE_ONE_WAY)
		return of == count_of(kind) - 1;
	return s->seen || s->waited_for;
}

static void processes_fill(
        struct migration *m, const struct kind *kind, unsigned of, const struct standing *s)
{
	char **list = calloc(MOVES_MAX, sizeof(*list));

	assert_non_null(list);
	m->testimony.processes = list;
	for (unsigned i = 0; i < count_of(kind); i++)
		if (is_answered_by(kind, of, s, i))
			list[m->testimony.process_count++] = strdup(names[i]);
}

static void stand_up(
        struct migration *m, const struct kind *kind, unsigned of, const struct standing *s)
{
	struct migration_intent intent = {.id = of + 1,
	        .epoch = 1,
	        .source = {.host = "hyp1", .slot = "vf1"},
	        .destination = {.host = "hyp2", .slot = "vf2"},
	        .address = {.lid = (uint16_t)(of + 1)},
	        .fabric = true};

	strcpy(intent.vm, vms[of]);
	if (kind->evacuation && of == count_of(kind) - 1)
		intent.evacuation = 1;
	migration_init(m, &intent, &deadlines_default);
	m->state = s->state;
	m->journalled = s->journalled;
	m->fact = s->fact;
	m->busy_with = s->busy_with;
	m->waited_for = s->waited_for;
	m->waits_turn = s->waits_turn;
	m->yields = s->yields;
	m->abort_asked = s->abort_asked;
	m->committed = s->committed;
	m->given_up = s->given_up;
	m->applied = s->applied;
	m->vacated = s->vacated;
	m->unlinked = s->unlinked;
	m->overall_us = s->overall;
	m->testimony.broken = s->broken;
	if (s->prepared)
		processes_fill(m, kind, of, s);
}

static struct standing standing_of(const struct migration *m, bool seen)
{
	struct standing s;

	memset(&s, 0, sizeof(s));
	s.state = (uint8_t)m->state;
	if (m->state == STATE_RECOVERING || m->committed)
		s.journalled = (uint8_t)m->journalled;
	s.fact = (uint8_t)m->fact;
	s.busy_with = (uint8_t)m->busy_with;
	s.waited_for = (uint8_t)(m->waited_for < WAITED_FOR_SEEN ? m->waited_for : WAITED_FOR_SEEN);
	s.waits_turn = m->waits_turn;
	s.yields = m->yields;
	s.abort_asked = m->abort_asked;
	s.committed = m->committed;
	s.given_up = m->given_up;
	s.applied = m->applied;
	s.vacated = m->vacated;
	s.unlinked = m->unlinked;
	s.overall = m->overall_us;
	s.broken = m->testimony.broken;
	s.prepared = m->testimony.process_count;
	s.seen = seen && s.prepared;
	if (migration_ended(m))
		s = (struct standing){.state = s.state};
	return s;
}

struct crew {
	const struct kind *kind;
	struct migration moves[MOVES_MAX];
	bool seen[MOVES_MAX];
	const struct migration *list[MOVES_MAX];
	struct under_way under_way;
};

static void crew_look(struct crew *crew)
{
	crew->under_way = (struct under_way){.migrations = crew->list, .most = MOVES_MAX};
	for (unsigned i = 0; i < count_of(crew->kind); i++)
		if (!migration_ended(&crew->moves[i]))
			crew->list[crew->under_way.count++] = &crew->moves[i];
}

static void crew_stand_up(struct crew *crew, const struct kind *kind, const struct world *world)
{
	memset(crew, 0, sizeof(*crew));
	crew->kind = kind;
	for (unsigned i = 0; i < count_of(kind); i++) {
		stand_up(&crew->moves[i], kind, i, &world->moves[i]);
		crew->seen[i] = world->moves[i].seen;
	}
	crew_look(crew);
}

static struct world crew_lie_down(struct crew *crew)
{
	struct world world;

	memset(&world, 0, sizeof(world));
	for (unsigned i = 0; i < count_of(crew->kind); i++) {
		world.moves[i] = standing_of(&crew->moves[i], crew->seen[i]);
		migration_clear(&crew->moves[i]);
	}
	return world;
}

/* ---- what the conductor does (conductor_turn.c) ---- */

static bool turn_take(struct crew *crew, struct migration *m)
{
	const struct migration *other = NULL;
	enum turn turn = turn_of(&crew->under_way, m, &other);

	if (turn == TURN_IS_OURS) {
		migration_turn_take(m, 1);
		return true;
	}
	if (turn == TURN_WAITS_FOR_END && other && !turn_may_be_waited_for(m)) {
		migration_turn_take(m, 1);
		m->busy_with = other->intent.id;
		migration_event(m, EVENT_FAILED, 1);
		return false;
	}
	migration_turn_wait(m);
	if (!other)
		m->busy_with = 0;
	else if (turn == TURN_WAITS_FOR_END)
		migration_turn_yield(m, other->intent.id);
	return false;
}

static void entered(struct crew *crew, struct migration *m, struct migration_output output)
{
	if (output.entered && m->state == STATE_PREPARING)
		turn_take(crew, m);
	/* Whoever has voted is broken. */
	if (m->state == STATE_SETTLING || m->state == STATE_MENDING_SETTLING)
		m->testimony.broken = true;
}

static void turns_give(struct crew *crew)
{
	const struct migration *next;
	uint64_t after = 0;

	while ((next = turn_next(&crew->under_way, after))) {
		after = next->intent.id;
		turn_take(crew, &crew->moves[after - 1]);
	}
}

static bool is_heard(enum migration_state state)
{
	return state == STATE_PREPARING || state == STATE_STOPPING;
}

static void hear(struct crew *crew, unsigned i)
{
	struct migration *m = &crew->moves[i];
	const struct migration *other;
	struct standing s = standing_of(m, crew->seen[i]);

	s.seen = crew->seen[i] = m->state == STATE_STOPPING;
	testimony_clear(&m->testimony);
	processes_fill(m, crew->kind, i, &s);
	other = admission_sharing(
	        &crew->under_way, &m->intent, m->testimony.processes, m->testimony.process_count);
	m->failed |= other != NULL;
	if (other && turn_may_be_waited_for(m))
		migration_turn_yield(m, other->intent.id);
	else if (other)
		m->busy_with = other->intent.id;
}

/* ---- what can happen ---- */

enum what {
	DO_DONE,
	DO_FAIL,
	DO_TIMEOUT,
	DO_OVERALL,
	DO_ABORT,
	DO_AGENT_LOST,
	DO_FACT_1,
	DO_FACT_2,
	DO_FACT_3,
	DO_COUNT
};

static const enum migration_event events[DO_COUNT] = {
        [DO_DONE] = EVENT_DONE,
        [DO_FAIL] = EVENT_FAILED,
        [DO_TIMEOUT] = EVENT_TIMEOUT,
        [DO_OVERALL] = EVENT_OVERALL,
        [DO_ABORT] = EVENT_ABORT_ASKED,
        [DO_AGENT_LOST] = EVENT_AGENT_LOST,
        [DO_FACT_1] = EVENT_DONE,
        [DO_FACT_2] = EVENT_DONE,
        [DO_FACT_3] = EVENT_DONE,
};

static bool looks(enum migration_state state)
{
	return state == STATE_RECOVERING || state == STATE_LOOKING_THERE;
}

static bool can(const struct crew *crew, unsigned i, enum what what)
{
	const struct migration *m = &crew->moves[i];

	if (migration_ended(m))
		return false;
	if (m->waits_turn)
		return what == DO_ABORT && crew->kind->faults;
	if (what == DO_DONE)
		return true;
	if (!crew->kind->faults || (what == DO_OVERALL && !m->overall_us))
		return false;
	/* The commit is on disk before a VF leaves. */
	if (what > DO_FACT_1 && !m->committed)
		return false;
	return what < DO_FACT_1 || looks(m->state);
}

static enum migration_fact fact_of(enum what what)
{
	switch (what) {
	case DO_FACT_2:
		return FACT_AT_SOURCE_WITHOUT_VF;
	case DO_FACT_3:
		return FACT_AT_DESTINATION;
	default:
		return FACT_AT_SOURCE;
	}
}

static void happen(struct crew *crew, unsigned i, enum what what)
{
	struct migration *m = &crew->moves[i];
	enum migration_event event = events[what];

	if (what == DO_DONE && is_heard(m->state))
		hear(crew, i);
	if (what >= DO_FACT_1)
		m->fact = fact_of(what);
	if (what == DO_OVERALL)
		m->overall_us = 0;
	if (event == EVENT_DONE && m->failed)
		event = EVENT_FAILED;
	entered(crew, m, migration_event(m, event, 1));
	crew_look(crew);
}

static void kill_and_recover(struct crew *crew)
{
	for (unsigned i = 0; i < count_of(crew->kind); i++) {
		struct migration *m = &crew->moves[i];
		enum migration_state journalled =
		        m->state == STATE_RECOVERING ? m->journalled : m->state;
		struct migration_intent intent = m->intent;
		struct migration fresh;

		if (migration_ended(m))
			continue;
		migration_init(&fresh, &intent, &deadlines_default);
		/* Rows and processes are in the journal. */
		if (m->testimony.process_count) {
			struct standing s = standing_of(m, crew->seen[i]);

			processes_fill(&fresh, crew->kind, i, &s);
		}
		migration_recover(&fresh, journalled, m->given_up, 1000, 1);
		fresh.testimony.broken = false;
		migration_clear(m);
		*m = fresh;
	}
}

/* ---- what must hold ---- */

/* The processes that take part have their gates held, or are not what they were, by this one. */
static bool holds(const struct standing *s)
{
	switch (migration_phase(s->state)) {
	case PHASE_FORWARD:
	case PHASE_BACK:
		return true;
	default:
		return s->state == STATE_STOPPING || s->state == STATE_SETTLING ||
		       s->state == STATE_MENDING_SETTLING ||
		       s->state == STATE_MENDING_RECONNECTING || s->state == STATE_MENDING_RESUMING;
	}
}

static const char *said(const struct kind *kind, const struct world *world)
{
	static char text[512];
	size_t length = 0;

	for (unsigned i = 0; i < count_of(kind); i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s: %s%s%s%s ",
		        vms[i], migration_state_name(world->moves[i].state),
		        world->moves[i].waits_turn ? " waits" : "",
		        world->moves[i].yields ? " yields" : "",
		        world->moves[i].abort_asked ? " abort asked" : "");
	return text;
}

static bool have_the_same(const struct kind *kind, unsigned one, unsigned other)
{
	return kind->sharing != SHARE_ONE_WAY ||
	       (kind->sharing == SHARE_ONE_WAY &&
	               (one == count_of(kind) - 1 || other == count_of(kind) - 1));
}

/* Those that are seen late may be in STOP both, where shims keep them apart (preload/move.h), and
 * go no further. */
static bool holds_too(const struct kind *kind, const struct standing *s)
{
	return holds(s) && (kind->sharing != SHARE_SEEN_LATE || s->state != STATE_STOPPING);
}

static void assert_one_holds(const struct kind *kind, const struct world *world)
{
	for (unsigned i = 0; i < count_of(kind); i++)
		for (unsigned k = 0; k < i; k++)
			if (have_the_same(kind, i, k) && holds_too(kind, &world->moves[i]) &&
			        holds_too(kind, &world->moves[k]))
				fail_msg("two have the same queue pairs: %s", said(kind, world));
}

static bool all_ended(const struct kind *kind, const struct world *world)
{
	for (unsigned i = 0; i < count_of(kind); i++)
		if (migration_phase(world->moves[i].state) != PHASE_ENDED)
			return false;
	return true;
}

/* Wherever things have gone: if all goes well from here on, all come to an end. */
static void assert_ends(const struct kind *kind, const struct world *from)
{
	struct world world = *from;

	for (unsigned step = 0; step < FAIR_STEPS; step++) {
		struct crew crew;

		if (all_ended(kind, &world))
			return;
		crew_stand_up(&crew, kind, &world);
		turns_give(&crew);
		for (unsigned i = 0; i < count_of(kind); i++)
			if (can(&crew, i, DO_DONE) && !crew.moves[i].waits_turn) {
				happen(&crew, i, DO_DONE);
				break;
			}
		world = crew_lie_down(&crew);
	}
	fail_msg("no end: %s; now %s", said(kind, from), strdup(said(kind, &world)));
}

/* ---- the walk ---- */

struct walk {
	const struct kind *kind;
	struct world *worlds;
	uint32_t *places; /* 1 + index */
	uint32_t count;
	uint32_t ended[STATE_COUNT];
};

static uint64_t hash_of(const struct world *world)
{
	const unsigned char *bytes = (const unsigned char *)world;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*world); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash ^ hash >> 29;
}

static void visit(struct walk *walk, const struct world *world)
{
	size_t place = hash_of(world) % (2 * WORLDS_MAX);

	for (; walk->places[place]; place = (place + 1) % (2 * WORLDS_MAX))
		if (!memcmp(&walk->worlds[walk->places[place] - 1], world, sizeof(*world)))
			return;
	assert_true(walk->count < WORLDS_MAX);
	assert_one_holds(walk->kind, world);
	walk->worlds[walk->count++] = *world;
	walk->places[place] = walk->count;
}

static void visit_each_next(struct walk *walk, const struct world *world)
{
	struct crew crew;
	struct world next;

	for (unsigned i = 0; i < count_of(walk->kind); i++)
		for (enum what what = 0; what < DO_COUNT; what++) {
			crew_stand_up(&crew, walk->kind, world);
			if (can(&crew, i, what))
				happen(&crew, i, what);
			next = crew_lie_down(&crew);
			visit(walk, &next);
		}
	crew_stand_up(&crew, walk->kind, world);
	turns_give(&crew);
	next = crew_lie_down(&crew);
	visit(walk, &next);
	if (!walk->kind->kills)
		return;
	crew_stand_up(&crew, walk->kind, world);
	kill_and_recover(&crew);
	next = crew_lie_down(&crew);
	visit(walk, &next);
}

static void walk_all(struct walk *walk, const struct kind *kind)
{
	struct world first;

	memset(&first, 0, sizeof(first));
	*walk = (struct walk){.kind = kind,
	        .worlds = calloc(WORLDS_MAX, sizeof(struct world)),
	        .places = calloc(2 * WORLDS_MAX, sizeof(uint32_t))};
	for (unsigned i = 0; i < count_of(kind); i++)
		first.moves[i].state = STATE_LOCATING;
	visit(walk, &first);
	for (uint32_t i = 0; i < walk->count; i++) {
		struct world world = walk->worlds[i];

		assert_ends(kind, &world);
		for (unsigned k = 0; all_ended(kind, &world) && k < count_of(kind); k++)
			walk->ended[world.moves[k].state]++;
		visit_each_next(walk, &world);
	}
	print_message("%u migrations, sharing %d%s%s%s: %u worlds\n", count_of(kind), kind->sharing,
	        kind->evacuation ? ", one of an evacuation" : "", kind->faults ? ", faults" : "",
	        kind->kills ? ", kills" : "", walk->count);
}

static void walk_free(struct walk *walk)
{
	free(walk->worlds);
	free(walk->places);
}

static void undisturbed_each_is_done_in_every_order(void **unused)
{
	for (unsigned moves = 2; moves <= MOVES_MAX; moves++)
		for (enum sharing sharing = 0; sharing <= SHARE_SEEN_LATE; sharing++) {
			struct kind kind = {.sharing = sharing, .moves = moves};
			struct walk walk;

			walk_all(&walk, &kind);
			assert_true(walk.ended[STATE_DONE]);
			for (enum migration_state state = 0; state < STATE_COUNT; state++)
				if (state != STATE_DONE)
					assert_int_equal(walk.ended[state], 0);
			walk_free(&walk);
		}
}

static void one_of_an_evacuation_is_refused_or_done(void **unused)
{
	for (enum sharing sharing = 0; sharing < SHARE_SEEN_LATE; sharing++) {
		struct kind kind = {.sharing = sharing, .moves = 2, .evacuation = true};
		struct walk walk;

		walk_all(&walk, &kind);
		assert_true(walk.ended[STATE_DONE] && walk.ended[STATE_REFUSED]);
		assert_int_equal(walk.ended[STATE_ABORTED], 0);
		walk_free(&walk);
	}
}

static void disturbed_none_waits_for_ever_and_one_has_the_queue_pairs(void **unused)
{
	for (enum sharing sharing = 0; sharing <= SHARE_SEEN_LATE; sharing++) {
		struct kind kind = {.sharing = sharing, .moves = 2, .faults = true};
		struct walk walk;

		walk_all(&walk, &kind);
		for (enum migration_state state = 0; state < STATE_COUNT; state++)
			if (migration_phase(state) == PHASE_ENDED)
				assert_true(walk.ended[state]);
		walk_free(&walk);
	}
}

static void nor_does_one_where_tether_smd_is_killed_between(void **unused)
{
	for (enum sharing sharing = 0; sharing < SHARE_SEEN_LATE; sharing++) {
		struct kind kind = {.sharing = sharing, .moves = 2, .faults = true, .kills = true};
		struct walk walk;

		walk_all(&walk, &kind);
		walk_free(&walk);
	}
}

static void who_has_let_two_go_first_is_the_next(void **unused)
{
	char *processes[] = {"vm1/1.1", "vm2/2.2"};
	struct migration first = {.intent = {.id = 1, .vm = "vm1"},
	        .state = STATE_MOVING,
	        .testimony = {.processes = processes, .process_count = 2}};
	struct migration waits = {
	        .intent = {.id = 2, .vm = "vm2"}, .state = STATE_PREPARING, .waits_turn = true};
	struct migration last = {.intent = {.id = 3, .vm = "vm3"}, .state = STATE_PREPARING};
	const struct migration *list[] = {&first, &waits, &last}, *other = NULL;
	struct under_way under_way = {list, 3, 3, NULL};

	last.waits_turn = true;
	for (uint64_t before = 1; before <= 2; before++) {
		assert_int_equal(turn_of(&under_way, &last, &other), TURN_IS_OURS);
		first.intent.id = before == 1 ? 1 : 9;
		assert_int_equal(turn_of(&under_way, &waits, &other), TURN_WAITS_FOR_END);
		assert_ptr_equal(other, &first);
		for (int again = 0; again < 2; again++)
			migration_turn_yield(&waits, other->intent.id);
		assert_int_equal(waits.waited_for, before);
	}
	assert_int_equal(turn_of(&under_way, &last, &other), TURN_WAITS);
	assert_int_equal(turn_of(&under_way, &waits, &other), TURN_WAITS_FOR_END);
	first.state = STATE_DONE;
	under_way.migrations = list + 1;
	under_way.count = 2;
	/* Whose end it has waited for is over. */
	last.waits_turn = false;
	assert_int_equal(turn_of(&under_way, &waits, &other), TURN_WAITS);
	assert_null(other);
	last.waits_turn = true;
	assert_ptr_equal(turn_next(&under_way, 0), &waits);
	assert_int_equal(turn_of(&under_way, &waits, &other), TURN_IS_OURS);
	assert_ptr_equal(turn_next(&under_way, 2), &last);
	assert_int_equal(turn_of(&under_way, &last, &other), TURN_WAITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_has_let_two_go_first_is_the_next),
	        cmocka_unit_test(undisturbed_each_is_done_in_every_order),
	        cmocka_unit_test(one_of_an_evacuation_is_refused_or_done),
	        cmocka_unit_test(disturbed_none_waits_for_ever_and_one_has_the_queue_pairs),
	        cmocka_unit_test(nor_does_one_where_tether_smd_is_killed_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
