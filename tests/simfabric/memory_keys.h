/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The keys of one HCA's memory regions: hands out lkeys and rkeys and checks every use of one.
 * Memory is the process's own. The HCA's lock is held by whoever calls; the table owns no region.
 *
 * A key is a place in the table, shifted by a seed that differs between HCAs (so that the same
 * region gets another key after a move), and a tag that changes each time the place is used again
 * (so that an old key is wrong). A memory window has a place as well, for peers only, and its tag
 * changes with each bind; see memory_windows.h.
 */
#ifndef SIMFABRIC_MEMORY_KEYS_H
#define SIMFABRIC_MEMORY_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct memory_window;

struct memory_region {
	uint32_t key;     /* lkey and rkey alike */
	unsigned access;  /* enum ibv_access_flags */
	const void *pd;   /* or, of a window of type 2, the queue pair that it is bound to */
	uint64_t address; /* as the verbs name it: the iova */
	uint64_t length;
	uint8_t *memory; /* where that begins in this process */
	bool is_window;
	struct memory_window *windows; /* bound to it, by memory_windows.c */
};

struct memory_keys;

/* The n-th place has the key that the (n ^ @twist)-th has elsewhere. */
struct memory_keys *memory_keys_create(uint32_t seed, uint32_t twist);
void memory_keys_destroy(struct memory_keys *keys);

/* Gives @region its key. -ENOMEM, or -ENOSPC when all 2^24 places are taken. */
int memory_keys_add(struct memory_keys *keys, struct memory_region *region);
void memory_keys_remove(struct memory_keys *keys, struct memory_region *region);
/* The region or window that has @key's place, whatever its tag; or NULL. */
struct memory_region *memory_keys_at(const struct memory_keys *keys, uint32_t key);

/* Where @length bytes at @address lie, if @key allows @access to all of them within @pd; else NULL.
 * Without a remote right in @access it is used as an lkey, and then a window's is wrong. */
uint8_t *memory_keys_resolve(const struct memory_keys *keys, const void *pd, uint32_t key,
        uint64_t address, uint64_t length, unsigned access);

#endif
