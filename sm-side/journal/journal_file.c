/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "sm-side/journal/journal_rows.h"

#define TEXT_JOURNAL "tether-journal "
#define MAGIC        "SQLite format 3"

enum {
	HEADER_BYTES = 100, /* of an SQLite database; big-endian */
	USER_VERSION_AT = 60,
	APPLICATION_ID_AT = 68,
	LOCKED_MS = 200, /* somebody writes with sqlite3(1) */
};

int why_say(struct why why, int err, const char *format, ...)
{
	va_list list;

	if (!why.text || !why.size)
		return err;
	va_start(list, format);
	vsnprintf(why.text, why.size, format, list);
	va_end(list);
	return err;
}

int journal_file_errno(sqlite3 *db)
{
	int system = sqlite3_system_errno(db);

	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_READONLY:
		return -EROFS;
	default:
		return system ? -system : -EIO;
	}
}

/* ---- a new one ---- */

static int directory_sync(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_CLOSE int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return -errno;
	return 0;
}

static int fill(sqlite3 *db)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
	        JOURNAL_APPLICATION, JOURNAL_SCHEMA);
	/* In WAL mode, so that what comes after is no change of mode. */
	if (sqlite3_exec(db, "PRAGMA journal_mode = WAL; BEGIN", NULL, NULL, NULL) ||
	        sqlite3_exec(db, sql, NULL, NULL, NULL) || journal_rows_create(db) ||
	        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL))
		return journal_file_errno(db);
	return 0;
}

/* @made is a file of no bytes. */
static int make_at(const char *made)
{
	sqlite3 *db = NULL;
	int err = -ENOMEM;

	if (sqlite3_open_v2(made, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
		err = fill(db);
	else if (db)
		err = journal_file_errno(db);
	/* Takes what is in the WAL into the file. */
	if (sqlite3_close(db) && !err)
		err = -EIO;
	return err;
}

/*
 * Made whole under another name and only then given its own, so that whoever dies here leaves none
 * and whoever finds one finds all of it.
 */
static int make(const char *path)
{
	CLEANUP_FREE char *name = NULL;
	CLEANUP_CLOSE int fd = -1;
	int err;

	if (asprintf(&name, "%s.new-XXXXXX", path) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = make_at(name);
	if (!err && fsync(fd))
		err = -errno;
	/* Somebody else may have been faster. */
	if (!err && link(name, path) && errno != EEXIST)
		err = -errno;
	unlink(name);
	return err ? err : directory_sync(path);
}

/* ---- whose is it? ---- */

static uint32_t number_at(const uint8_t *header, size_t at)
{
	return (uint32_t)header[at] << 24 | (uint32_t)header[at + 1] << 16 |
	       (uint32_t)header[at + 2] << 8 | header[at + 3];
}

/* Before SQLite sees it, which would roll a stranger's database back where that is due. */
static int header_check(int fd, const char *path, struct why why)
{
	uint8_t header[HEADER_BYTES] = {0};
	ssize_t got = pread(fd, header, sizeof(header), 0);
	uint32_t version = number_at(header, USER_VERSION_AT);

	if (got < 0)
		return why_say(why, -errno, "%s: %s", path, strerror(errno));
	if (!memcmp(header, TEXT_JOURNAL, sizeof(TEXT_JOURNAL) - 1))
		return why_say(why, -EINVAL,
		        "%s is the text journal of an earlier tether-smd; it was left as it is. "
		        "Let "
		        "that one end what is under way, then move the file away",
		        path);
	if (got < HEADER_BYTES || memcmp(header, MAGIC, sizeof(MAGIC)) ||
	        number_at(header, APPLICATION_ID_AT) != JOURNAL_APPLICATION)
		return why_say(why, -EINVAL,
		        "%s is not a journal of tether-smd; it was left as it is. Move it away, or "
		        "set `journal` to another path",
		        path);
	if (version != JOURNAL_SCHEMA && version != JOURNAL_SCHEMA_BEFORE)
		return why_say(why, -EINVAL,
		        "%s has schema %u and this tether-smd knows %d; it was left as it is. "
		        "Start "
		        "the tether-smd that wrote it",
		        path, version, JOURNAL_SCHEMA);
	return 0;
}

static int file_open(const char *path, int *lock, struct why why)
{
	int err;

	*lock = open(path, O_RDWR | O_CLOEXEC);
	if (*lock < 0 && errno == ENOENT) {
		err = make(path);
		if (err)
			return why_say(why, err, "%s could not be made: %s", path, strerror(-err));
		*lock = open(path, O_RDWR | O_CLOEXEC);
	}
	if (*lock < 0)
		return why_say(why, -errno, "%s: %s", path, strerror(errno));
	if (!flock(*lock, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return why_say(why, -errno, "%s: %s", path, strerror(errno));
	return why_say(why, -EBUSY, "%s belongs to another tether-smd that is running", path);
}

/* ---- is it whole? ---- */

static int damaged(const char *path, struct why why, const char *what)
{
	return why_say(why, -EBADMSG,
	        "%s is damaged (%s); it was left as it is. tether-smd(8) says what can be done",
	        path, what);
}

static int sql_failed(sqlite3 *db, const char *path, struct why why)
{
	int err = journal_file_errno(db);

	if (err == -EBADMSG)
		return damaged(path, why, sqlite3_errmsg(db));
	return why_say(why, err, "%s: %s (%s)", path, sqlite3_errmsg(db), strerror(-err));
}

/* The first row's first column, as a text that the caller frees. */
static int ask_text(sqlite3 *db, const char *sql, char **text)
{
	sqlite3_stmt *statement;
	const char *found;
	int code;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		return -EIO;
	code = sqlite3_step(statement);
	found = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
	*text = strdup(found ? found : "");
	sqlite3_finalize(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return -EIO;
	return *text ? 0 : -EIO;
}

static const char schema_of[] = "SELECT group_concat(type || name || coalesce(sql, ''), ';') FROM "
                                "(SELECT * FROM sqlite_schema ORDER BY type, name)";

/* What the tables of one of @version would be. */
static char *schema_expected(int version)
{
	sqlite3 *db = NULL;
	char *text = NULL;

	if (sqlite3_open(":memory:", &db) == SQLITE_OK && journal_rows_create(db) == SQLITE_OK &&
	        (version == JOURNAL_SCHEMA || journal_rows_drop_newer(db) == SQLITE_OK))
		ask_text(db, schema_of, &text);
	sqlite3_close(db);
	return text;
}

/* The header lags behind where the WAL has a newer one. */
static int version_ask(sqlite3 *db, int *version)
{
	CLEANUP_FREE char *text = NULL;

	if (ask_text(db, "PRAGMA user_version", &text))
		return -EIO;
	*version = atoi(text);
	return 0;
}

static int whole_check(sqlite3 *db, const char *path, int *version, struct why why)
{
	CLEANUP_FREE char *expected = NULL;
	CLEANUP_FREE char *schema = NULL;
	CLEANUP_FREE char *said = NULL;

	if (version_ask(db, version))
		return sql_failed(db, path, why);
	expected = schema_expected(*version);
	if (!expected)
		return why_say(why, -ENOMEM, "no memory");
	if (ask_text(db, schema_of, &schema))
		return sql_failed(db, path, why);
	if (strcmp(schema, expected))
		return damaged(path, why, "its tables are not those of a journal");
	if (ask_text(db, "PRAGMA integrity_check(1)", &said))
		return sql_failed(db, path, why);
	return strcmp(said, "ok") ? damaged(path, why, said) : 0;
}

/* One of the schema before gets what is new in this one: a transaction that is open until the
 * journal is accepted, so that one which is refused is as it was. */
static int schema_raise(sqlite3 *db, const char *path, struct why why)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", JOURNAL_SCHEMA);
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) ||
	        journal_rows_create_newer(db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
		return sql_failed(db, path, why);
	return 0;
}

int journal_file_open(const char *path, sqlite3 **db, int *lock, struct why why)
{
	int version = JOURNAL_SCHEMA, err = file_open(path, lock, why);

	if (!err)
		err = header_check(*lock, path, why);
	if (err)
		return err;
	if (sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return why_say(why, *db ? journal_file_errno(*db) : -ENOMEM, "%s: %s", path,
		        *db ? sqlite3_errmsg(*db) : "no memory");
	sqlite3_extended_result_codes(*db, 1);
	sqlite3_busy_timeout(*db, LOCKED_MS);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_wal_autocheckpoint(*db, 0);
	err = whole_check(*db, path, &version, why);
	return err || version == JOURNAL_SCHEMA ? err : schema_raise(*db, path, why);
}

/* With the header, by which a tether-smd of before names what it refuses; it can be without. */
static int raised_commit(sqlite3 *db)
{
	if (sqlite3_get_autocommit(db))
		return SQLITE_OK;
	if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return SQLITE_ERROR;
	sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

int journal_file_accept(sqlite3 *db)
{
	CLEANUP_FREE char *mode = NULL;

	if (raised_commit(db) || ask_text(db, "PRAGMA journal_mode = WAL", &mode))
		return journal_file_errno(db);
	if (strcmp(mode, "wal"))
		return -EOPNOTSUPP;
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	if (sqlite3_exec(
	            db, "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL", NULL, NULL, NULL))
		return journal_file_errno(db);
	return 0;
}
