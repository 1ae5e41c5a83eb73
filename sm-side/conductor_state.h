/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the rooms of the conductor share: conductor.c performs what the state machine puts out,
 * conductor_ask.c asks and takes answers, conductor_record.c writes the journal,
 * conductor_recovery.c deals with what was before.
 */
#ifndef TETHER_CONDUCTOR_STATE_H
#define TETHER_CONDUCTOR_STATE_H

#include "sm-side/conductor.h"
#include "sm-side/root.h"
#include "sm-side/sm_link.h"

enum { US_PER_S = 1000000 };

struct conductor {
	struct event_base *base;
	const struct deadlines *deadlines;
	struct ledger *ledger;
	struct journal *journal;
	struct root *root;
	struct sm_link *sm; /* NULL: no fabric */
	struct event *timer, *retry, *next;
	struct ledger_entry *active;
	bool closing; /* nothing new begins */
	/* What is asked now and not answered. */
	uint32_t tree_sequence, host_sequence;
	uint64_t sm_id;
	bool sm_carried;
	bool lease_is_lost; /* the SM went away since it was asked for one */
	bool apply_asked;   /* so what the SM has done, or not, is not known here */
	enum migration_action sm_action;
	const char *host;                  /* who has host_sequence */
	enum migration_action held_action; /* waits for its host to connect */
	/* A slot's GUIDs that are being set right outside of any migration; epoch 0: none. */
	uint64_t mending_epoch;
	char mending_host[MIGRATION_NAME_BYTES];
	void (*changed)(void *owner);
	void *owner;
};

/* conductor.c */

/* The migration under way, or NULL. */
struct migration *conductor_current(const struct conductor *c);
void conductor_perform(struct conductor *c, struct migration_output output);
/* Feed an event; NULL, or the name of why it was refused. */
const char *conductor_feed(struct conductor *c, enum migration_event event);
/* Note what has been found here, for the migration's status. */
void conductor_find(struct migration *migration, const char *reason, const char *text);
/* Keep of an ended migration what late peers ask for, and let the rest go. */
void conductor_rows_let_go(struct conductor *c, struct migration *migration);

/* conductor_record.c: 0, or what journal_append says, which has been logged */

int conductor_record_epoch(struct conductor *c, uint64_t epoch);
int conductor_record_intent(struct conductor *c, const struct migration_intent *intent);
/* The state that the migration has just entered. */
int conductor_record_state(struct conductor *c, bool durable);
/* The plan in the SM's @answer; it need not be on disk before a state that asks for its APPLY. */
int conductor_record_plan(struct conductor *c, struct json_object *answer);

/* conductor_ask.c */

/* Ask every party that is awaited. */
void conductor_ask(struct conductor *c, enum migration_action action);
/* Tell VM and peers that the VM's QPs end with errors. */
void conductor_tell_error(struct conductor *c);
extern const struct root_callbacks conductor_root_callbacks;
extern const struct sm_link_callbacks conductor_sm_callbacks;

/* conductor_recovery.c */

/* If nothing is under way: go on with what was before the restart. */
void conductor_recover_next(struct conductor *c);
/* Numbers of VMs that have moved, from the journal. */
void conductor_numbers_restore(struct conductor *c);
/* If nothing is under way: where a slot of @host still shows a GUID that a VM holds elsewhere, have
 * it set right. */
void conductor_mend_guids(struct conductor *c, const char *host);
/* Is it the answer to that? Then it has been taken. */
bool conductor_mended_guids(struct conductor *c, const Tether__Answer *answer);
/* @host has migration @id open. If it has ended here, or was never known: tell it how it ended. */
void conductor_tell_end(struct conductor *c, const char *host, uint64_t id);

#endif
