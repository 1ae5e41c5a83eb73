/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The migrations that are known: those under way and the latest that have ended, and what of each
 * goes into the journal and comes back. Pure: records in, records out. Belongs to the conductor and
 * its thread.
 */
#ifndef TETHER_LEDGER_H
#define TETHER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sm-side/journal/record.h"

struct ledger_entry {
	struct ledger_entry *older;
	struct migration migration;
	unsigned changes;        /* counts states entered, for those who wait for news */
	bool end_is_owed;        /* it has ended, and the journal does not know yet */
	int64_t overall_wall_us; /* the overall deadline by the clock on the wall; 0: none yet */
	/* Whom it is to be said that the VM has moved, names with a blank between; NULL: nobody. */
	char *servers;
	bool news_are_out; /* they are being told */
	bool news_are_said;
};

struct ledger {
	struct ledger_entry *newest;
	size_t count;
	uint64_t epoch;   /* highest so far */
	uint64_t last_id; /* highest so far */
	const struct deadlines *deadlines;
};

void ledger_init(struct ledger *ledger, const struct deadlines *deadlines);
void ledger_clear(struct ledger *ledger);

/* A new migration; the oldest that has ended is forgotten where there are too many. NULL: no
 * memory. */
struct ledger_entry *ledger_add(struct ledger *ledger, const struct migration_intent *intent);
struct ledger_entry *ledger_find(const struct ledger *ledger, uint64_t id);
/* Of those that have not ended, the oldest; NULL: none. */
struct ledger_entry *ledger_oldest_open(const struct ledger *ledger);

/*
 * When all records have been taken: whoever has not ended and whose VM was moved again later has
 * ended all the same, since its end was not written. It is closed with the end that the next one
 * began from, and that is owed to the journal.
 */
void ledger_close_overtaken(struct ledger *ledger);

/* The latest that knows the VM's address; NULL: none. */
const struct migration *ledger_latest_of(const struct ledger *ledger, const char *vm);

/* What a state entered is to the journal: the state, what the shims have said where it hands that
 * on, and at the end counts and findings. Pointers go into the migration. */
struct ledger_records {
	struct record *at;
	size_t count;
	uint8_t *said;
};

/* The intent; how many. */
size_t ledger_intent_records(
        const struct migration_intent *intent, struct record records[MIGRATION_VFS_MAX]);
/* By which GIDs its VM is known; how many. */
size_t ledger_gid_records(
        const struct migration *migration, struct record records[MIGRATION_GIDS_MAX]);
/* -ENOMEM. */
int ledger_state_records(const struct ledger_entry *entry, struct ledger_records *records);
/* That its news are to be said, or have been. */
struct record ledger_news_record(const struct ledger_entry *entry);
void ledger_records_clear(struct ledger_records *records);

/*
 * Take one record of the journal: afterwards a migration's state is that of its last record, its
 * timeline is in microseconds since 1970 and nothing of it runs. -EBADMSG: it does not follow from
 * those before it.
 */
int ledger_take(struct ledger *ledger, const struct record *record);

#endif
