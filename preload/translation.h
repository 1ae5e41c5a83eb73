/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Numbers that mean something else since a move: what the application holds (virtual, the first
 * real one) to what the device wants now, by exact match. A number that is not in a table is its
 * own translation, so that a wrong key stays wrong and what was never rebuilt costs nothing.
 *
 * A table is changed while every queue that reads it is closed; reading takes no lock.
 */
#ifndef TETHER_TRANSLATION_H
#define TETHER_TRANSLATION_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

/* 32-bit numbers to words (numbers or pointers). Zero-initialised it is empty. */
struct number_table {
	struct number_entry {
		uint32_t number;
		bool used;
		uintptr_t value;
	} * entries;
	uint32_t mask;
	uint32_t count;
};

/* Set, also over an old value. -ENOMEM: as it was. */
int number_table_set(struct number_table *table, uint32_t number, uintptr_t value);
void number_table_remove(struct number_table *table, uint32_t number);
void number_table_clear(struct number_table *table);

static inline uint32_t number_hash(uint32_t number)
{
	return number * 0x9e3779b1u >> 7;
}

/* NULL: not there. */
static inline const struct number_entry *number_table_find(
        const struct number_table *table, uint32_t number)
{
	uint32_t i = number_hash(number);

	if (!table->count)
		return 0;
	for (;; i++) {
		const struct number_entry *entry = &table->entries[i & table->mask];

		if (!entry->used)
			return 0;
		if (entry->number == number)
			return entry;
	}
}

static inline uint32_t number_table_translate(const struct number_table *table, uint32_t number)
{
	const struct number_entry *entry = number_table_find(table, number);

	return entry ? (uint32_t)entry->value : number;
}

/* The application's list stays as it is: buffers are named anew in a copy. */
static inline struct ibv_sge *translate_sges(
        const struct number_table *lkeys, struct ibv_sge *to, const struct ibv_sge *from, int count)
{
	for (int i = 0; i < count; i++) {
		to[i] = from[i];
		to[i].lkey = number_table_translate(lkeys, from[i].lkey);
	}
	return to;
}

/*
 * Keys of memory windows: each bind gives a window another lower 8 bits, so the upper 24 are its
 * number here, and the lower 8 of what they become are added to those of a key.
 */
static inline uint32_t window_table_translate(const struct number_table *table, uint32_t key)
{
	const struct number_entry *entry = number_table_find(table, key >> 8);

	return entry ? ((uint32_t)entry->value & ~0xffu) | ((key + (uint32_t)entry->value) & 0xff)
	             : key;
}

/*
 * The rkeys of one context of a process elsewhere, named by that VM's address and the context's
 * number. Kept for as long as the process lives; shared by all queue pairs to that context. Changed
 * by the service thread alone.
 */
struct remote_keys {
	uint32_t lid, context;
	struct number_table keys;    /* of regions */
	struct number_table windows; /* by the upper 24 bits of a key */
	struct remote_keys *next;
};

static inline uint32_t remote_keys_translate(const struct remote_keys *keys, uint32_t rkey)
{
	const struct number_entry *entry = number_table_find(&keys->keys, rkey);

	if (entry)
		return (uint32_t)entry->value;
	if (__builtin_expect(keys->windows.count, 0))
		return window_table_translate(&keys->windows, rkey);
	return rkey;
}

/* What a row of KeyRows says, or that there is none any more. -ENOMEM: as it was. */
int remote_keys_set(struct remote_keys *keys, uint32_t virtual, uint32_t real, bool is_window);
void remote_keys_remove(struct remote_keys *keys, uint32_t virtual, bool is_window);

/* NULL: nothing of that context was ever translated. */
struct remote_keys *remote_keys_find(uint32_t lid, uint32_t context);
/* Find or make. NULL: no memory. */
struct remote_keys *remote_keys_of(uint32_t lid, uint32_t context);
/* In a child after fork. */
void remote_keys_in_child(void);

#endif
