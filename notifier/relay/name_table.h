/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What has a name is found by it, wherever else it is kept; several may have the same. It takes
 * part with a name_node of its own. Pure; one thread. Zero-initialise.
 */
#ifndef TETHER_NAME_TABLE_H
#define TETHER_NAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct name_node {
	struct name_node *next; /* in its bucket */
	uint64_t hash;
	const char *name; /* its owner's; NULL: it is in no table */
	void *owner;
};

struct name_table {
	struct name_node **buckets; /* a power of two of them */
	size_t buckets_count, count;
};

/* -ENOMEM: it is in no table. */
int name_table_add(struct name_table *table, struct name_node *node, const char *name, void *owner);
/* Nothing where it is in none. */
void name_table_remove(struct name_table *table, struct name_node *node);
/* One that is called @name, and the next; NULL: there is none. */
struct name_node *name_table_find(const struct name_table *table, const char *name);
struct name_node *name_table_next(const struct name_node *node);
/* None of them is looked at any more. */
void name_table_clear(struct name_table *table);

#endif
