/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_change.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum {
	US_PER_MS = 1000,
	NAME_BYTES = 24,
	SETBACKS_MAX = 20,
};

enum { RECORD_LAZY, RECORD_DURABLE };

static const struct {
	const char *constant;
	const char *meaning;
	size_t deadline;
	enum change_phase phase;
	enum change_action action;
	int record;
} states[CHANGE_STATE_COUNT] = {
#define STATE(name, phase, action, deadline, record, meaning)                                      \
	{#name, meaning, offsetof(struct deadlines, deadline), CHANGE_##phase,                     \
	        CHANGE_ACTION_##action, RECORD_##record},
#include "sm-side/vm_change/vm_change_states.def"
};

static char state_names[CHANGE_STATE_COUNT][NAME_BYTES];

/* END_LEASING is for C, end-leasing for people. */
__attribute__((constructor)) static void state_names_make(void)
{
	for (int i = 0; i < CHANGE_STATE_COUNT; i++) {
		for (int k = 0; k < NAME_BYTES - 1 && states[i].constant[k]; k++) {
			char c = states[i].constant[k];

			state_names[i][k] = c == '_' ? '-' : (char)tolower(c);
		}
	}
}

enum { HOST = PARTY_HOST, SM = PARTY_SM, NOBODY = PARTY_NOBODY };

static const unsigned parties[CHANGE_ACTION_COUNT] = {
#define ACTION(name, parties) [CHANGE_ACTION_##name] = (parties),
#include "sm-side/vm_change/vm_change_states.def"
};

static const struct {
	enum change_state from;
	enum change_event event;
	enum change_state to;
	enum migration_how how;
} moves[] = {
#define MOVE(from, event, to, how) {CHANGE_##from, CHANGE_EVENT_##event, CHANGE_##to, HOW_##how},
#include "sm-side/vm_change/vm_change_states.def"
};

static const struct {
	enum change_phase phase;
	enum change_event event;
	const char *why;
} rules[] = {
#define ALWAYS(phase, event, why) {CHANGE_##phase, CHANGE_EVENT_##event, why},
#include "sm-side/vm_change/vm_change_states.def"
};

static const struct {
	enum change_state journalled, to;
} reenters[] = {
#define REENTER(journalled, to) {CHANGE_##journalled, CHANGE_##to},
#include "sm-side/vm_change/vm_change_states.def"
};

/* ---- the table ---- */

struct change_move change_lookup(enum change_state state, enum change_event event)
{
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++)
		if (moves[i].from == state && moves[i].event == event)
			return (struct change_move){CHANGE_MOVES, moves[i].to, moves[i].how, NULL};
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].phase == states[state].phase && rules[i].event == event)
			return (struct change_move){CHANGE_IGNORES, state, HOW_WAIT, rules[i].why};
	return (struct change_move){CHANGE_MISSING, state, HOW_WAIT, NULL};
}

enum change_state change_reenter(enum change_state journalled)
{
	for (size_t i = 0; i < ARRAY_SIZE(reenters); i++)
		if (reenters[i].journalled == journalled)
			return reenters[i].to;
	return CHANGE_STATE_COUNT;
}

enum change_phase change_phase(enum change_state state)
{
	return states[state].phase;
}

enum change_action change_state_action(enum change_state state)
{
	return states[state].action;
}

bool change_state_durable(enum change_state state)
{
	return states[state].record == RECORD_DURABLE;
}

unsigned change_action_parties(enum change_action action)
{
	return parties[action];
}

const char *change_state_name(enum change_state state)
{
	return state_names[state];
}

const char *change_state_meaning(enum change_state state)
{
	return states[state].meaning;
}

int change_state_parse(const char *name, enum change_state *state)
{
	for (int i = 0; i < CHANGE_STATE_COUNT; i++) {
		if (!strcmp(state_names[i], name)) {
			*state = (enum change_state)i;
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- one change ---- */

void vm_change_init(struct vm_change *change, const struct vm_change_intent *intent,
        const struct deadlines *deadlines)
{
	*change = (struct vm_change){.intent = *intent,
	        .deadlines = deadlines,
	        .state = intent->destroys ? CHANGE_ASKING : CHANGE_CHECKING,
	        .lid = intent->lid};
}

bool vm_change_ended(const struct vm_change *change)
{
	return states[change->state].phase == CHANGE_ENDED;
}

const char *vm_change_outcome(const struct vm_change *change)
{
	switch (change->state) {
	case CHANGE_PRESENT:
		return change->intent.destroys ? "failed" : "done";
	case CHANGE_ABSENT:
		return change->intent.destroys ? "done" : "failed";
	case CHANGE_REFUSED:
		return "refused";
	case CHANGE_LEFT:
		return "incomplete";
	default:
		return NULL;
	}
}

static bool has_plans(const struct vm_change *change)
{
	return change->intent.dynamic && change->intent.fabric;
}

/* Of a creation that the SM was not asked to apply there is nothing to take back. */
static bool is_sm_concerned(const struct vm_change *change, enum change_state state)
{
	return has_plans(change) && (states[state].phase != CHANGE_CLEARING ||
	                                    change->intent.destroys || change->touched);
}

bool vm_change_has_place(const struct vm_change *change)
{
	return !vm_change_ended(change) && change->state != CHANGE_AWAITING;
}

bool vm_change_is_under_lease(const struct vm_change *change)
{
	switch (change->state) {
	case CHANGE_PLANNING:
	case CHANGE_APPLYING:
	case CHANGE_LINKING:
	case CHANGE_UNLEASING:
	case CHANGE_UNLINKING:
	case CHANGE_END_PLANNING:
	case CHANGE_END_APPLYING:
	case CHANGE_END_UNLEASING:
		return is_sm_concerned(change, change->state);
	default:
		return false;
	}
}

static bool is_of_links(enum change_action action)
{
	return action == CHANGE_ACTION_NAME || action == CHANGE_ACTION_LINK_UP ||
	       action == CHANGE_ACTION_LINK_DOWN;
}

static unsigned parties_of(const struct vm_change *change, enum change_state state)
{
	unsigned asked = parties[states[state].action];

	if (!is_sm_concerned(change, state))
		asked &= ~(unsigned)PARTY_SM;
	if (!change->intent.dynamic && is_of_links(states[state].action))
		asked &= ~(unsigned)PARTY_HOST;
	return asked;
}

/* Each phase has its own time, and each question that was not asked before its own setbacks. */
static void allow(struct vm_change *change, enum change_state to, uint64_t now_us)
{
	if (!change->phase_us || change_phase(to) != change_phase(change->state))
		change->phase_us = now_us + (uint64_t)change->deadlines->change_ms * US_PER_MS;
	if (to <= change->farthest)
		return;
	change->farthest = to;
	change->setbacks = 0;
}

static struct vm_change_output enter(
        struct vm_change *change, enum change_state to, uint64_t now_us)
{
	while (states[to].phase != CHANGE_ENDED && !parties_of(change, to))
		to = change_lookup(to, CHANGE_EVENT_DONE).to;
	allow(change, to, now_us);
	change->begun = change_phase(change->state) != CHANGE_TRYING;
	change->state = to;
	change->awaited = parties_of(change, to);
	change->failed = false;
	change->touched |= to == CHANGE_APPLYING;
	change->changes++;
	change->timer_us = 0;
	if (states[to].phase != CHANGE_ENDED)
		vm_change_time_run(change, now_us);
	return (struct vm_change_output){.entered = true,
	        .durable = change_state_durable(to),
	        .action = states[to].action,
	        .parties = change->awaited};
}

struct vm_change_output vm_change_start(struct vm_change *change, uint64_t now_us)
{
	return enter(change, change->state, now_us);
}

struct vm_change_output vm_change_recover(struct vm_change *change, uint64_t now_us)
{
	enum change_state to = change_reenter(change->state);

	/* The record of a state in which it was asked may be missing. */
	change->touched |= states[to].phase == CHANGE_FORWARD;
	return enter(change, to, now_us);
}

/* What comes back to the same question too often comes to an end, and what has not begun need not.
 */
static enum change_event amounts_to(struct vm_change *change, enum change_event event)
{
	bool is_setback = event == CHANGE_EVENT_FAILED || event == CHANGE_EVENT_STALE ||
	                  event == CHANGE_EVENT_LEASE_LOST;

	if (event == CHANGE_EVENT_JOURNAL_FAILED && !change->begun &&
	        change_phase(change->state) != CHANGE_TRYING)
		return CHANGE_EVENT_UNBEGUN;
	if (!is_setback || ++change->setbacks < SETBACKS_MAX ||
	        change_lookup(change->state, CHANGE_EVENT_HOPELESS).verdict != CHANGE_MOVES)
		return event;
	return CHANGE_EVENT_HOPELESS;
}

struct vm_change_output vm_change_event(
        struct vm_change *change, enum change_event event, uint64_t now_us)
{
	struct change_move move;

	event = amounts_to(change, event);
	move = change_lookup(change->state, event);
	if (move.verdict != CHANGE_MOVES || move.how == HOW_WAIT)
		return (struct vm_change_output){0};
	if (move.how == HOW_GO)
		return enter(change, move.to, now_us);
	vm_change_time_run(change, now_us);
	/* An SM that is back is asked alone; what the host says beside it stands. */
	if (event == CHANGE_EVENT_SM_BACK)
		return (struct vm_change_output){
		        .action = states[change->state].action, .parties = PARTY_SM};
	change->awaited = parties_of(change, change->state);
	change->failed = false;
	return (struct vm_change_output){.action = states[change->state].action,
	        .parties = change->awaited,
	        .retry = move.how == HOW_RETRY,
	        .failed = event == CHANGE_EVENT_FAILED};
}

struct vm_change_output vm_change_answered(
        struct vm_change *change, unsigned party, bool done, uint64_t now_us)
{
	if (!(change->awaited & party))
		return (struct vm_change_output){0};
	change->awaited &= ~party;
	change->failed |= !done;
	if (change->awaited)
		return (struct vm_change_output){0};
	return vm_change_event(
	        change, change->failed ? CHANGE_EVENT_FAILED : CHANGE_EVENT_DONE, now_us);
}

/* What turned it off its road is to be found in its status. */
static void note_late(struct vm_change *change, enum change_event event)
{
	struct change_move move = change_lookup(change->state, event);
	char text[128];

	if (move.verdict != CHANGE_MOVES || move.how != HOW_GO || change->state == CHANGE_UNLEASING)
		return;
	/* What is given back late is given back. */
	if (change->state >= CHANGE_END_LEASING && move.to != CHANGE_LEFT)
		return;
	snprintf(text, sizeof(text), "in %s: %s", state_names[change->state],
	        states[change->state].meaning);
	vm_change_find(change, "tether-smd",
	        change->state == CHANGE_WAKING ? "port-not-active" : "timeout", text);
}

static bool ends_with_phase(const struct vm_change *change)
{
	return change_lookup(change->state, CHANGE_EVENT_OVERALL).verdict == CHANGE_MOVES;
}

uint64_t vm_change_next_us(const struct vm_change *change)
{
	if (!ends_with_phase(change) || (change->timer_us && change->timer_us < change->phase_us))
		return change->timer_us;
	return change->phase_us;
}

struct vm_change_output vm_change_tick(struct vm_change *change, uint64_t now_us)
{
	enum change_event event = CHANGE_EVENT_TIMEOUT;
	uint64_t due_us = vm_change_next_us(change);

	if (!due_us || now_us < due_us)
		return (struct vm_change_output){0};
	if (ends_with_phase(change) && now_us >= change->phase_us)
		event = CHANGE_EVENT_OVERALL;
	change->timer_us = 0;
	note_late(change, event);
	return vm_change_event(change, event, now_us);
}

void vm_change_time_stop(struct vm_change *change)
{
	change->timer_us = 0;
}

void vm_change_time_run(struct vm_change *change, uint64_t now_us)
{
	const char *row = (const char *)change->deadlines + states[change->state].deadline;

	if (!change->timer_us)
		change->timer_us = now_us + (uint64_t) * (const unsigned *)row * US_PER_MS;
}

void vm_change_find(struct vm_change *change, const char *who, const char *reason, const char *text)
{
	if (*change->reason)
		return;
	snprintf(change->who, sizeof(change->who), "%s", who);
	snprintf(change->reason, sizeof(change->reason), "%s", reason);
	snprintf(change->text, sizeof(change->text), "%s", text);
}
