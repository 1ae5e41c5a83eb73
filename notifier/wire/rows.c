/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/rows.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_LEAST = 8 };

/* A column in protobuf-c's layout: its length, and a pointer to that many 32-bit values. */
static size_t *column_length(ProtobufCMessage *table, unsigned column)
{
	return (void *)((char *)table + table->descriptor->fields[column].quantifier_offset);
}

static uint32_t **column_values(ProtobufCMessage *table, unsigned column)
{
	return (void *)((char *)table + table->descriptor->fields[column].offset);
}

int rows_count(const ProtobufCMessage *table, size_t *count)
{
	ProtobufCMessage *columns = (ProtobufCMessage *)table;
	size_t rows;

	if (!table) {
		*count = 0;
		return 0;
	}
	rows = *column_length(columns, 0);
	for (unsigned i = 1; i < table->descriptor->n_fields; i++)
		if (*column_length(columns, i) != rows)
			return -EBADMSG;
	*count = rows;
	return 0;
}

/*
 * Columns that this room makes have room for the power of two at or above their length, so that it
 * need not be kept. One that came from the wire is exact; it is moved when it first grows.
 */
static size_t room_for(size_t rows)
{
	size_t room = ROWS_LEAST;

	while (room < rows)
		room *= 2;
	return room;
}

static int columns_grow(ProtobufCMessage *table, size_t rows)
{
	const size_t wanted = room_for(rows) * sizeof(uint32_t);

	for (unsigned i = 0; i < table->descriptor->n_fields; i++) {
		uint32_t **values = column_values(table, i), *grown;

		/* For the sake of those whose realloc copies each time: a sanitizer's. */
		if (malloc_usable_size(*values) >= wanted)
			continue;
		grown = realloc(*values, wanted);
		if (!grown)
			return -ENOMEM;
		*values = grown;
	}
	return 0;
}

int rows_append(ProtobufCMessage *table, const uint32_t *row)
{
	size_t count;
	int err = rows_count(table, &count);

	if (!err)
		err = columns_grow(table, count + 1);
	if (err)
		return err;
	for (unsigned i = 0; i < table->descriptor->n_fields; i++) {
		(*column_values(table, i))[count] = row[i];
		*column_length(table, i) = count + 1;
	}
	return 0;
}

void rows_get(const ProtobufCMessage *table, size_t index, uint32_t *row)
{
	for (unsigned i = 0; i < table->descriptor->n_fields; i++)
		row[i] = (*column_values((ProtobufCMessage *)table, i))[index];
}

int rows_concatenate(ProtobufCMessage *into, const ProtobufCMessage *from)
{
	size_t had = 0, more = 0;
	int err = rows_count(into, &had);

	if (!err)
		err = rows_count(from, &more);
	if (err || !more)
		return err;
	err = columns_grow(into, had + more);
	if (err)
		return err;
	for (unsigned i = 0; i < into->descriptor->n_fields; i++) {
		memcpy(*column_values(into, i) + had, *column_values((ProtobufCMessage *)from, i),
		        more * sizeof(uint32_t));
		*column_length(into, i) = had + more;
	}
	return 0;
}

void rows_filter(ProtobufCMessage *table, rows_choose *is_wanted, const void *choice)
{
	size_t count, kept = 0;

	if (rows_count(table, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		if (!is_wanted(table, i, choice))
			continue;
		for (unsigned column = 0; column < table->descriptor->n_fields; column++) {
			uint32_t *values = *column_values(table, column);

			values[kept] = values[i];
		}
		kept++;
	}
	for (unsigned column = 0; column < table->descriptor->n_fields; column++)
		*column_length(table, column) = kept;
}

void rows_clear(ProtobufCMessage *table)
{
	for (unsigned i = 0; i < table->descriptor->n_fields; i++) {
		free(*column_values(table, i));
		*column_values(table, i) = NULL;
		*column_length(table, i) = 0;
	}
}
