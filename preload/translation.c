/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/translation.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"

enum { LEAST_ENTRIES = 16 };

static void put(struct number_table *table, uint32_t number, uintptr_t value)
{
	uint32_t i = number_hash(number);
	struct number_entry *entry;

	do
		entry = &table->entries[i++ & table->mask];
	while (entry->used && entry->number != number);
	table->count += !entry->used;
	*entry = (struct number_entry){number, true, value};
}

/* At most half full, so that a search ends soon. */
static int grow(struct number_table *table)
{
	uint32_t size = table->entries ? 2 * (table->mask + 1) : LEAST_ENTRIES;
	struct number_table grown = {.mask = size - 1};

	grown.entries = calloc(size, sizeof(*grown.entries));
	if (!grown.entries)
		return -ENOMEM;
	for (uint32_t i = 0; table->entries && i <= table->mask; i++) {
		if (table->entries[i].used)
			put(&grown, table->entries[i].number, table->entries[i].value);
	}
	free(table->entries);
	*table = grown;
	return 0;
}

int number_table_set(struct number_table *table, uint32_t number, uintptr_t value)
{
	struct number_entry *there = (struct number_entry *)number_table_find(table, number);

	if (there) {
		__atomic_store_n(&there->value, value, __ATOMIC_RELAXED);
		return 0;
	}
	if (!table->entries || 2 * (table->count + 1) > table->mask + 1) {
		int err = grow(table);

		if (err)
			return err;
	}
	put(table, number, value);
	return 0;
}

/* What follows without a gap may have been pushed there by the removed one: put it again. */
void number_table_remove(struct number_table *table, uint32_t number)
{
	struct number_entry *entry = (struct number_entry *)number_table_find(table, number);
	uint32_t i;

	if (!entry)
		return;
	entry->used = false;
	table->count--;
	for (i = (uint32_t)(entry - table->entries) + 1;; i++) {
		struct number_entry moved = table->entries[i & table->mask];

		if (!moved.used)
			return;
		table->entries[i & table->mask].used = false;
		table->count--;
		put(table, moved.number, moved.value);
	}
}

void number_table_clear(struct number_table *table)
{
	free(table->entries);
	*table = (struct number_table){0};
}

static struct remote_keys *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static struct remote_keys *find(uint32_t lid, uint32_t context)
{
	struct remote_keys *keys = all;

	while (keys && (keys->lid != lid || keys->context != context))
		keys = keys->next;
	return keys;
}

struct remote_keys *remote_keys_find(uint32_t lid, uint32_t context)
{
	LOCK_GUARD(&all_lock);
	return find(lid, context);
}

struct remote_keys *remote_keys_of(uint32_t lid, uint32_t context)
{
	struct remote_keys *keys;

	LOCK_GUARD(&all_lock);
	keys = find(lid, context);
	if (keys)
		return keys;
	keys = calloc(1, sizeof(*keys));
	if (!keys)
		return NULL;
	keys->lid = lid;
	keys->context = context;
	keys->next = all;
	all = keys;
	return keys;
}

int remote_keys_set(struct remote_keys *keys, uint32_t virtual, uint32_t real, bool is_window)
{
	struct number_table *table = is_window ? &keys->windows : &keys->keys;
	uint32_t now = is_window ? window_table_translate(table, virtual)
	                         : number_table_translate(table, virtual);

	/* What stands in a table that is in use is right, and not touched. */
	if (now == real)
		return 0;
	return number_table_set(table, is_window ? virtual >> 8 : virtual, real);
}

void remote_keys_remove(struct remote_keys *keys, uint32_t virtual, bool is_window)
{
	if (is_window)
		number_table_remove(&keys->windows, virtual >> 8);
	else
		number_table_remove(&keys->keys, virtual);
}

void remote_keys_in_child(void)
{
	pthread_mutex_init(&all_lock, NULL);
}
