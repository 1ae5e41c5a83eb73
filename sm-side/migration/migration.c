/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/migration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/migration/migration_road.h"

enum { US_PER_MS = 1000 };

void migration_init(struct migration *migration, const struct migration_intent *intent,
        const struct deadlines *deadlines)
{
	*migration = (struct migration){
	        .intent = *intent, .deadlines = deadlines, .shown_at_source = MIGRATION_ALL_VFS};
	testimony_init(&migration->testimony);
	migration->testimony.shared_port = intent->shared_port;
}

void migration_clear(struct migration *migration)
{
	testimony_clear(&migration->testimony);
	free(migration->gids);
	migration->gids = NULL;
	migration->gid_count = 0;
	free(migration->steps);
	migration->steps = NULL;
	migration->step_count = 0;
}

int migration_gid_add(struct migration *m, const uint8_t gid[GID_BYTES])
{
	uint8_t(*grown)[GID_BYTES];

	for (size_t i = 0; i < m->gid_count; i++)
		if (!memcmp(m->gids[i], gid, GID_BYTES))
			return 0;
	if (m->gid_count == MIGRATION_GIDS_MAX)
		return -ENOSPC;
	grown = reallocarray(m->gids, m->gid_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	m->gids = grown;
	memcpy(grown[m->gid_count++], gid, GID_BYTES);
	return 0;
}

size_t migration_other_lids(struct migration *m)
{
	size_t count = 0;

	for (unsigned i = 1; i < migration_vf_count(&m->intent); i++)
		if (m->intent.vfs[i].address.lid)
			m->other_lids[count++] = m->intent.vfs[i].address.lid;
	for (size_t i = 0; i < m->gid_count && count < MIGRATION_GIDS_MAX; i++)
		m->other_lids[count++] = gid_name(m->gids[i]);
	m->testimony.other_lids = m->other_lids;
	m->testimony.other_lid_count = count;
	return count;
}

bool migration_ended(const struct migration *migration)
{
	return migration_phase(migration->state) == PHASE_ENDED;
}

/* The timeline is for people: where there is no memory for it the road is gone on without. */
static void timeline_add(struct migration *m, enum migration_state state, uint64_t now_us)
{
	struct migration_step *grown;

	if (m->step_count)
		m->steps[m->step_count - 1].ended_us = now_us;
	grown = realloc(m->steps, (m->step_count + 1) * sizeof(*grown));
	if (!grown)
		return;
	m->steps = grown;
	m->steps[m->step_count++] = (struct migration_step){.state = state,
	        .started_us = now_us,
	        .ended_us = migration_phase(state) == PHASE_ENDED ? now_us : 0};
}

/* However often a plan is made anew, all attempts together have the time of one. */
static bool keeps_timer(enum migration_state from, enum migration_state to)
{
	return (from == STATE_APPLYING && to == STATE_REPLANNING) ||
	       (from == STATE_REPLANNING && to == STATE_APPLYING);
}

/* It is one order's time: where each VF has orders of its own, so many. */
static uint64_t state_us(const struct migration *m, enum migration_state state)
{
	return (uint64_t)migration_state_deadline_ms(state, m->deadlines) *
	       migration_orders_of(m, state) * US_PER_MS;
}

static void timers_set(struct migration *m, enum migration_state to, uint64_t now_us)
{
	if (migration_phase(to) == PHASE_ENDED)
		m->timer_us = m->overall_us = 0;
	else if (!keeps_timer(m->state, to) || !m->timer_us)
		m->timer_us = now_us + state_us(m, to);
	if (to == STATE_STOPPING)
		m->overall_us = now_us + (uint64_t)m->deadlines->overall_ms * US_PER_MS;
}

static bool is_past_commit(enum migration_state state)
{
	return migration_phase(state) == PHASE_FORWARD || migration_phase(state) == PHASE_BACK;
}

/* What was said in the attempt before is not of this one. */
static void begin_again(struct migration *m)
{
	testimony_clear(&m->testimony);
	m->testimony.shared_port = m->intent.shared_port;
	m->overall_us = 0;
	memset(m->plan_hash, 0, sizeof(m->plan_hash));
	m->yields = false;
}

static struct migration_output enter(struct migration *m, enum migration_state to, uint64_t now_us)
{
	/* Who was not there yet when it was given up is told now. */
	bool tell = m->given_up && m->state == STATE_RECOVERING && !m->intent.reattach;
	bool again;

	to = migration_road_entered(m, to);
	if (m->state != STATE_REPLANNING)
		memset(m->is_there, 0, sizeof(m->is_there));
	again = m->yields && migration_phase(to) == PHASE_TRYING;
	if (again)
		begin_again(m);
	timers_set(m, to, now_us);
	timeline_add(m, to, now_us);
	m->state = to;
	m->awaited = migration_road_parties(m, to);
	m->failed = m->waits_turn = false;
	m->host_vf = migration_vf_from(m, 0);
	m->sm_vf = m->unlocated = 0;
	m->has_left = false;
	migration_note_attach(m);
	m->awaited_report = migration_road_report(m, to);
	if (migration_phase(to) == PHASE_FORWARD)
		m->committed = true;
	else if (migration_phase(to) == PHASE_LEAVING)
		m->committed = false;
	if (to == STATE_LOOKING)
		m->fact = FACT_ANYWHERE;
	m->applied |= to == STATE_NAMING;
	m->vacated = (m->vacated || to == STATE_VACATING || to == STATE_REVACATING) &&
	             to != STATE_BACK_VACATING && to != STATE_BACK_REVACATING;
	m->unlinked |= to == STATE_VACATING;
	return (struct migration_output){.entered = true,
	        .durable = migration_state_durable(to),
	        .give_up = tell,
	        .again = again,
	        .action = migration_state_action(to)};
}

static struct migration_output give_up(
        struct migration *m, enum migration_state to, uint64_t now_us)
{
	struct migration_output output = {.entered = true};
	bool first = !m->given_up;

	m->given_up = true;
	if (to != m->state)
		output = enter(m, to, now_us);
	output.durable = true;
	output.give_up = first;
	return output;
}

struct migration_output migration_start(struct migration *migration, uint64_t now_us)
{
	const struct migration_intent *intent = &migration->intent;
	struct migration_output output;

	migration->given_up = intent->reattach;
	output = enter(migration,
	        intent->reattach ? migration_road_reattach(intent) : STATE_LOCATING, now_us);

	/* The first record holds the intent, also where the SM need not be asked. */
	output.durable = true;
	return output;
}

struct migration_output migration_recover(struct migration *migration,
        enum migration_state journalled, bool given_up, unsigned left_ms, uint64_t now_us)
{
	/* What the one has said is not in the journal. */
	migration->journalled = journalled == STATE_LOOKING_THERE ? STATE_LOOKING : journalled;
	migration->committed = is_past_commit(journalled);
	migration->may_be_there = MIGRATION_ALL_VFS;
	migration->shown_at_source = MIGRATION_ALL_VFS;
	migration->given_up = given_up || (migration->committed && !left_ms);
	/* The last records may be missing from the disk: undoing nothing does no harm. */
	migration->applied = migration->unlinked = migration->committed;
	migration->vacated |= migration_phase(journalled) == PHASE_FORWARD;
	migration->reports_taken = migration_road_reported(migration, journalled);
	if (migration->committed && left_ms)
		migration->overall_us = now_us + (uint64_t)left_ms * US_PER_MS;
	return enter(migration, STATE_RECOVERING, now_us);
}

/* An abort before the commit is another thing where QPs are broken: they must be connected again.
 */
static enum migration_event amounts_to(const struct migration *m, enum migration_event event)
{
	struct migration_move move;

	if (!m->testimony.broken ||
	        migration_lookup(m->state, EVENT_BROKEN).verdict != VERDICT_MOVE)
		return event;
	move = migration_lookup(m->state, event);
	return move.verdict == VERDICT_MOVE && migration_phase(move.to) != PHASE_TRYING
	               ? EVENT_BROKEN
	               : event;
}

/* Processes that had been asked to RELEASE have voted before; others still held the device that has
 * gone. */
static bool may_be_released(enum migration_state journalled)
{
	return journalled == STATE_SETTLING || journalled == STATE_MENDING_STOPPING ||
	       journalled == STATE_MENDING_SETTLING;
}

/* Where the commit is missing from the journal it is not known what else is. */
static enum migration_state reentered(struct migration *m, uint64_t now_us)
{
	bool looked = m->state == STATE_LOOKING_THERE;
	enum migration_state to = migration_reenter(looked ? m->state : m->journalled, m->fact);

	if (is_past_commit(to) && !m->committed) {
		m->committed = m->applied = m->vacated = m->unlinked = true;
		m->given_up |= !may_be_released(m->journalled);
		m->overall_us = now_us + (uint64_t)m->deadlines->overall_ms * US_PER_MS;
	}
	return to;
}

struct migration_output migration_event(
        struct migration *migration, enum migration_event event, uint64_t now_us)
{
	struct migration_move move;

	event = amounts_to(migration, event);
	migration->abort_asked |= event == EVENT_ABORT_ASKED && migration->yields;
	move = migration_lookup(migration->state, event);
	/* What is committed by an older record needs none of this epoch. */
	if (event == EVENT_JOURNAL_FAILED && is_past_commit(migration->journalled))
		return (struct migration_output){0};
	if (move.verdict == VERDICT_REFUSE)
		return (struct migration_output){.refused = move.why};
	if (move.verdict != VERDICT_MOVE)
		return (struct migration_output){0};
	if (move.to == STATE_REENTERED)
		move.to = reentered(migration, now_us);
	switch (move.how) {
	case HOW_GO:
		return enter(migration, move.to, now_us);
	case HOW_GIVE_UP:
		return give_up(migration, move.to, now_us);
	case HOW_REPEAT:
		migration->sm_vf = 0;
		/* fall through */
	case HOW_RETRY:
		migration->awaited = migration_road_parties(migration, migration->state);
		migration->failed = false;
		return (struct migration_output){.action = migration_state_action(migration->state),
		        .retry = move.how == HOW_RETRY};
	case HOW_WAIT:
		break;
	}
	return (struct migration_output){0};
}

struct migration_output migration_tick(struct migration *migration, uint64_t now_us)
{
	if (migration->overall_us && now_us >= migration->overall_us) {
		migration->overall_us = 0;
		return migration_event(migration, EVENT_OVERALL, now_us);
	}
	if (migration->timer_us && now_us >= migration->timer_us) {
		migration->timer_us = 0;
		return migration_event(migration, EVENT_TIMEOUT, now_us);
	}
	return (struct migration_output){0};
}

void migration_time_stop(struct migration *migration)
{
	migration->timer_us = 0;
}

void migration_time_run(struct migration *m, uint64_t now_us)
{
	if (!m->timer_us)
		m->timer_us = now_us + state_us(m, m->state);
}

void migration_turn_wait(struct migration *migration)
{
	migration->waits_turn = true;
	migration_time_stop(migration);
}

void migration_turn_take(struct migration *m, uint64_t now_us)
{
	m->waits_turn = false;
	m->busy_with = 0;
	migration_time_stop(m);
	migration_time_run(m, now_us);
}

void migration_turn_yield(struct migration *m, uint64_t other)
{
	m->waited_for += m->busy_with != other;
	m->busy_with = other;
	m->yields = !m->waits_turn;
}

uint64_t migration_next_us(const struct migration *migration)
{
	if (!migration->overall_us)
		return migration->timer_us;
	if (!migration->timer_us || migration->overall_us < migration->timer_us)
		return migration->overall_us;
	return migration->timer_us;
}
