/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/vm_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/name_hash.h"

enum { ROOM_FIRST = 8 };

/* How much of @name is its VM's; 0: it has none. */
static size_t vm_length(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash && slash[1] ? slash - name : 0;
}

static bool is_of(const char *name, const char *vm, size_t length)
{
	return vm_length(name) == length && !strncmp(name, vm, length);
}

/* The slot of the VM, or the free one that it would have. */
static struct vm_names_slot *slot_of(
        const struct vm_names *names, const char *vm, size_t length, uint32_t hash)
{
	size_t mask = 2 * names->room - 1, at = hash & mask;
	struct vm_names_slot *slot = &names->slots[at];

	while (slot->first &&
	        (slot->hash != hash || !is_of(names->names[slot->first - 1], vm, length))) {
		at = (at + 1) & mask;
		slot = &names->slots[at];
	}
	return slot;
}

static void link(struct vm_names *names, size_t place)
{
	size_t length = vm_length(names->names[place]);
	struct vm_names_slot *slot;
	uint32_t hash;

	names->next[place] = 0;
	if (!length)
		return;
	hash = name_hash(names->names[place], length);
	slot = slot_of(names, names->names[place], length, hash);
	slot->hash = hash;
	if (slot->first)
		names->next[slot->last - 1] = place + 1;
	else
		slot->first = place + 1;
	slot->last = place + 1;
}

/* @room is a power of two, so that slots are. */
static int grow(struct vm_names *names, size_t room)
{
	const char **grown = realloc(names->names, room * sizeof(*grown));
	struct vm_names_slot *slots;
	uint32_t *next;

	if (!grown)
		return -ENOMEM;
	names->names = grown;
	next = realloc(names->next, room * sizeof(*next));
	if (!next)
		return -ENOMEM;
	names->next = next;
	slots = calloc(2 * room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(names->slots);
	names->slots = slots;
	names->room = room;
	for (size_t i = 0; i < names->count; i++)
		link(names, i);
	return 0;
}

void vm_names_clear(struct vm_names *names)
{
	free(names->names);
	free(names->next);
	free(names->slots);
	*names = (struct vm_names){0};
}

int vm_names_reserve(struct vm_names *names, size_t count)
{
	size_t room = names->room ? names->room : ROOM_FIRST;

	while (room < count)
		room *= 2;
	return room > names->room ? grow(names, room) : 0;
}

int vm_names_add(struct vm_names *names, const char *name)
{
	if (vm_names_reserve(names, names->count + 1))
		return -ENOMEM;
	names->names[names->count] = name;
	link(names, names->count++);
	return 0;
}

uint32_t vm_names_first(const struct vm_names *names, const char *vm)
{
	size_t length = strlen(vm);

	return names->room ? slot_of(names, vm, length, name_hash(vm, length))->first : 0;
}

uint32_t vm_names_next(const struct vm_names *names, uint32_t at)
{
	return names->next[at - 1];
}
