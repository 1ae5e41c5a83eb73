/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal/journal_rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SQL_BYTES = 2048 };

/* What is nobody's any more leaves no row. For people: what is under way, what has been, one line
 * each; what was planned, an entry a line. */
static const char views[] =
        "CREATE INDEX states_of_migration ON states (migration);"
        "CREATE INDEX findings_of_migration ON findings (migration);"
        "CREATE TRIGGER directory_vm_left AFTER INSERT ON directory_vms WHEN NEW.host = '' "
        "BEGIN DELETE FROM directory_vms WHERE vm = NEW.vm; END;"
        "CREATE TRIGGER directory_slot_left AFTER INSERT ON directory_slots WHEN NEW.gone "
        "BEGIN DELETE FROM directory_slots WHERE host = NEW.host AND slot = NEW.slot; END;"
        "CREATE VIEW history AS SELECT m.id, datetime(m.asked_us / 1000000, 'unixepoch') AS asked, "
        "m.vm, m.source_host, m.destination_host, coalesce(e.outcome, 'under way') AS outcome, "
        "(SELECT s.state FROM states s WHERE s.migration = m.id AND s.state <> 'recovering' "
        "ORDER BY s.rowid DESC LIMIT 1) AS state, "
        "(SELECT max(s.at_us) / 1000 FROM states s WHERE s.migration = m.id) AS ms, "
        "e.lft_sets_physical, e.lft_sets_vswitch, e.pkey_sets, e.portinfo_sets, "
        "CASE WHEN m.shared_port THEN 'alias' WHEN m.dynamic THEN 'copy' ELSE 'swap' END AS kind "
        "FROM migrations m LEFT JOIN endings e ON e.migration = m.id;"
        "CREATE VIEW under_way AS SELECT * FROM history WHERE outcome = 'under way';"
        "CREATE VIEW steps AS SELECT s.migration, s.epoch, s.state, s.at_us, "
        "lead(s.at_us) OVER (PARTITION BY s.migration ORDER BY s.rowid) - s.at_us AS us, s.plan "
        "FROM states s;"
        "CREATE VIEW plan_entries AS "
        "WITH RECURSIVE entry(hash, at, size) AS ("
        "SELECT hash, 0, length(entries) FROM plans WHERE length(entries) > 0 UNION ALL "
        "SELECT hash, at + 12, size FROM entry WHERE at + 12 < size), "
        "part(hash, at, text) AS (SELECT e.hash, e.at, hex(substr(p.entries, e.at + 1, 12)) "
        "FROM entry e JOIN plans p ON p.hash = e.hash) "
        "SELECT hash, '0x' || lower(substr(text, 1, 16)) AS switch_guid, "
        "(instr('123456789ABCDEF', substr(text, 17, 1)) * 4096 + "
        "instr('123456789ABCDEF', substr(text, 18, 1)) * 256 + "
        "instr('123456789ABCDEF', substr(text, 19, 1)) * 16 + "
        "instr('123456789ABCDEF', substr(text, 20, 1))) AS lid, "
        "(instr('123456789ABCDEF', substr(text, 21, 1)) * 16 + "
        "instr('123456789ABCDEF', substr(text, 22, 1))) AS port_before, "
        "(instr('123456789ABCDEF', substr(text, 23, 1)) * 16 + "
        "instr('123456789ABCDEF', substr(text, 24, 1))) AS port_after FROM part;";

static const char *type_name(enum cell_type type)
{
	static const char *const names[] = {
	        [CELL_INTEGER] = "INTEGER", [CELL_TEXT] = "TEXT", [CELL_BLOB] = "BLOB"};

	return names[type];
}

static void append_columns(char *sql, enum record_kind kind,
        void (*append_one)(char *sql, const char *name, const char *type))
{
	struct record_shape shape = record_shape(kind);

	for (unsigned i = 0; i < shape.columns; i++)
		append_one(
		        sql, record_column_name(kind, i), type_name(record_column_type(kind, i)));
}

static void append(char *sql, const char *text)
{
	size_t length = strlen(sql);

	snprintf(sql + length, SQL_BYTES - length, "%s", text);
}

static void append_definition(char *sql, const char *name, const char *type)
{
	append(sql, name);
	append(sql, " ");
	append(sql, type);
	append(sql, " NOT NULL, ");
}

static void append_name(char *sql, const char *name, const char *type)
{
	append(sql, name);
	append(sql, ", ");
}

static void append_mark(char *sql, const char *name, const char *type)
{
	append(sql, "?, ");
}

static int table_create(sqlite3 *db, enum record_kind kind)
{
	struct record_shape shape = record_shape(kind);
	char sql[SQL_BYTES] = "CREATE TABLE ";

	append(sql, shape.table);
	append(sql, " (");
	append_columns(sql, kind, append_definition);
	append(sql, "sum INTEGER NOT NULL, ");
	append(sql, shape.clauses);
	append(sql, ") STRICT");
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int journal_rows_create(sqlite3 *db)
{
	int code = SQLITE_OK;

	for (int kind = 0; kind < RECORD_KIND_COUNT && code == SQLITE_OK; kind++)
		code = table_create(db, kind);
	return code == SQLITE_OK ? sqlite3_exec(db, views, NULL, NULL, NULL) : code;
}

int journal_rows_create_newer(sqlite3 *db)
{
	return table_create(db, RECORD_gid);
}

int journal_rows_drop_newer(sqlite3 *db)
{
	return sqlite3_exec(db, "DROP TABLE gids", NULL, NULL, NULL);
}

/* ---- writing ---- */

int journal_row_prepare(sqlite3 *db, enum record_kind kind, sqlite3_stmt **statement)
{
	struct record_shape shape = record_shape(kind);
	char sql[SQL_BYTES] = "";

	append(sql, shape.write);
	append(sql, " INTO ");
	append(sql, shape.table);
	append(sql, " (");
	append_columns(sql, kind, append_name);
	append(sql, "sum) VALUES (");
	append_columns(sql, kind, append_mark);
	append(sql, "?)");
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

static int cell_bind(sqlite3_stmt *statement, int at, const struct cell *cell)
{
	switch (cell->type) {
	case CELL_INTEGER:
		return sqlite3_bind_int64(statement, at, cell->integer);
	case CELL_TEXT:
		return sqlite3_bind_text64(
		        statement, at, cell->at, cell->length, SQLITE_STATIC, SQLITE_UTF8);
	default:
		return sqlite3_bind_blob64(
		        statement, at, cell->at ? cell->at : "", cell->length, SQLITE_STATIC);
	}
}

int journal_row_write(sqlite3_stmt *statement, const struct record *record)
{
	unsigned count = record_shape(record->kind).columns;
	struct cell cells[RECORD_CELLS_MAX];
	int code = SQLITE_OK;

	if (record_to_cells(record, cells))
		return SQLITE_MISMATCH;
	for (unsigned i = 0; i < count && code == SQLITE_OK; i++)
		code = cell_bind(statement, (int)i + 1, &cells[i]);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(
		        statement, (int)count + 1, record_sum(record->kind, cells));
	if (code == SQLITE_OK)
		code = sqlite3_step(statement) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
	/* Says what the step met with. */
	if (code == SQLITE_OK || code == SQLITE_ERROR)
		code = sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

/* ---- reading ---- */

static int cell_get(sqlite3_stmt *statement, int at, enum cell_type type, struct cell *cell)
{
	static const int types[] = {[CELL_INTEGER] = SQLITE_INTEGER,
	        [CELL_TEXT] = SQLITE_TEXT,
	        [CELL_BLOB] = SQLITE_BLOB};

	if (sqlite3_column_type(statement, at) != types[type])
		return -EBADMSG;
	*cell = (struct cell){.type = type};
	if (type == CELL_INTEGER) {
		cell->integer = sqlite3_column_int64(statement, at);
		return 0;
	}
	cell->at = type == CELL_TEXT ? (const void *)sqlite3_column_text(statement, at)
	                             : sqlite3_column_blob(statement, at);
	cell->length = (size_t)sqlite3_column_bytes(statement, at);
	if (!cell->at && type == CELL_TEXT)
		return -ENOMEM;
	return 0;
}

static int row_take(sqlite3_stmt *statement, enum record_kind kind,
        int (*take)(void *, const struct record *), void *context)
{
	unsigned count = record_shape(kind).columns;
	struct cell cells[RECORD_CELLS_MAX];
	struct record record;
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++)
		err = cell_get(statement, (int)i, record_column_type(kind, i), &cells[i]);
	if (!err && sqlite3_column_int64(statement, (int)count) != record_sum(kind, cells))
		err = -EBADMSG;
	if (!err)
		err = record_from_cells(kind, cells, &record);
	return err ? err : take(context, &record);
}

int journal_rows_read(sqlite3 *db, enum record_kind kind, const char *where,
        int (*take)(void *context, const struct record *record), void *context, int *err,
        int64_t *row)
{
	unsigned count = record_shape(kind).columns;
	char sql[SQL_BYTES] = "SELECT ";
	sqlite3_stmt *statement;
	int code;

	append_columns(sql, kind, append_name);
	append(sql, "sum, rowid FROM ");
	append(sql, record_shape(kind).table);
	append(sql, " ");
	append(sql, where);
	code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	if (code != SQLITE_OK)
		return code;
	*err = 0;
	while (!*err && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		*row = sqlite3_column_int64(statement, (int)count + 1);
		*err = row_take(statement, kind, take, context);
	}
	sqlite3_finalize(statement);
	return *err || code == SQLITE_DONE ? SQLITE_OK : code;
}
