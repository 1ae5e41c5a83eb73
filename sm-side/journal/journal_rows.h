/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Records as rows of a SQLite database: its tables and views, one row written, rows read. Belongs
 * to the journal and its thread.
 */
#ifndef TETHER_JOURNAL_ROWS_H
#define TETHER_JOURNAL_ROWS_H

#include <sqlite3.h>

#include "sm-side/journal/record.h"

/* Tables, indices and views of a new journal. An SQLite code. */
int journal_rows_create(sqlite3 *db);
/* What this schema has beside the one before. */
int journal_rows_create_newer(sqlite3 *db);
int journal_rows_drop_newer(sqlite3 *db);

/* The statement that writes a record of @kind, for journal_row_write; the caller finalizes it. */
int journal_row_prepare(sqlite3 *db, enum record_kind kind, sqlite3_stmt **statement);
/* SQLITE_OK, or why not. */
int journal_row_write(sqlite3_stmt *statement, const struct record *record);

/*
 * Hand every row of @kind for which @where holds (SQL behind SELECT ... FROM table) to @take, which
 * stops with another answer than 0. SQLITE_OK with *@err what @take returned, or -EBADMSG where a
 * row is not what was written (*@row says which, by its place in the table); else an SQLite code.
 */
int journal_rows_read(sqlite3 *db, enum record_kind kind, const char *where,
        int (*take)(void *context, const struct record *record), void *context, int *err,
        int64_t *row);

#endif
