/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/name_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/name_hash.h"

enum { ROOM_FIRST = 8 };

struct name name_part(const char *text, size_t length)
{
	return (struct name){text, length, name_hash(text, length)};
}

struct name name_whole(const char *text)
{
	return name_part(text, strlen(text));
}

bool name_is(const struct name *name, const char *text, size_t length)
{
	return name->length == length && !memcmp(name->text, text, length);
}

static bool is_same(const struct name *a, const struct name *b)
{
	return a->hash == b->hash && name_is(a, b->text, b->length);
}

/* The slot of @name, or the free one that it would have. */
static struct name_slot *slot_of(const struct name_index *index, const struct name *name)
{
	size_t mask = 2 * index->room - 1, at = name->hash & mask;
	struct name_slot *slot = &index->slots[at];

	while (slot->at &&
	        (slot->hash != name->hash || !is_same(&index->names[slot->at - 1], name))) {
		at = (at + 1) & mask;
		slot = &index->slots[at];
	}
	return slot;
}

static void slots_fill(struct name_index *index)
{
	for (size_t i = 0; i < index->count; i++) {
		uint32_t hash = index->names[i].hash;
		size_t mask = 2 * index->room - 1, at = hash & mask;

		while (index->slots[at].at)
			at = (at + 1) & mask;
		index->slots[at] = (struct name_slot){hash, i + 1};
	}
}

/* @room is a power of two, so that slots are. */
static int grow(struct name_index *index, size_t room)
{
	struct name_slot *slots = calloc(2 * room, sizeof(*slots));
	struct name *names = slots ? realloc(index->names, room * sizeof(*names)) : NULL;

	if (!names) {
		free(slots);
		return -ENOMEM;
	}
	free(index->slots);
	index->names = names;
	index->slots = slots;
	index->room = room;
	slots_fill(index);
	return 0;
}

void name_index_clear(struct name_index *index)
{
	free(index->names);
	free(index->slots);
	*index = (struct name_index){0};
}

int name_index_reserve(struct name_index *index, size_t count)
{
	size_t room = index->room ? index->room : ROOM_FIRST;

	while (room < count)
		room *= 2;
	return room > index->room ? grow(index, room) : 0;
}

uint32_t name_index_add(struct name_index *index, const struct name *name)
{
	struct name_slot *slot;

	if (name_index_reserve(index, index->count + 1))
		return 0;
	slot = slot_of(index, name);
	if (slot->at)
		return slot->at;
	index->names[index->count++] = *name;
	*slot = (struct name_slot){name->hash, index->count};
	return slot->at;
}

uint32_t name_index_find(const struct name_index *index, const struct name *name)
{
	return index->room ? slot_of(index, name)->at : 0;
}
