/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The journal: a SQLite database of records (record_columns.def), so that after a crash it is known
 * what was going on. Belongs to tether-smd and its one thread; a second daemon on the same file is
 * kept out by a lock, readers (sqlite3(1)) are not.
 *
 * A record that is durable is on disk when journal_append returns. One that is not survives the
 * death of the process but perhaps not that of the machine; a durable one takes all before it
 * along, and what is lost is always the end: no record is there without all that were before it.
 */
#ifndef TETHER_JOURNAL_H
#define TETHER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "sm-side/journal/record.h"

struct journal;

/*
 * Open @path, made if it is not there, and hand what it knows to @take: epochs; then intents,
 * states, what shims have said, endings and findings, each kind in the order in which it was
 * written, of all migrations that have not ended and of the latest that have. @keep: so many that
 * have ended stay in the file. Why not, as a sentence, goes to @why where it is not NULL; the file
 * is as it was then.
 * -EINVAL: not a journal, or one of another schema; -EBADMSG: damaged, or not what @take takes;
 * -EBUSY: another process has it; or what open, read and write say.
 */
int journal_open(const char *path, unsigned keep,
        int (*take)(void *context, const struct record *record), void *context,
        struct journal **journal, char *why, size_t why_size);

/*
 * All of @records, or after an error none of them. -ENOSPC: the disk is full; -EAGAIN: somebody
 * else writes. The next call may succeed again.
 */
int journal_append(
        struct journal *journal, const struct record *records, size_t count, bool durable);

void journal_close(struct journal *journal);

#endif
