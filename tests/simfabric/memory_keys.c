/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <infiniband/verbs.h>

#include "simfabric/memory_keys.h"

enum {
	PLACE_MASK = 0xffffff,
	FIRST_PLACES = 64,
	REMOTE = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
};

struct place {
	struct memory_region *region; /* NULL: free */
	uint32_t next_free;
	uint8_t tag;
};

struct memory_keys {
	uint32_t seed, twist;
	uint32_t size;
	uint32_t used; /* places that have ever been used: [0, used) */
	/* Free places are taken again in the order in which they came back: the longest rest. */
	uint32_t free_head, free_tail;
	struct place *places;
};

enum { NO_PLACE = UINT32_MAX };

struct memory_keys *memory_keys_create(uint32_t seed, uint32_t twist)
{
	struct memory_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return NULL;
	keys->seed = seed & PLACE_MASK;
	keys->twist = twist;
	keys->free_head = keys->free_tail = NO_PLACE;
	return keys;
}

void memory_keys_destroy(struct memory_keys *keys)
{
	if (!keys)
		return;
	free(keys->places);
	free(keys);
}

static int grow(struct memory_keys *keys)
{
	uint32_t size = keys->size ? keys->size * 2 : FIRST_PLACES;
	struct place *places;

	if (size > PLACE_MASK + 1)
		return -ENOSPC;
	places = realloc(keys->places, size * sizeof(*places));
	if (!places)
		return -ENOMEM;
	memset(places + keys->size, 0, (size - keys->size) * sizeof(*places));
	keys->places = places;
	keys->size = size;
	return 0;
}

static int take_place(struct memory_keys *keys, uint32_t *index)
{
	/* A place that has just come free rests while there are unused ones. */
	if (keys->used == keys->size && keys->free_head == NO_PLACE) {
		int err = grow(keys);

		if (err)
			return err;
	}
	if (keys->used < keys->size) {
		*index = keys->used++;
		return 0;
	}
	*index = keys->free_head;
	keys->free_head = keys->places[*index].next_free;
	if (keys->free_head == NO_PLACE)
		keys->free_tail = NO_PLACE;
	return 0;
}

int memory_keys_add(struct memory_keys *keys, struct memory_region *region)
{
	uint32_t index;
	int err = take_place(keys, &index);

	if (err)
		return err;
	keys->places[index].region = region;
	region->key =
	        (((index ^ keys->twist) + keys->seed) & PLACE_MASK) << 8 | keys->places[index].tag;
	return 0;
}

static struct place *place_of(const struct memory_keys *keys, uint32_t key)
{
	uint32_t index = (((key >> 8) - keys->seed) & PLACE_MASK) ^ keys->twist;

	return index < keys->used ? &keys->places[index] : NULL;
}

void memory_keys_remove(struct memory_keys *keys, struct memory_region *region)
{
	struct place *place = place_of(keys, region->key);
	uint32_t index = (uint32_t)(place - keys->places);

	place->region = NULL;
	/* Later than any tag that a window has had since it got the place. */
	place->tag = (uint8_t)(region->key + 1);
	place->next_free = NO_PLACE;
	if (keys->free_tail == NO_PLACE)
		keys->free_head = index;
	else
		keys->places[keys->free_tail].next_free = index;
	keys->free_tail = index;
}

struct memory_region *memory_keys_at(const struct memory_keys *keys, uint32_t key)
{
	const struct place *place = place_of(keys, key);

	return place ? place->region : NULL;
}

uint8_t *memory_keys_resolve(const struct memory_keys *keys, const void *pd, uint32_t key,
        uint64_t address, uint64_t length, unsigned access)
{
	const struct memory_region *region = memory_keys_at(keys, key);

	if (!region || region->key != key || region->pd != pd)
		return NULL;
	if (region->is_window && !(access & REMOTE))
		return NULL;
	if ((region->access & access) != access)
		return NULL;
	if (address < region->address || length > region->length ||
	        address - region->address > region->length - length)
		return NULL;
	return region->memory + (address - region->address);
}
