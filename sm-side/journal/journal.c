/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "sm-side/journal/journal_file.h"
#include "sm-side/journal/journal_rows.h"

enum {
	PRUNE_PARTS = 100,       /* so many times, while as many migrations end as are kept */
	CHECKPOINT_PAGES = 1000, /* of the WAL */
	WAL_PAGES_MOST = 4000,   /* also where nothing ends: hosts say what is theirs */
};

struct journal {
	sqlite3 *db;
	int lock;
	sqlite3_stmt *begin, *commit, *write[RECORD_KIND_COUNT];
	unsigned keep;
	unsigned ended; /* since the last time that old ones were removed */
	int wal_pages;
	bool durable; /* what synchronous is set to */
};

/* ---- reading ---- */

#define OPEN "(SELECT id FROM migrations EXCEPT SELECT migration FROM endings)"
/* As many as the ledger keeps. */
#define LATEST "(SELECT migration FROM endings ORDER BY migration DESC LIMIT 1000)"
#define TOLD_EVACUATIONS                                                                           \
	"(SELECT id FROM evacuations WHERE NOT ended UNION "                                       \
	"SELECT id FROM (SELECT id FROM evacuations ORDER BY id DESC LIMIT 100))"
/* What VMs that are there have displaced, and what is left of others. */
#define OWING                                                                                      \
	"(SELECT id FROM (SELECT max(c.id) AS id, s.state AS state, c.dynamic AS dynamic, "        \
	"c.own_port_guid AS own FROM vm_changes c JOIN vm_states s ON s.change = c.id AND "        \
	"s.ended AND s.state <> 'refused' GROUP BY c.vm) WHERE (state = 'left' AND dynamic) OR "   \
	"(state <> 'absent' AND own <> '0x0000000000000000'))"
#define CHANGES                                                                                    \
	"(SELECT id FROM vm_changes EXCEPT SELECT change FROM vm_states WHERE ended UNION SELECT " \
	"id FROM (SELECT id FROM vm_changes ORDER BY id DESC LIMIT 1000) UNION SELECT id "         \
	"FROM " OWING ")"
#define OF_THOSE "WHERE migration IN " OPEN " OR migration IN " LATEST

static int rows_failed(struct journal *journal, const char *path, int code, int err,
        enum record_kind kind, int64_t row, struct why why)
{
	if (code == SQLITE_OK && err != -EBADMSG)
		return why_say(why, err, "%s could not be read", path);
	if (code == SQLITE_OK)
		return why_say(why, err,
		        "%s is damaged (row %" PRId64
		        " of %s is not as it was written); it was left "
		        "as it is. tether-smd(8) says what can be done",
		        path, row, record_shape(kind).table);
	return why_say(
	        why, journal_file_errno(journal->db), "%s: %s", path, sqlite3_errmsg(journal->db));
}

static int pass_over(void *unused, const struct record *record)
{
	return 0;
}

/* All of them, since a row whose number is damaged would be nobody's. */
static int rows_check(struct journal *journal, const char *path, struct why why)
{
	for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
		int64_t row = 0;
		int err = 0;
		int code = journal_rows_read(journal->db, kind, "", pass_over, NULL, &err, &row);

		if (code != SQLITE_OK || err)
			return rows_failed(journal, path, code, err, kind, row, why);
	}
	return 0;
}

static int rows_take(struct journal *journal, const char *path,
        int (*take)(void *, const struct record *), void *context, struct why why)
{
	static const struct {
		enum record_kind kind;
		const char *where;
	} parts[] = {
	        {RECORD_epoch, "ORDER BY epoch"},
	        {RECORD_intent, "WHERE id IN " OPEN " OR id IN " LATEST " ORDER BY id"},
	        {RECORD_state, OF_THOSE " ORDER BY rowid"},
	        {RECORD_vf, OF_THOSE " ORDER BY migration, place"},
	        {RECORD_gid, OF_THOSE " ORDER BY rowid"},
	        {RECORD_said, OF_THOSE " ORDER BY migration"},
	        {RECORD_ending, OF_THOSE " ORDER BY migration"},
	        {RECORD_finding, OF_THOSE " ORDER BY rowid"},
	        {RECORD_news, OF_THOSE " ORDER BY migration"},
	        {RECORD_evacuation, "WHERE id IN " TOLD_EVACUATIONS " ORDER BY id"},
	        {RECORD_evacuee,
	                "WHERE evacuation IN " TOLD_EVACUATIONS " ORDER BY evacuation, place"},
	        {RECORD_change, "WHERE id IN " CHANGES " ORDER BY id"},
	        {RECORD_change_state, "WHERE change IN " CHANGES " ORDER BY rowid"},
	        {RECORD_directory_vm, "ORDER BY vm"},
	        {RECORD_directory_slot, "ORDER BY host, slot"},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		int64_t row = 0;
		int err = 0;
		int code = journal_rows_read(
		        journal->db, parts[i].kind, parts[i].where, take, context, &err, &row);

		if (code != SQLITE_OK || err)
			return rows_failed(journal, path, code, err, parts[i].kind, row, why);
	}
	return 0;
}

/* ---- writing ---- */

static int statements_make(struct journal *journal)
{
	int code = sqlite3_prepare_v3(journal->db, "BEGIN IMMEDIATE", -1, SQLITE_PREPARE_PERSISTENT,
	        &journal->begin, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_prepare_v3(journal->db, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT,
		        &journal->commit, NULL);
	for (int kind = 0; kind < RECORD_KIND_COUNT && code == SQLITE_OK; kind++)
		code = journal_row_prepare(journal->db, kind, &journal->write[kind]);
	return code == SQLITE_OK ? 0 : journal_file_errno(journal->db);
}

/* A commit with FULL syncs the whole WAL, so all that were written with NORMAL before. */
static int durable_set(struct journal *journal, bool durable)
{
	if (journal->durable == durable)
		return SQLITE_OK;
	journal->durable = durable;
	return sqlite3_exec(journal->db,
	        durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL, NULL,
	        NULL);
}

static int statement_run(sqlite3_stmt *statement)
{
	sqlite3_step(statement);
	return sqlite3_reset(statement);
}

/* The error is asked for before the rollback forgets it. */
static int roll_back(struct journal *journal)
{
	int err = journal_file_errno(journal->db);

	if (!sqlite3_get_autocommit(journal->db))
		sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

/* Old ones out of the file, whose room is used again. */
static int prune(struct journal *journal)
{
	char sql[2048];

	snprintf(sql, sizeof(sql),
	        "BEGIN IMMEDIATE;"
	        "DELETE FROM migrations WHERE id IN (SELECT migration FROM endings ORDER BY "
	        "migration DESC LIMIT -1 OFFSET %u);"
	        "DELETE FROM evacuations WHERE ended AND id IN (SELECT id FROM evacuations ORDER "
	        "BY "
	        "id DESC LIMIT -1 OFFSET %u);"
	        "DELETE FROM evacuees WHERE evacuation NOT IN (SELECT id FROM evacuations);"
	        "DELETE FROM vm_changes WHERE id IN (SELECT change FROM vm_states WHERE ended) AND "
	        "id IN (SELECT id FROM vm_changes ORDER BY id DESC LIMIT -1 OFFSET %u) AND id NOT "
	        "IN " OWING ";"
	        "DELETE FROM plans WHERE migration < (SELECT min(id) FROM migrations);"
	        "DELETE FROM epochs WHERE epoch IN (SELECT epoch FROM epochs ORDER BY epoch DESC "
	        "LIMIT -1 OFFSET %u);"
	        "COMMIT",
	        journal->keep, journal->keep, journal->keep, journal->keep);
	if (durable_set(journal, false) == SQLITE_OK &&
	        sqlite3_exec(journal->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return roll_back(journal);
}

/* What is in the WAL goes into the file, and the WAL is written from its beginning again. */
static int checkpoint(struct journal *journal, int pages)
{
	if (journal->wal_pages <= pages ||
	        sqlite3_wal_checkpoint_v2(
	                journal->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
		return 0;
	return journal_file_errno(journal->db);
}

/*
 * What costs time is done when a migration has @ended: its VM waits for nothing any more. Only
 * where none does for long is the WAL made shorter in between. A failure does no harm: it is tried
 * again with the next end.
 */
static void tidy(struct journal *journal, bool ended)
{
	int err = 0;

	if (ended && journal->ended > journal->keep / PRUNE_PARTS) {
		err = prune(journal);
		journal->ended = err ? journal->ended : 0;
	}
	if (!err)
		err = checkpoint(journal, ended ? CHECKPOINT_PAGES : WAL_PAGES_MOST);
	if (err)
		log_warn("journal", "it could not be tidied up: %s", strerror(-err));
}

static int wal_grew(void *context, sqlite3 *db, const char *database, int pages)
{
	struct journal *journal = context;

	journal->wal_pages = pages;
	return SQLITE_OK;
}

static int write_all(struct journal *journal, const struct record *records, size_t count)
{
	int code = statement_run(journal->begin);

	for (size_t i = 0; i < count && code == SQLITE_OK; i++)
		code = journal_row_write(journal->write[records[i].kind], &records[i]);
	return code == SQLITE_OK ? statement_run(journal->commit) : code;
}

int journal_append(
        struct journal *journal, const struct record *records, size_t count, bool durable)
{
	int code = durable_set(journal, durable);
	unsigned ended = 0;

	if (code == SQLITE_OK)
		code = write_all(journal, records, count);
	if (code != SQLITE_OK) {
		int err = roll_back(journal);

		return code == SQLITE_MISMATCH ? -EINVAL : err;
	}
	for (size_t i = 0; i < count; i++)
		ended += records[i].kind == RECORD_ending ||
		         (records[i].kind == RECORD_change_state &&
		                 records[i].value.change_state.ended);
	journal->ended += ended;
	tidy(journal, ended);
	return 0;
}

/* ---- opening ---- */

static int open_checked(struct journal *journal, const char *path,
        int (*take)(void *, const struct record *), void *context, struct why why)
{
	int err = journal_file_open(path, &journal->db, &journal->lock, why);

	if (!err)
		err = rows_check(journal, path, why);
	if (!err)
		err = rows_take(journal, path, take, context, why);
	if (err)
		return err;
	err = journal_file_accept(journal->db);
	if (!err)
		err = statements_make(journal);
	if (err)
		return why_say(why, err, "%s cannot be written: %s", path, strerror(-err));
	sqlite3_wal_hook(journal->db, wal_grew, journal);
	return 0;
}

int journal_open(const char *path, unsigned keep,
        int (*take)(void *context, const struct record *record), void *context,
        struct journal **journal, char *why, size_t why_size)
{
	struct journal *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return why_say((struct why){why, why_size}, -ENOMEM, "no memory");
	made->lock = -1;
	made->keep = keep;
	made->ended = keep;
	made->durable = true;
	err = open_checked(made, path, take, context, (struct why){why, why_size});
	if (err) {
		journal_close(made);
		return err;
	}
	*journal = made;
	return 0;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	sqlite3_finalize(journal->begin);
	sqlite3_finalize(journal->commit);
	for (int kind = 0; kind < RECORD_KIND_COUNT; kind++)
		sqlite3_finalize(journal->write[kind]);
	sqlite3_close(journal->db);
	/* Any other descriptor of the file takes SQLite's own locks along when it is closed. */
	if (journal->lock >= 0)
		close(journal->lock);
	free(journal);
}
