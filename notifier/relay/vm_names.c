/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/vm_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 8 };

/* How much of @name is its VM's; 0: it has none. */
static size_t vm_length(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash && slash[1] ? slash - name : 0;
}

/* There is no more of them than of names. */
static int chains_reserve(struct vm_names *names, size_t room)
{
	struct vm_names_chain *chains = realloc(names->chains, room * sizeof(*chains));

	if (!chains)
		return -ENOMEM;
	names->chains = chains;
	return name_index_reserve(&names->vms, room);
}

static int grow(struct vm_names *names, size_t room)
{
	const char **grown = realloc(names->names, room * sizeof(*grown));
	uint32_t *next;

	if (!grown)
		return -ENOMEM;
	names->names = grown;
	next = realloc(names->next, room * sizeof(*next));
	if (!next)
		return -ENOMEM;
	names->next = next;
	if (chains_reserve(names, room))
		return -ENOMEM;
	names->room = room;
	return 0;
}

void vm_names_clear(struct vm_names *names)
{
	free(names->names);
	free(names->next);
	free(names->chains);
	name_index_clear(&names->vms);
	*names = (struct vm_names){0};
}

int vm_names_reserve(struct vm_names *names, size_t count)
{
	size_t room = names->room ? names->room : ROOM_FIRST;

	while (room < count)
		room *= 2;
	return room > names->room ? grow(names, room) : 0;
}

/* The name at @place is the last of @vm's; there is room. */
static void chain(struct vm_names *names, const struct name *vm, size_t place)
{
	size_t vms = names->vms.count;
	struct vm_names_chain *chain = &names->chains[name_index_add(&names->vms, vm) - 1];

	if (names->vms.count > vms)
		chain->first = place + 1;
	else
		names->next[chain->last - 1] = place + 1;
	chain->last = place + 1;
}

int vm_names_add(struct vm_names *names, const char *name)
{
	size_t length = vm_length(name);

	if (vm_names_reserve(names, names->count + 1))
		return -ENOMEM;
	names->names[names->count] = name;
	names->next[names->count] = 0;
	if (length) {
		struct name vm = name_part(name, length);

		chain(names, &vm, names->count);
	}
	names->count++;
	return 0;
}

uint32_t vm_names_first(const struct vm_names *names, const struct name *vm)
{
	uint32_t at = name_index_find(&names->vms, vm);

	return at ? names->chains[at - 1].first : 0;
}

uint32_t vm_names_next(const struct vm_names *names, uint32_t at)
{
	return names->next[at - 1];
}
