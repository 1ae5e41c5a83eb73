/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/name_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/name_hash.h"

enum { BUCKETS_FIRST = 16 };

static struct name_node **bucket(const struct name_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->buckets_count - 1)];
}

static void bucket_put(struct name_table *table, struct name_node *node)
{
	struct name_node **at = bucket(table, node->hash);

	node->next = *at;
	*at = node;
}

static int table_grow(struct name_table *table)
{
	struct name_table grown = *table;

	grown.buckets_count = table->buckets_count ? table->buckets_count * 2 : BUCKETS_FIRST;
	grown.buckets = calloc(grown.buckets_count, sizeof(struct name_node *));
	if (!grown.buckets)
		return -ENOMEM;
	for (size_t i = 0; i < table->buckets_count; i++) {
		for (struct name_node *node = table->buckets[i], *next; node; node = next) {
			next = node->next;
			bucket_put(&grown, node);
		}
	}
	free(table->buckets);
	*table = grown;
	return 0;
}

int name_table_add(struct name_table *table, struct name_node *node, const char *name, void *owner)
{
	/* Without more buckets there are longer chains, and the same answers. */
	if (table->count >= table->buckets_count && table_grow(table) && !table->buckets)
		return -ENOMEM;
	*node = (struct name_node){
	        .hash = name_hash(name, strlen(name)), .name = name, .owner = owner};
	bucket_put(table, node);
	table->count++;
	return 0;
}

void name_table_remove(struct name_table *table, struct name_node *node)
{
	struct name_node **at;

	if (!node->name)
		return;
	at = bucket(table, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	*node = (struct name_node){0};
	table->count--;
}

static struct name_node *called(struct name_node *node, uint64_t hash, const char *name)
{
	while (node && (node->hash != hash || strcmp(node->name, name) != 0))
		node = node->next;
	return node;
}

struct name_node *name_table_find(const struct name_table *table, const char *name)
{
	uint64_t hash;

	if (!table->count)
		return NULL;
	hash = name_hash(name, strlen(name));
	return called(*bucket(table, hash), hash, name);
}

struct name_node *name_table_next(const struct name_node *node)
{
	return called(node->next, node->hash, node->name);
}

void name_table_clear(struct name_table *table)
{
	free(table->buckets);
	*table = (struct name_table){0};
}
