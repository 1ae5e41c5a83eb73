/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How many rows of tables were looked at: linked with --wrap=rows_get. */
#ifndef TEST_COUNTED_ROWS_H
#define TEST_COUNTED_ROWS_H

#include "notifier/wire/rows.h"

static unsigned rows_looked_at;
void __real_rows_get(const ProtobufCMessage *table, size_t index, uint32_t *row);
void __wrap_rows_get(const ProtobufCMessage *table, size_t index, uint32_t *row);

void __wrap_rows_get(const ProtobufCMessage *table, size_t index, uint32_t *row)
{
	rows_looked_at++;
	__real_rows_get(table, index, row);
}

#endif
