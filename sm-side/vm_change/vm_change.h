/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One VM that gets a VF, or gives it up: the table of vm_change_states.def and what it needs to be
 * driven. Pure: what happens comes in as events with the time they came at (microseconds of any
 * monotonic clock), what has to be done goes out as a struct vm_change_output; no I/O, no clock.
 * Belongs to the conductor and its thread.
 *
 * It is the VF with its GUIDs and LID that comes and goes; the guest itself is its host's business.
 * Where a slot has GUIDs and LID before anybody is in it (prepopulated vSwitch, Shared Port), the
 * states of SM and link are stepped over.
 */
#ifndef TETHER_VM_CHANGE_H
#define TETHER_VM_CHANGE_H

#include "sm-side/migration/migration.h"

enum change_state {
#define STATE(name, phase, action, deadline, record, meaning) CHANGE_##name,
#include "sm-side/vm_change/vm_change_states.def"
	CHANGE_STATE_COUNT,
};

enum change_phase { CHANGE_TRYING, CHANGE_FORWARD, CHANGE_CLEARING, CHANGE_ENDED };

enum change_event {
	CHANGE_EVENT_DONE,     /* everybody asked has done it */
	CHANGE_EVENT_FAILED,   /* somebody could not */
	CHANGE_EVENT_HOPELESS, /* so often that asking again is of no use */
	CHANGE_EVENT_BUSY,     /* the SM is in a sweep, or the port not yet Active, or gone */
	CHANGE_EVENT_ALREADY,  /* nothing is to be planned */
	CHANGE_EVENT_STALE,    /* the plan does not fit the fabric any more */
	CHANGE_EVENT_LEASE_LOST,
	CHANGE_EVENT_TIMEOUT, /* of the step */
	CHANGE_EVENT_OVERALL, /* the phase's time is over */
	CHANGE_EVENT_SM_LOST,
	CHANGE_EVENT_SM_BACK,
	CHANGE_EVENT_JOURNAL_FAILED,
	CHANGE_EVENT_UNBEGUN, /* so has the first record of a state that changes anything */
	CHANGE_EVENT_TOLD_TO_END,
	CHANGE_EVENT_COUNT,
};

enum change_action {
	CHANGE_NOTHING,
#define ACTION(name, parties) CHANGE_ACTION_##name,
#include "sm-side/vm_change/vm_change_states.def"
	CHANGE_ACTION_COUNT,
};

enum {
	CHANGE_WORD_BYTES = 24,
	CHANGE_REASON_BYTES = 64,
	CHANGE_TEXT_BYTES = 256,
};

/* What is asked for; all of it is in its first record of the journal. */
struct vm_change_intent {
	uint64_t id, epoch;
	bool destroys;
	char vm[MIGRATION_NAME_BYTES];
	struct place place;
	struct identity identity; /* the VM's */
	struct identity own;      /* that the slot has without it; all 0: what it has then stays */
	uint16_t lid;             /* wanted; 0: the SM chooses */
	bool dynamic;             /* the slot's link is down and has no LID while it is empty */
	bool fabric;              /* there is an SM */
	int64_t asked_wall_us;    /* microseconds since 1970 */
};

struct vm_change {
	struct vm_change *older;
	struct vm_change_intent intent;
	const struct deadlines *deadlines;
	enum change_state state;
	unsigned awaited; /* parties that have not answered in this state */
	bool failed;      /* one that has answered could not */
	bool touched;     /* the SM may have promised a LID */
	bool begun; /* something may have been asked before this state that changes anything */
	unsigned setbacks; /* failures, plans and leases lost, since it got farther than ever */
	enum change_state farthest;
	uint16_t lid;      /* the VM's; 0: not known */
	uint32_t sequence; /* of the last order */
	uint64_t timer_us; /* of this state; 0: none */
	uint64_t phase_us; /* when its phase has taken too long */
	unsigned changes;  /* counts states entered, for those who wait for news */
	bool end_is_owed;  /* it has ended, and the journal does not know yet */
	char plan_hash[80];
	char who[MIGRATION_NAME_BYTES]; /* "": nothing was found */
	char reason[CHANGE_REASON_BYTES];
	char text[CHANGE_TEXT_BYTES];
};

struct vm_change_output {
	bool entered; /* write a record of the state before anything else */
	bool durable; /* and have it on disk */
	bool retry;   /* perform the action after a short while, not now */
	bool failed;  /* since somebody could not */
	enum change_action action;
	unsigned parties; /* who is asked for it */
};

enum change_verdict { CHANGE_MOVES, CHANGE_IGNORES, CHANGE_MISSING };

struct change_move {
	enum change_verdict verdict;
	enum change_state to;
	enum migration_how how;
	const char *why; /* IGNORES */
};

/* ---- the table ---- */

struct change_move change_lookup(enum change_state state, enum change_event event);
/* CHANGE_STATE_COUNT: the table has no row for it. */
enum change_state change_reenter(enum change_state journalled);
enum change_phase change_phase(enum change_state state);
enum change_action change_state_action(enum change_state state);
bool change_state_durable(enum change_state state);
unsigned change_action_parties(enum change_action action);
const char *change_state_name(enum change_state state); /* "end-leasing" */
const char *change_state_meaning(enum change_state state);
int change_state_parse(const char *name, enum change_state *state);

/* ---- one change ---- */

void vm_change_init(struct vm_change *change, const struct vm_change_intent *intent,
        const struct deadlines *deadlines);
bool vm_change_ended(const struct vm_change *change);
/* "done", "refused"; "failed": it is as it was before; "incomplete". NULL: has not ended. */
const char *vm_change_outcome(const struct vm_change *change);
/* It counts among those that may be at a time: has not ended, and does not wait for its host. */
bool vm_change_has_place(const struct vm_change *change);
/* It is under the SM's lease, or may be. */
bool vm_change_is_under_lease(const struct vm_change *change);

struct vm_change_output vm_change_start(struct vm_change *change, uint64_t now_us);
/* After a restart, from the state that it has by the journal. */
struct vm_change_output vm_change_recover(struct vm_change *change, uint64_t now_us);
struct vm_change_output vm_change_event(
        struct vm_change *change, enum change_event event, uint64_t now_us);
/* @party has answered. Nothing else is set where another is awaited still. */
struct vm_change_output vm_change_answered(
        struct vm_change *change, unsigned party, bool done, uint64_t now_us);
/* When to call vm_change_tick; 0: never. */
uint64_t vm_change_next_us(const struct vm_change *change);
/* TIMEOUT or OVERALL if one of them is due. */
struct vm_change_output vm_change_tick(struct vm_change *change, uint64_t now_us);
/* While it waits for another one's lease its step's time does not run. */
void vm_change_time_stop(struct vm_change *change);
void vm_change_time_run(struct vm_change *change, uint64_t now_us);

/* Why it does not go as asked; the first reason stays. */
void vm_change_find(
        struct vm_change *change, const char *who, const char *reason, const char *text);

#endif
