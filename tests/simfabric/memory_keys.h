/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The keys of one HCA's memory regions: hands out lkeys and rkeys and checks every use of one.
 * Memory is the process's own. The HCA's lock is held by whoever calls; the table owns no region.
 *
 * A key is a place in the table, shifted by a seed that differs between HCAs (so that the same
 * region gets another key after a move), and a tag that changes each time the place is used again
 * (so that an old key is wrong).
 */
#ifndef SIMFABRIC_MEMORY_KEYS_H
#define SIMFABRIC_MEMORY_KEYS_H

#include <stdint.h>

struct memory_region {
	uint32_t key;    /* lkey and rkey alike */
	unsigned access; /* enum ibv_access_flags */
	const void *pd;
	uint64_t address; /* as the verbs name it: the iova */
	uint64_t length;
	uint8_t *memory; /* where that begins in this process */
};

struct memory_keys;

struct memory_keys *memory_keys_create(uint32_t seed);
void memory_keys_destroy(struct memory_keys *keys);

/* Gives @region its key. -ENOMEM, or -ENOSPC when all 2^24 places are taken. */
int memory_keys_add(struct memory_keys *keys, struct memory_region *region);
void memory_keys_remove(struct memory_keys *keys, struct memory_region *region);

/* Where @length bytes at @address lie, if @key allows @access to all of them within @pd; else NULL.
 */
uint8_t *memory_keys_resolve(const struct memory_keys *keys, const void *pd, uint32_t key,
        uint64_t address, uint64_t length, unsigned access);

#endif
