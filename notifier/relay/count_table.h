/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How many of something there are for each of the numbers 0, 1, 2, ...: as long as the highest that
 * was ever reserved. Pure; its owner's thread. All zero to begin with. */
#ifndef TETHER_COUNT_TABLE_H
#define TETHER_COUNT_TABLE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_TABLE_FIRST = 16 };

struct count_table {
	uint32_t *counts;
	size_t room;
};

/* What is counted for @number may be written. -ENOMEM */
static inline int count_reserve(struct count_table *table, size_t number)
{
	size_t room = table->room ? table->room : COUNT_TABLE_FIRST;
	uint32_t *grown;

	if (number < table->room)
		return 0;
	while (room <= number)
		room *= 2;
	grown = realloc(table->counts, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + table->room, 0, (room - table->room) * sizeof(*grown));
	table->counts = grown;
	table->room = room;
	return 0;
}

static inline void count_clear(struct count_table *table)
{
	free(table->counts);
	*table = (struct count_table){0};
}

static inline size_t count_of(const struct count_table *table, size_t number)
{
	return number < table->room ? table->counts[number] : 0;
}

#endif
