/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Is this file a journal, and is it whole? Finds out without changing it, and makes a new one where
 * there is none. Belongs to the journal and its thread.
 */
#ifndef TETHER_JOURNAL_FILE_H
#define TETHER_JOURNAL_FILE_H

#include <stddef.h>

#include <sqlite3.h>

enum {
	JOURNAL_APPLICATION = 0x74657468, /* "teth", application_id of the database */
	JOURNAL_SCHEMA = 4,               /* user_version */
	JOURNAL_SCHEMA_BEFORE = 3,        /* without the table `gids`; raised as it is opened */
};

struct why {
	char *text; /* may be NULL */
	size_t size;
};

/* Write the sentence; @err is handed back. */
int why_say(struct why why, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The errno behind what @db has just met with, negative. */
int journal_file_errno(sqlite3 *db);

/*
 * Open the journal at @path, made if it is not there, and lock it with *@lock, a descriptor that
 * has to stay open for longer than *@db. It is whole by SQLite's own check and has our tables.
 * Nothing is written before journal_file_accept, though what is read may be the newer schema
 * already: closed before that, the file is as it was.
 * -EINVAL: not a journal, or a newer one; -EBADMSG: damaged; -EBUSY: another process has it; or
 * what open, read and write say.
 */
int journal_file_open(const char *path, sqlite3 **db, int *lock, struct why why);
/* From now on @db is written. -errno. */
int journal_file_accept(sqlite3 *db);

#endif
