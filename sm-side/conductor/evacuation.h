/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Evacuations that are known: which VMs leave a host, where each of them stands, where they may go.
 * Pure; the conductor's thread.
 */
#ifndef TETHER_EVACUATION_H
#define TETHER_EVACUATION_H

#include "sm-side/migration/admission.h"
#include "sm-side/journal/ledger.h"

enum evacuee_state {
	EVACUEE_WAITING,
	EVACUEE_MOVING,
	EVACUEE_DONE,
	EVACUEE_FAILED,
	EVACUEE_LEFT, /* the evacuation was aborted before its turn, or its move was */
	EVACUEE_STATE_COUNT,
};

struct evacuee {
	char vm[MIGRATION_NAME_BYTES];
	enum evacuee_state state;
	uint64_t migration; /* its latest; 0: none yet */
	unsigned unpaired; /* how often it was refused for connections of which one end was not seen
	                    */
	uint64_t held_by;  /* waits for the end of this one, which shares connections; 0: no */
	bool news;         /* it has not been told yet how it stands */
	bool unwritten;    /* nor has the journal */
	char *refused_by;  /* hosts that could not take it, names with a space between; NULL: none
	                    */
	char reason[64];   /* FAILED, or what it waits for: a name; "": nothing to be told */
	char text[256];    /* and a sentence */
};

struct evacuation {
	struct evacuation *older;
	uint64_t id;
	int64_t asked_wall_us; /* microseconds since 1970 */
	char host[MIGRATION_NAME_BYTES];
	char *destinations; /* names with a space between; "": any */
	bool force, aborted, ended;
	uint64_t ended_beside;   /* the latest one that there was when it ended */
	unsigned changes;        /* for those who wait for news */
	unsigned sm_turns;       /* refused in a row by an SM that was away or not the master */
	uint64_t write_again_us; /* the journal did not take it; by the monotonic clock */
	uint64_t pause_until_us; /* by the monotonic clock: nobody begins before */
	struct evacuee *vms;
	size_t count;
};

struct evacuations {
	struct evacuation *newest;
	uint64_t last_id;
};

/* What is asked: the names of the hosts that may take them, none: any. */
struct evacuation_wish {
	char host[MIGRATION_NAME_BYTES];
	char (*to)[MIGRATION_NAME_BYTES]; /* the owner's to free */
	size_t to_count;
	bool force;
};

void evacuations_clear(struct evacuations *evacuations);
struct evacuation *evacuations_find(const struct evacuations *evacuations, uint64_t id);
/* One of @host that has not ended; NULL: none. */
struct evacuation *evacuations_find_open(const struct evacuations *evacuations, const char *host);

/*
 * A new one, if the VMs with a VF on the host, and those on their way to it, all find a free one;
 * the names of those that do not are in the refusal. One without VF is FAILED from the beginning.
 * It takes its place in @evacuations by evacuations_add.
 */
struct admission evacuation_make(const struct inventory *inventory,
        const struct under_way *under_way, const struct evacuations *evacuations,
        const struct evacuation_wish *wish, struct evacuation **made);
void evacuations_add(struct evacuations *evacuations, struct evacuation *evacuation);
void evacuation_free(struct evacuation *evacuation);

/* To @names, which have a space between; one that has no room is left out. */
void evacuation_name_append(char *names, size_t size, const char *name);
/* NULL: there are none. */
bool evacuation_names_have(const char *names, const char *name);

/* It stands so now; @reason: why it failed, or what it waits for, else "". */
void evacuee_set(
        struct evacuee *evacuee, enum evacuee_state state, const char *reason, const char *text);
/* By @admission it cannot begin now; where it was to go on to another host it has failed. */
void evacuee_put_off(struct evacuee *evacuee, const struct admission *admission);
/* @migration is its own. */
void evacuee_moves(struct evacuee *evacuee, uint64_t migration);
/* What has become of its latest migration. */
void evacuee_look(
        struct evacuee *evacuee, struct evacuation *evacuation, const struct ledger *ledger);

const char *evacuee_state_name(enum evacuee_state state);
size_t evacuation_count(const struct evacuation *evacuation, enum evacuee_state state);

#endif
