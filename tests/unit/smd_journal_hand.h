/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Journals by hand, for the tests of sm-side/journal/journal.h: a folder for one, records to put
 * in, what is heard when one is read, and the files' bytes.
 */
#ifndef TETHER_TEST_SMD_JOURNAL_HAND_H
#define TETHER_TEST_SMD_JOURNAL_HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sm-side/journal/journal.h"
#include "sm-side/journal/ledger.h"

enum { KEEP = 10000, LINES_MAX = 4096, LINE_BYTES = 96, FILE_BYTES_MAX = 4 << 20 };

extern char path[64], wal[80]; /* of the journal and its WAL */

/* What has been read, a line for each record, told by what is in all of its cells. */
struct heard {
	char (*lines)[LINE_BYTES];
	int count;
};

/* What a record is told by. */
void line_of(const struct record *record, char line[LINE_BYTES]);
int hear(void *context, const struct record *record);
struct heard heard_new(void);
int open_keeping(unsigned keep, struct heard *heard, struct journal **journal);
int open_and_hear(struct heard *heard, struct journal **journal);
bool has(const struct heard *heard, const struct record *record);
void forget_file(void);
struct record epoch_of(uint64_t epoch);
struct record intent_of(uint64_t id);
struct record state_of(uint64_t id, enum migration_state state);
struct record said_of(uint64_t id, const char *bytes);
struct record plan_of(uint64_t id, const char *hash);
struct record ending_of(uint64_t id);
struct record finding_of(uint64_t id);
int write_one(struct journal *journal, struct record record, bool durable);
/* As tether-smd writes a migration; @ends: to its end. */
void write_migration(struct journal *journal, uint64_t id, bool ends);
/* By a process that is killed, so that the WAL stays. */
void written_by_somebody_killed(void (*write)(struct journal *journal));
size_t bytes_read(const char *name, uint8_t *bytes);
void bytes_write(const char *name, const void *bytes, size_t length);
void assert_bytes(const char *name, const uint8_t *bytes, size_t length);
void write_two(struct journal *journal);
/* For the group: nothing that was made on the way may be left. */
int directory_make(void **unused);
int directory_remove(void **unused);

#endif
