/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/journal/record.h"

#include <errno.h>
#include <string.h>

#include "notifier/base/cleanup.h"

#define SIZE_OF_MEMBER(type, member) sizeof(((type *)NULL)->member)

static const struct column {
	enum record_kind kind;
	const char *name;
	enum column_type type;
	size_t offset, size;
} columns[] = {
#define COLUMN(kind, name, type, member)                                                           \
	{RECORD_##kind, #name, COLUMN_##type, offsetof(union record_value, kind.member),           \
	        SIZE_OF_MEMBER(union record_value, kind.member)},
#include "sm-side/journal/record_columns.def"
};

static const struct column *first_column(enum record_kind kind)
{
	const struct column *column = columns;

	while (column->kind != kind)
		column++;
	return column;
}

struct record_shape record_shape(enum record_kind kind)
{
	static const struct record_shape shapes[] = {
#define RECORD(kind, table, write, clauses) {#table, write, clauses, 0},
#include "sm-side/journal/record_columns.def"
	};
	struct record_shape shape = shapes[kind];

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		shape.columns += columns[i].kind == kind;
	return shape;
}

const char *record_column_name(enum record_kind kind, unsigned column)
{
	return first_column(kind)[column].name;
}

enum cell_type record_column_type(enum record_kind kind, unsigned column)
{
	switch (first_column(kind)[column].type) {
	case COLUMN_NUMBER:
	case COLUMN_BOOL:
		return CELL_INTEGER;
	case COLUMN_BYTES:
		return CELL_BLOB;
	default:
		return CELL_TEXT;
	}
}

/* ---- to cells ---- */

static uint64_t number_get(const void *member, size_t size)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	switch (size) {
	case sizeof(two):
		memcpy(&two, member, size);
		return two;
	case sizeof(four):
		memcpy(&four, member, size);
		return four;
	default:
		memcpy(&eight, member, sizeof(eight));
		return eight;
	}
}

static void cell_text(struct cell *cell, const char *text)
{
	*cell = (struct cell){.type = CELL_TEXT, .at = text, .length = strlen(text)};
}

/* In the cell's own memory. */
static void cell_own_text(struct cell *cell)
{
	cell->type = CELL_TEXT;
	cell->at = cell->scratch;
	cell->length = strlen(cell->scratch);
}

static int to_cell(const struct column *column, const void *member, struct cell *cell)
{
	const struct record_bytes *bytes = member;
	enum migration_state state;
	uint64_t number;

	switch (column->type) {
	case COLUMN_NUMBER:
		number = number_get(member, column->size);
		*cell = (struct cell){.type = CELL_INTEGER, .integer = (int64_t)number};
		return number > INT64_MAX ? -EINVAL : 0;
	case COLUMN_BOOL:
		*cell = (struct cell){.type = CELL_INTEGER, .integer = *(const bool *)member};
		return 0;
	case COLUMN_GUID:
		guid_format(number_get(member, sizeof(uint64_t)), cell->scratch);
		cell_own_text(cell);
		return 0;
	case COLUMN_GID:
		gid_format(member, cell->scratch);
		cell_own_text(cell);
		return 0;
	case COLUMN_STATE:
		memcpy(&state, member, sizeof(state));
		cell_text(cell, migration_state_name(state));
		return 0;
	case COLUMN_TEXT:
		cell_text(cell, member);
		return 0;
	case COLUMN_STRING:
		cell_text(cell, *(const char *const *)member);
		return 0;
	case COLUMN_BYTES:
		*cell = (struct cell){.type = CELL_BLOB, .at = bytes->at, .length = bytes->length};
		return 0;
	}
	return -EINVAL;
}

int record_to_cells(const struct record *record, struct cell *cells)
{
	const struct column *column = first_column(record->kind);
	unsigned count = record_shape(record->kind).columns;
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++)
		err = to_cell(
		        &column[i], (const char *)&record->value + column[i].offset, &cells[i]);
	return err;
}

/* ---- from cells ---- */

static int number_put(void *member, size_t size, int64_t number)
{
	uint16_t two = (uint16_t)number;
	uint32_t four = (uint32_t)number;

	if (number < 0 || (size == sizeof(two) && number > UINT16_MAX) ||
	        (size == sizeof(four) && number > UINT32_MAX))
		return -EBADMSG;
	if (size == sizeof(two))
		memcpy(member, &two, size);
	else if (size == sizeof(four))
		memcpy(member, &four, size);
	else
		memcpy(member, &number, sizeof(number));
	return 0;
}

static int text_put(void *member, size_t size, const struct cell *cell)
{
	if (cell->length >= size)
		return -EBADMSG;
	memcpy(member, cell->at, cell->length);
	((char *)member)[cell->length] = '\0';
	return 0;
}

static int guid_put(void *member, const char *text)
{
	uint64_t guid;

	if (guid_parse(text, &guid))
		return -EBADMSG;
	memcpy(member, &guid, sizeof(guid));
	return 0;
}

static int from_cell(const struct column *column, const struct cell *cell, void *member)
{
	struct record_bytes *bytes = member;

	if (cell->type == CELL_TEXT && memchr(cell->at, 0, cell->length))
		return -EBADMSG;
	switch (column->type) {
	case COLUMN_NUMBER:
		return number_put(member, column->size, cell->integer);
	case COLUMN_BOOL:
		*(bool *)member = cell->integer == 1;
		return cell->integer == 0 || cell->integer == 1 ? 0 : -EBADMSG;
	case COLUMN_GUID:
		return guid_put(member, cell->at);
	case COLUMN_GID:
		return gid_parse(cell->at, member) ? -EBADMSG : 0;
	case COLUMN_STATE:
		return migration_state_parse(cell->at, member) ? -EBADMSG : 0;
	case COLUMN_TEXT:
		return text_put(member, column->size, cell);
	case COLUMN_STRING:
		*(const char **)member = cell->at;
		return 0;
	case COLUMN_BYTES:
		*bytes = (struct record_bytes){cell->at, cell->length};
		return 0;
	}
	return -EBADMSG;
}

int record_from_cells(enum record_kind kind, const struct cell *cells, struct record *record)
{
	const struct column *column = first_column(kind);
	unsigned count = record_shape(kind).columns;
	int err = 0;

	*record = (struct record){.kind = kind};
	if (kind == RECORD_ending)
		record->value.ending.said = (Tether__Counts)TETHER__COUNTS__INIT;
	for (unsigned i = 0; i < count && !err; i++) {
		if (cells[i].type != record_column_type(kind, i))
			return -EBADMSG;
		err = from_cell(&column[i], &cells[i], (char *)&record->value + column[i].offset);
	}
	return err;
}

/* ---- the sum ---- */

/* CRC-32 as of IEEE 802.3, four bits at a time. */
static uint32_t crc32_add_byte(uint32_t crc, uint8_t byte)
{
	static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
	        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
	        0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

	crc = crc >> 4 ^ table[(crc ^ byte) & 15];
	return crc >> 4 ^ table[(crc ^ byte >> 4) & 15];
}

static uint32_t crc32_add(uint32_t crc, const void *at, size_t length)
{
	const uint8_t *bytes = at;

	for (size_t i = 0; i < length; i++)
		crc = crc32_add_byte(crc, bytes[i]);
	return crc;
}

/* The same on every machine. */
static uint32_t crc32_add_number(uint32_t crc, uint64_t number)
{
	for (int shift = 0; shift < 64; shift += 8)
		crc = crc32_add_byte(crc, (uint8_t)(number >> shift));
	return crc;
}

uint32_t record_sum(enum record_kind kind, const struct cell *cells)
{
	struct record_shape shape = record_shape(kind);
	uint32_t crc = crc32_add(0xffffffff, shape.table, strlen(shape.table));

	for (unsigned i = 0; i < shape.columns; i++) {
		const struct cell *cell = &cells[i];

		crc = crc32_add_number(crc, cell->type);
		if (cell->type == CELL_INTEGER) {
			crc = crc32_add_number(crc, (uint64_t)cell->integer);
		} else {
			crc = crc32_add_number(crc, cell->length);
			crc = crc32_add(crc, cell->at, cell->length);
		}
	}
	return ~crc;
}
