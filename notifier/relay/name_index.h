/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Names that others keep, each once, to be found by what they are. Each has its place: how many
 * were added before it. Pure; one thread. Zero-initialise.
 */
#ifndef TETHER_NAME_INDEX_H
#define TETHER_NAME_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name, or part of one, with its number, which need not be worked out again. */
struct name {
	const char *text; /* need not end after it */
	uint32_t length;
	uint32_t hash;
};

struct name name_whole(const char *text);
struct name name_part(const char *text, size_t length);
/* Without its number being worked out. */
bool name_is(const struct name *name, const char *text, size_t length);

struct name_slot {
	uint32_t hash, at; /* the place and 1; 0: free */
};

struct name_index {
	struct name *names;      /* by place; texts are the caller's, as long as they are here */
	struct name_slot *slots; /* twice as many as there is room */
	size_t count, room;
};

void name_index_clear(struct name_index *index);

/* Room for @count in all. -ENOMEM */
int name_index_reserve(struct name_index *index, size_t count);
/* The place of @name and 1, whether it has been there before or not. 0: no memory. */
uint32_t name_index_add(struct name_index *index, const struct name *name);
/* Likewise; 0: it is not there. */
uint32_t name_index_find(const struct name_index *index, const struct name *name);

#endif
