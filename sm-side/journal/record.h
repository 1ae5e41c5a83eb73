/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Records of the journal: structs for C, rows of cells for the file, by record_columns.def. Each
 * row ends with a sum over its cells, so that damage does not pass for a record. Pure; any thread.
 */
#ifndef TETHER_RECORD_H
#define TETHER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sm-side/guid_text.h"
#include "sm-side/migration/migration.h"
#include "sm-side/vm_change/vm_change.h"

enum { RECORD_WORD_BYTES = 24 };

struct record_bytes {
	const void *at; /* not owned */
	size_t length;
};

struct epoch_record {
	uint64_t epoch;
	int64_t taken_us; /* since 1970 */
};

struct state_record {
	uint64_t migration, epoch;
	enum migration_state state;
	uint64_t at_us; /* since the migration was asked for */
	uint32_t sequence;
	struct address address;
	uint64_t source_switch;
	unsigned source_switch_port;
	char plan[PLAN_HASH_BYTES]; /* "": none */
	int64_t overall_us;         /* the overall deadline, since 1970; 0: does not run yet */
	bool given_up, vacated;
};

/* What of a VF beside the first the intent has, and its plan as far as there is one. */
struct vf_record {
	uint64_t migration;
	unsigned place; /* in the intent */
	struct moving_vf vf;
	char plan[PLAN_HASH_BYTES];
};

struct gid_record {
	uint64_t migration;
	uint8_t gid[GID_BYTES];
};

struct said_record {
	uint64_t migration;
	struct record_bytes said; /* as testimony_pack packs it */
};

struct plan_record {
	char hash[80];
	uint64_t migration; /* the latest that it is of */
	uint64_t generation;
	char order[RECORD_WORD_BYTES], reach[RECORD_WORD_BYTES];
	unsigned lft_sets;
	struct record_bytes entries;
};

struct ending_record {
	uint64_t migration;
	enum migration_state outcome;
	struct migration_counts counts;
	Tether__Counts said;
};

struct finding_record {
	uint64_t migration;
	const char *who, *reason, *text; /* not owned */
};

struct news_record {
	uint64_t migration;
	const char *servers; /* names with a blank between; not owned */
	bool told;           /* they have been told, or will not be */
};

struct evacuation_record {
	uint64_t id;
	int64_t asked_us; /* since 1970 */
	char host[MIGRATION_NAME_BYTES];
	const char *destinations; /* names with a space between; not owned */
	bool force, aborted, ended;
	uint64_t ended_beside; /* the latest evacuation that there was then; 0: it has not */
};

struct change_state_record {
	uint64_t change, epoch;
	char state[RECORD_WORD_BYTES]; /* of enum change_state, by name */
	uint16_t lid;
	bool touched, ended;
	const char *who, *reason, *text; /* not owned */
};

struct evacuee_record {
	uint64_t evacuation;
	unsigned place; /* in its list */
	char vm[MIGRATION_NAME_BYTES];
	char state[RECORD_WORD_BYTES];
	uint64_t migration;
	const char *reason, *text; /* not owned */
	unsigned changes;          /* of the evacuation, until then */
};

/* Whose a VM is ("": nobody's any more), and what the SM said of it. */
struct directory_vm_record {
	const char *vm, *host;     /* not owned, nor are those below */
	uint64_t port;             /* what the SM was asked for */
	bool located, shared_port; /* what it said */
	const char *lids, *pkeys;  /* "7 8", "0xffff 0x8001" */
};

struct directory_slot_record {
	const char *host, *slot; /* not owned */
	uint64_t switch_guid, port_guid;
	unsigned switch_port;
	bool gone;
};

enum record_kind {
#define RECORD(kind, table, write, clauses) RECORD_##kind,
#include "sm-side/journal/record_columns.def"
	RECORD_KIND_COUNT,
};

union record_value {
	struct epoch_record epoch;
	struct migration_intent intent;
	struct state_record state;
	struct vf_record vf;
	struct gid_record gid;
	struct said_record said;
	struct plan_record plan;
	struct ending_record ending;
	struct finding_record finding;
	struct news_record news;
	struct evacuation_record evacuation;
	struct vm_change_intent change;
	struct change_state_record change_state;
	struct evacuee_record evacuee;
	struct directory_vm_record directory_vm;
	struct directory_slot_record directory_slot;
};

struct record {
	enum record_kind kind;
	union record_value value;
};

enum column_type {
	COLUMN_NUMBER, /* unsigned, or signed and never negative; 2, 4 or 8 bytes */
	COLUMN_BOOL,
	COLUMN_GUID,
	COLUMN_GID,
	COLUMN_STATE,
	COLUMN_TEXT,   /* an array of char */
	COLUMN_STRING, /* a pointer */
	COLUMN_BYTES,  /* struct record_bytes */
};

enum cell_type { CELL_INTEGER, CELL_TEXT, CELL_BLOB };

/* One value of a row. */
struct cell {
	enum cell_type type;
	int64_t integer;
	const void *at; /* TEXT, BLOB: @length bytes, not ended by a 0 */
	size_t length;
	char scratch[GID_TEXT_BYTES];
};

enum { RECORD_CELLS_MAX = 32 };

struct record_shape {
	const char *table;
	const char *write;   /* "INSERT" */
	const char *clauses; /* of CREATE TABLE, behind the columns */
	unsigned columns;
};

struct record_shape record_shape(enum record_kind kind);
const char *record_column_name(enum record_kind kind, unsigned column);
enum cell_type record_column_type(enum record_kind kind, unsigned column);

/* @record as cells, which point into it. -EINVAL: a number is too large for a cell. */
int record_to_cells(const struct record *record, struct cell *cells);
/* The other way; pointers point into what @cells point to. TEXT must be followed by a 0.
 * -EBADMSG: not such a record. */
int record_from_cells(enum record_kind kind, const struct cell *cells, struct record *record);
/* CRC-32 of the table's name and the cells. */
uint32_t record_sum(enum record_kind kind, const struct cell *cells);

#endif
