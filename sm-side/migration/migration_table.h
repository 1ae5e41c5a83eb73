/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * migration_states.def made readable to C: states, events, actions, and what follows from what.
 * Pure and constant; any thread.
 */
#ifndef TETHER_MIGRATION_TABLE_H
#define TETHER_MIGRATION_TABLE_H

#include <stdbool.h>

#include "notifier/base/deadlines.h"

enum migration_state {
#define STATE(name, phase, action, deadline, record, meaning) STATE_##name,
#include "sm-side/migration/migration_states.def"
	STATE_COUNT,
	STATE_REENTERED, /* in MOVE rows only */
};

enum migration_phase {
	PHASE_TRYING,
	PHASE_LEAVING,
	PHASE_FORWARD,
	PHASE_BACK,
	PHASE_RECOVERY,
	PHASE_ENDED,
};

enum migration_event {
	EVENT_DONE,    /* everybody asked has done it */
	EVENT_FAILED,  /* somebody could not */
	EVENT_BROKEN,  /* to be left before the commit, but QPs are broken */
	EVENT_BUSY,    /* the SM is in a sweep */
	EVENT_ALREADY, /* a sweep has done what was to be planned */
	EVENT_STALE,   /* the plan does not fit the fabric any more */
	EVENT_TIMEOUT, /* of the step */
	EVENT_OVERALL, /* the overall deadline, which runs from STOP on */
	EVENT_ABORT_ASKED,
	EVENT_AGENT_LOST, /* the source's or the destination's is not there for the commit */
	EVENT_SM_LOST,
	EVENT_SM_BACK,
	EVENT_JOURNAL_FAILED,
	EVENT_COUNT,
};

enum migration_action {
	ACTION_NOTHING,
#define ACTION(name, parties) ACTION_##name,
#include "sm-side/migration/migration_states.def"
	ACTION_COUNT,
};

/* What an orchestrator reports of a called migration. */
enum migration_report {
	REPORT_NONE,
#define REPORT(name, action, text) REPORT_##name,
#include "sm-side/migration/migration_states.def"
	REPORT_FAILED, /* of whichever is awaited */
	REPORT_COUNT,
};

/* Who is asked, as bits. */
enum { PARTY_NOBODY = 0, PARTY_TREE = 1, PARTY_HOST = 2, PARTY_SM = 4, PARTY_ALL = 7 };

/* Where the VM is, by the inventories of both hosts and by the SM. */
enum migration_fact {
	FACT_ANYWHERE, /* not known */
	FACT_AT_SOURCE,
	FACT_AT_SOURCE_WITHOUT_VF,
	FACT_AT_DESTINATION,
	FACT_AT_DESTINATION_WITHOUT_VF,
	FACT_SHOWN_TWICE, /* both slots show its GUID */
	FACT_NOT_CARRIED, /* the fabric does not carry it to where the journal has it by now */
	FACT_COUNT,
};

enum migration_how { HOW_GO, HOW_WAIT, HOW_REPEAT, HOW_RETRY, HOW_GIVE_UP };
enum migration_verdict { VERDICT_MOVE, VERDICT_IGNORE, VERDICT_REFUSE, VERDICT_MISSING };

struct migration_move {
	enum migration_verdict verdict;
	enum migration_state to;
	enum migration_how how;
	const char *why; /* IGNORE, REFUSE */
};

struct migration_move migration_lookup(enum migration_state state, enum migration_event event);
/* STATE_COUNT: the table has no row for it. */
enum migration_state migration_reenter(enum migration_state journalled, enum migration_fact fact);
/* Does it matter for @journalled whether @fact holds? */
bool migration_reenter_asks(enum migration_state journalled, enum migration_fact fact);
enum migration_phase migration_phase(enum migration_state state);
enum migration_action migration_state_action(enum migration_state state);
bool migration_state_durable(enum migration_state state);
unsigned migration_action_parties(enum migration_action action);
/* What has to be reported before the host is asked for @action; NONE: nothing. */
enum migration_report migration_action_report(enum migration_action action);
const char *migration_report_name(enum migration_report report); /* "detached" */
int migration_report_parse(const char *name, enum migration_report *report);
const char *migration_state_name(enum migration_state state); /* "failed-at-source" */
const char *migration_state_meaning(enum migration_state state);
int migration_state_parse(const char *name, enum migration_state *state);
const char *migration_event_name(enum migration_event event);
unsigned migration_state_deadline_ms(enum migration_state state, const struct deadlines *deadlines);

#endif
