/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "sm-side/migration_table.h"

enum { US_PER_MS = 1000 };

void migration_init(struct migration *migration, const struct migration_intent *intent,
        const struct deadlines *deadlines)
{
	*migration = (struct migration){.intent = *intent, .deadlines = deadlines};
	testimony_init(&migration->testimony);
	migration->testimony.shared_port = intent->shared_port;
}

void migration_clear(struct migration *migration)
{
	testimony_clear(&migration->testimony);
	free(migration->steps);
	migration->steps = NULL;
	migration->step_count = 0;
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

static bool action_needs_fabric(enum migration_action action)
{
	return migration_action_parties(action) == PARTY_SM || action == ACTION_NAME_DESTINATION ||
	       action == ACTION_NAME_SOURCE || action == ACTION_NAME_SOURCE_BACK ||
	       action == ACTION_NAME_DESTINATION_BACK || action == ACTION_LINK_DESTINATION ||
	       action == ACTION_LINK_SOURCE_BACK;
}

/* With prepopulated LIDs all links are up all the time, so no sweep is to be waited for. */
static bool is_of_links(enum migration_state state)
{
	enum migration_action action = migration_state_action(state);

	return action == ACTION_LINK_DESTINATION || action == ACTION_LINK_SOURCE_BACK ||
	       action == ACTION_WAKE;
}

/* Whose QPs end with errors has no need of a port that is active; what a sweep has done is seen
 * when the port is. */
static bool is_not_of_its_links(const struct migration *m, enum migration_state state)
{
	if (!m->intent.dynamic)
		return is_of_links(state);
	if (migration_state_action(state) == ACTION_WAKE && m->given_up)
		return true;
	return state == STATE_CONFIRMING ||
	       ((state == STATE_BACK_LINKING || state == STATE_BACK_WAKING) && !m->unlinked);
}

static bool is_all_the_sms(enum migration_state state)
{
	return migration_action_parties(migration_state_action(state)) == PARTY_SM;
}

/* Between shared ports there is nothing to plan and nothing to lease; the SM is told where the
 * alias GUID is. */
static bool is_of_aliases(enum migration_state state)
{
	enum migration_action action = migration_state_action(state);

	return action == ACTION_APPLY || action == ACTION_UNDO;
}

/* With dynamic LIDs no two links are up with one GUID, and between shared ports there is no lease:
 * nothing to be set right before that. */
static bool is_before_lease(enum migration_state state)
{
	return state == STATE_RENAMING || state == STATE_REVACATING ||
	       state == STATE_BACK_RENAMING || state == STATE_BACK_REVACATING;
}

/* Without an SM there is no plan, no lease and no GUID to move. Where no GUID was touched there is
 * nothing to undo; else a sweep may have made the move, though nothing was applied. */
static bool is_stepped_over(const struct migration *m, enum migration_state state)
{
	if (is_before_lease(state) && (m->intent.dynamic || m->intent.shared_port))
		return true;
	if ((state == STATE_BACK_NAMING || state == STATE_BACK_RENAMING) && !m->vacated)
		return true;
	if ((state == STATE_BACK_VACATING || state == STATE_BACK_UNDOING) && !m->applied)
		return true;
	if (is_not_of_its_links(m, state))
		return true;
	if (m->intent.shared_port)
		return is_all_the_sms(state) && !(m->intent.fabric && is_of_aliases(state));
	return !m->intent.fabric && action_needs_fabric(migration_state_action(state));
}

/* Whose QPs were told to end with errors has no steps left to go through. */
static bool is_pointless(const struct migration *m, enum migration_state state)
{
	return m->given_up && state != STATE_ERRORING &&
	       migration_action_parties(migration_state_action(state)) == PARTY_TREE;
}

/* A VM that is given a VF where it is has nowhere to go back to. */
static enum migration_state back_instead(enum migration_state state)
{
	switch (state) {
	case STATE_BACK_LEASING:
	case STATE_BACK_NAMING:
	case STATE_BACK_UNLEASING:
		return STATE_BACK_UNLEASING;
	default:
		return STATE_LOST;
	}
}

static enum migration_state entered_instead(const struct migration *m, enum migration_state state)
{
	if (m->intent.reattach && migration_phase(state) == PHASE_BACK)
		state = back_instead(state);
	while (is_stepped_over(m, state))
		state = migration_lookup(state, EVENT_DONE).to;
	if (!is_pointless(m, state))
		return state;
	return m->intent.reattach ? STATE_DONE : STATE_LOST;
}

static unsigned parties_of(const struct migration *m, enum migration_state state)
{
	unsigned parties = migration_action_parties(migration_state_action(state));

	if (!m->intent.fabric || (m->intent.shared_port && !is_of_aliases(state)))
		parties &= ~PARTY_SM;
	return parties;
}

/* However often a plan is made anew, all attempts together have the time of one. */
static bool keeps_timer(enum migration_state from, enum migration_state to)
{
	return (from == STATE_APPLYING && to == STATE_REPLANNING) ||
	       (from == STATE_REPLANNING && to == STATE_APPLYING);
}

static void timers_set(struct migration *m, enum migration_state to, uint64_t now_us)
{
	if (migration_phase(to) == PHASE_ENDED)
		m->timer_us = m->overall_us = 0;
	else if (!keeps_timer(m->state, to) || !m->timer_us)
		m->timer_us = now_us +
		              (uint64_t)migration_state_deadline_ms(to, m->deadlines) * US_PER_MS;
	if (to == STATE_STOPPING)
		m->overall_us = now_us + (uint64_t)m->deadlines->overall_ms * US_PER_MS;
}

static bool is_past_commit(enum migration_state state)
{
	return migration_phase(state) == PHASE_FORWARD || migration_phase(state) == PHASE_BACK;
}

/* The way back is driven. */
static enum migration_report report_before(const struct migration *m, enum migration_state state)
{
	if (!m->intent.called || migration_phase(state) != PHASE_FORWARD)
		return REPORT_NONE;
	return migration_action_report(migration_state_action(state));
}

static struct migration_output enter(struct migration *m, enum migration_state to, uint64_t now_us)
{
	/* Who was not there yet when it was given up is told now. */
	bool tell = m->given_up && m->state == STATE_RECOVERING && !m->intent.reattach;

	to = entered_instead(m, to);
	timers_set(m, to, now_us);
	timeline_add(m, to, now_us);
	m->state = to;
	m->awaited = parties_of(m, to);
	m->failed = m->waits_turn = false;
	m->awaited_report = report_before(m, to);
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

/* The road of a migration whose memory has just moved and whose QPs are beyond saving. */
static enum migration_state reattach_start(const struct migration_intent *intent)
{
	bool shows_guids = !strcmp(intent->source.host, intent->destination.host) &&
	                   !strcmp(intent->source.slot, intent->destination.slot);

	return shows_guids ? STATE_ATTACHING : STATE_LEASING_AGAIN;
}

struct migration_output migration_start(struct migration *migration, uint64_t now_us)
{
	const struct migration_intent *intent = &migration->intent;
	struct migration_output output;

	migration->given_up = intent->reattach;
	output = enter(
	        migration, intent->reattach ? reattach_start(intent) : STATE_LOCATING, now_us);

	/* The first record holds the intent, also where the SM need not be asked. */
	output.durable = true;
	return output;
}

/* Whatever the road forward has behind it was reported, or found done. */
static unsigned reports_before(const struct migration *m, enum migration_state journalled)
{
	unsigned taken = 0;

	if (migration_phase(journalled) != PHASE_FORWARD)
		return 0;
	for (enum migration_state state = STATE_RELEASING; state < journalled; state++)
		if (report_before(m, state) != REPORT_NONE)
			taken |= 1U << report_before(m, state);
	return taken;
}

struct migration_output migration_recover(struct migration *migration,
        enum migration_state journalled, bool given_up, unsigned left_ms, uint64_t now_us)
{
	/* What the one has said is not in the journal. */
	migration->journalled = journalled == STATE_LOOKING_THERE ? STATE_LOOKING : journalled;
	migration->committed = is_past_commit(journalled);
	migration->given_up = given_up || (migration->committed && !left_ms);
	/* The last records may be missing from the disk: undoing nothing does no harm. */
	migration->applied = migration->unlinked = migration->committed;
	migration->vacated |= migration_phase(journalled) == PHASE_FORWARD;
	migration->reports_taken = reports_before(migration, journalled);
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
	return journalled == STATE_SETTLING || journalled == STATE_MENDING_SETTLING;
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
	case HOW_RETRY:
		migration->awaited = parties_of(migration, migration->state);
		migration->failed = false;
		return (struct migration_output){.action = migration_state_action(migration->state),
		        .retry = move.how == HOW_RETRY};
	case HOW_WAIT:
		break;
	}
	return (struct migration_output){0};
}

/*
 * All parties of PREPARE have said yes, or all of STOP: is the other end of each of the VM's QPs
 * among them? Of STOP too, since who connects again to an agent that was restarted comes between,
 * and its peer need not have come.
 */
static bool has_unpaired(struct migration *m)
{
	return testimony_find_unpaired(&m->testimony, m->intent.address.lid) != 0 &&
	       !m->intent.force;
}

struct migration_output migration_answered(
        struct migration *migration, unsigned party, bool done, uint64_t now_us)
{
	if (!(migration->awaited & party))
		return (struct migration_output){0};
	migration->awaited &= ~party;
	migration->failed |= !done;
	if (migration->awaited)
		return (struct migration_output){0};
	if ((migration->state == STATE_PREPARING || migration->state == STATE_STOPPING) &&
	        !migration->failed)
		migration->failed = has_unpaired(migration);
	return migration_event(migration, migration->failed ? EVENT_FAILED : EVENT_DONE, now_us);
}

static const char *vm_host(const struct migration *m)
{
	bool moved = m->state == STATE_REBUILDING || m->state == STATE_RECONNECTING ||
	             m->state == STATE_RESUMING;

	return moved ? m->intent.destination.host : m->intent.source.host;
}

/* @name is the VM's host, a process of the VM ("VM/PID.START") or that with its host before it. */
static bool is_of_vm(const struct migration *m, const char *name)
{
	const char *host = vm_host(m);
	size_t length = strlen(host);

	if (!strcmp(name, host))
		return true;
	if (!strncmp(name, host, length) && name[length] == '/')
		name += length + 1;
	length = strlen(m->intent.vm);
	return !strncmp(name, m->intent.vm, length) && (name[length] == '/' || !name[length]);
}

static size_t count_refusals_of_vm(const struct migration *m, const Tether__Answer *answer)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->n_refusals; i++)
		count += is_of_vm(m, answer->refusals[i]->who);
	return count;
}

/* Processes by name, or the whole host. */
static bool is_missing(const struct migration *m, const Tether__Answer *answer, bool host_only)
{
	for (size_t i = 0; i < answer->n_missing; i++) {
		if (host_only ? !strcmp(answer->missing[i], vm_host(m))
		              : is_of_vm(m, answer->missing[i]))
			return true;
	}
	return false;
}

/* See the header: after the commit the VM's own processes decide. */
static bool tree_has_done(const struct migration *m, const Tether__Answer *answer)
{
	size_t refused = count_refusals_of_vm(m, answer);

	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		return true;
	if (!m->committed || (!answer->n_refusals && !answer->n_missing))
		return false;
	if (m->state == STATE_RELEASING)
		return !refused && !is_missing(m, answer, false);
	if (is_missing(m, answer, true))
		return false;
	return !refused ||
	       testimony_count_of_vm(answer->answered, answer->n_answered, m->intent.vm) > refused;
}

struct migration_output migration_tree_answered(
        struct migration *migration, const Tether__Answer *answer, uint64_t now_us)
{
	bool done = tree_has_done(migration, answer);

	if (!(migration->awaited & PARTY_TREE))
		return (struct migration_output){0};
	if (testimony_take(&migration->testimony, migration->intent.vm,
	            migration->intent.address.lid, answer)) {
		testimony_find(&migration->testimony, "tether-smd", "bad-answer",
		        "an answer could not be taken: malformed tables or no memory");
		done = false;
	}
	return migration_answered(migration, PARTY_TREE, done, now_us);
}

/* "failed" is of whichever is awaited; when none is, of the one before. */
static bool is_repeated(const struct migration *m, enum migration_report report)
{
	bool is_due = report == REPORT_FAILED ? m->awaited_report != REPORT_NONE
	                                      : m->awaited_report == report;

	return m->reports_taken & 1U << report && !is_due;
}

struct migration_output migration_reported(
        struct migration *migration, enum migration_report report, uint64_t now_us)
{
	if (migration->state == STATE_RECOVERING)
		return (struct migration_output){.refused = "recovering"};
	if (is_repeated(migration, report))
		return (struct migration_output){0};
	if (migration->awaited_report == REPORT_NONE ||
	        (report != REPORT_FAILED && report != migration->awaited_report))
		return (struct migration_output){.refused = "not-awaited"};
	migration->awaited_report = REPORT_NONE;
	migration->reports_taken |= 1U << report;
	if (report == REPORT_FAILED)
		return migration_answered(migration, PARTY_HOST, false, now_us);
	return (struct migration_output){.action = migration_state_action(migration->state)};
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
		m->timer_us =
		        now_us +
		        (uint64_t)migration_state_deadline_ms(m->state, m->deadlines) * US_PER_MS;
}

void migration_turn_wait(struct migration *migration)
{
	migration->waits_turn = true;
	migration_time_stop(migration);
}

void migration_turn_take(struct migration *m, uint64_t now_us)
{
	m->waits_turn = false;
	migration_time_stop(m);
	migration_time_run(m, now_us);
}

uint64_t migration_next_us(const struct migration *migration)
{
	if (!migration->overall_us)
		return migration->timer_us;
	if (!migration->timer_us || migration->overall_us < migration->timer_us)
		return migration->overall_us;
	return migration->timer_us;
}
