/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/migration_table.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { RECORD_LAZY, RECORD_DURABLE, NAME_BYTES = 32 };

static const struct {
	const char *constant;
	const char *meaning;
	size_t deadline;
	enum migration_phase phase;
	enum migration_action action;
	int record;
} states[STATE_COUNT] = {
#define STATE(name, phase, action, deadline, record, meaning)                                      \
	{#name, meaning, offsetof(struct deadlines, deadline), PHASE_##phase, ACTION_##action,     \
	        RECORD_##record},
#include "sm-side/migration/migration_states.def"
};

static char state_names[STATE_COUNT][NAME_BYTES];

/* FAILED_AT_SOURCE is for C, failed-at-source for people. */
__attribute__((constructor)) static void state_names_make(void)
{
	for (int i = 0; i < STATE_COUNT; i++) {
		for (int k = 0; k < NAME_BYTES - 1 && states[i].constant[k]; k++) {
			char c = states[i].constant[k];

			state_names[i][k] = c == '_' ? '-' : (char)tolower(c);
		}
	}
}

enum { TREE = PARTY_TREE, HOST = PARTY_HOST, SM = PARTY_SM, NOBODY = PARTY_NOBODY };

static const unsigned parties[ACTION_COUNT] = {
#define ACTION(name, parties) [ACTION_##name] = (parties),
#include "sm-side/migration/migration_states.def"
};

static const struct {
	enum migration_report report;
	enum migration_action action;
	const char *name;
} reports[] = {
#define REPORT(name, action, text) {REPORT_##name, ACTION_##action, text},
#include "sm-side/migration/migration_states.def"
        {REPORT_FAILED, ACTION_NOTHING, "failed"},
};

static const struct {
	enum migration_state from;
	enum migration_event event;
	enum migration_state to;
	enum migration_how how;
} moves[] = {
#define MOVE(from, event, to, how) {STATE_##from, EVENT_##event, STATE_##to, HOW_##how},
#include "sm-side/migration/migration_states.def"
};

static const struct {
	enum migration_phase phase;
	enum migration_event event;
	enum migration_verdict verdict;
	const char *why;
} rules[] = {
#define ALWAYS(phase, event, verdict, why) {PHASE_##phase, EVENT_##event, VERDICT_##verdict, why},
#include "sm-side/migration/migration_states.def"
};

static const struct {
	enum migration_state journalled;
	enum migration_fact fact;
	enum migration_state to;
} reenters[] = {
#define REENTER(journalled, fact, to) {STATE_##journalled, FACT_##fact, STATE_##to},
#include "sm-side/migration/migration_states.def"
};

static const char *const event_names[EVENT_COUNT] = {
        [EVENT_DONE] = "done",
        [EVENT_FAILED] = "failed",
        [EVENT_BROKEN] = "broken",
        [EVENT_BUSY] = "busy",
        [EVENT_ALREADY] = "already there",
        [EVENT_STALE] = "stale",
        [EVENT_TIMEOUT] = "timeout",
        [EVENT_OVERALL] = "overall deadline",
        [EVENT_ABORT_ASKED] = "abort asked",
        [EVENT_AGENT_LOST] = "agent lost",
        [EVENT_SM_LOST] = "SM lost",
        [EVENT_SM_BACK] = "SM back",
        [EVENT_JOURNAL_FAILED] = "journal failed",
};

struct migration_move migration_lookup(enum migration_state state, enum migration_event event)
{
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		if (moves[i].from == state && moves[i].event == event)
			return (struct migration_move){
			        VERDICT_MOVE, moves[i].to, moves[i].how, NULL};
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (rules[i].phase == states[state].phase && rules[i].event == event)
			return (struct migration_move){
			        rules[i].verdict, state, HOW_WAIT, rules[i].why};
	}
	return (struct migration_move){VERDICT_MISSING, state, HOW_WAIT, NULL};
}

enum migration_state migration_reenter(enum migration_state journalled, enum migration_fact fact)
{
	for (size_t i = 0; i < ARRAY_SIZE(reenters); i++) {
		if (reenters[i].journalled == journalled &&
		        (reenters[i].fact == FACT_ANYWHERE || reenters[i].fact == fact))
			return reenters[i].to;
	}
	return STATE_COUNT;
}

bool migration_reenter_asks(enum migration_state journalled, enum migration_fact fact)
{
	for (size_t i = 0; i < ARRAY_SIZE(reenters); i++) {
		if (reenters[i].journalled == journalled && reenters[i].fact == fact)
			return true;
	}
	return false;
}

enum migration_phase migration_phase(enum migration_state state)
{
	return states[state].phase;
}

enum migration_action migration_state_action(enum migration_state state)
{
	return states[state].action;
}

bool migration_state_durable(enum migration_state state)
{
	return states[state].record == RECORD_DURABLE;
}

unsigned migration_action_parties(enum migration_action action)
{
	return parties[action];
}

enum migration_report migration_action_report(enum migration_action action)
{
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
		if (action != ACTION_NOTHING && reports[i].action == action)
			return reports[i].report;
	return REPORT_NONE;
}

const char *migration_report_name(enum migration_report report)
{
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
		if (reports[i].report == report)
			return reports[i].name;
	return "";
}

int migration_report_parse(const char *name, enum migration_report *report)
{
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
		if (!strcmp(reports[i].name, name)) {
			*report = reports[i].report;
			return 0;
		}
	}
	return -ENOENT;
}

const char *migration_state_name(enum migration_state state)
{
	return state_names[state];
}

const char *migration_state_meaning(enum migration_state state)
{
	return states[state].meaning;
}

int migration_state_parse(const char *name, enum migration_state *state)
{
	for (int i = 0; i < STATE_COUNT; i++) {
		if (!strcmp(state_names[i], name)) {
			*state = (enum migration_state)i;
			return 0;
		}
	}
	return -ENOENT;
}

const char *migration_event_name(enum migration_event event)
{
	return event_names[event];
}

unsigned migration_state_deadline_ms(enum migration_state state, const struct deadlines *deadlines)
{
	return *(const unsigned *)((const char *)deadlines + states[state].deadline);
}
