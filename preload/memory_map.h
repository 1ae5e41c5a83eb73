/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What this process has mapped, as it was when it was read. Owned by who reads it.
 */
#ifndef TETHER_MEMORY_MAP_H
#define TETHER_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_map;

/* NULL: no memory. */
struct memory_map *memory_map_read(void);
void memory_map_free(struct memory_map *map);

struct mapped_part {
	uintptr_t start;
	size_t length;  /* 0: nothing is mapped */
	unsigned parts; /* that do not touch; start and length are of the longest */
	bool writable;  /* all parts are */
};

/* What of [start, start + length) can be read. */
struct mapped_part memory_map_part(const struct memory_map *map, uintptr_t start, size_t length);

#endif
