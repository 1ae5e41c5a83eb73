/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/both_ends_crew.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WAITED_FOR_SEEN = 3 };

const char *const crew_vms[MOVES_MAX] = {"vm1", "vm2", "vm3"};
static const char *const names[MOVES_MAX] = {"vm1/1.1", "vm2/2.2", "vm3/3.3"};

/* ---- from a standing to a migration and back ---- */

static bool is_answered_by(
        const struct kind *kind, unsigned of, const struct standing *s, unsigned other)
{
	if (of == other || kind->sharing == SHARE_BOTH_WAYS)
		return true;
	if (kind->sharing == SHARE_ONE_WAY)
		return of == kind_moves(kind) - 1;
	return s->seen || s->waited_for;
}

static void processes_fill(
        struct migration *m, const struct kind *kind, unsigned of, const struct standing *s)
{
	char **list = calloc(MOVES_MAX, sizeof(*list));

	assert_non_null(list);
	m->testimony.processes = list;
	for (unsigned i = 0; i < kind_moves(kind); i++)
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

	strcpy(intent.vm, crew_vms[of]);
	if (kind->evacuation && of == kind_moves(kind) - 1)
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

static void crew_look(struct crew *crew)
{
	crew->under_way = (struct under_way){.migrations = crew->list, .most = MOVES_MAX};
	for (unsigned i = 0; i < kind_moves(crew->kind); i++)
		if (!migration_ended(&crew->moves[i]))
			crew->list[crew->under_way.count++] = &crew->moves[i];
}

void crew_stand_up(struct crew *crew, const struct kind *kind, const struct world *world)
{
	memset(crew, 0, sizeof(*crew));
	crew->kind = kind;
	for (unsigned i = 0; i < kind_moves(kind); i++) {
		stand_up(&crew->moves[i], kind, i, &world->moves[i]);
		crew->seen[i] = world->moves[i].seen;
	}
	crew_look(crew);
}

struct world crew_lie_down(struct crew *crew)
{
	struct world world;

	memset(&world, 0, sizeof(world));
	for (unsigned i = 0; i < kind_moves(crew->kind); i++) {
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

void crew_give_turns(struct crew *crew)
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
	other = turn_sharing(
	        &crew->under_way, m, m->testimony.processes, m->testimony.process_count);
	m->failed |= other != NULL;
	if (other && turn_may_be_waited_for(m))
		migration_turn_yield(m, other->intent.id);
	else if (other)
		m->busy_with = other->intent.id;
}

/* ---- what can happen ---- */

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

bool crew_can(const struct crew *crew, unsigned i, enum what what)
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

void crew_happens(struct crew *crew, unsigned i, enum what what)
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

void crew_recovers(struct crew *crew)
{
	for (unsigned i = 0; i < kind_moves(crew->kind); i++) {
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
