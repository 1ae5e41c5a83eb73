/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/roster.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/vm_names.h"

struct roster {
	unsigned holders;
	struct name_index names;
	struct vm_names of_vm; /* in the same places */
	char *texts;           /* one after the other */
};

static size_t bytes_of(char *const *names, size_t count)
{
	size_t bytes = 1;

	for (size_t i = 0; i < count; i++)
		bytes += strlen(names[i]) + 1;
	return bytes;
}

/* There is room for all. */
static void fill(struct roster *roster, char *const *names, size_t count)
{
	char *text = roster->texts;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(names[i]), before = roster->names.count;
		struct name name;

		memcpy(text, names[i], length + 1);
		name = name_part(text, length);
		name_index_add(&roster->names, &name);
		if (roster->names.count == before)
			continue;
		vm_names_add(&roster->of_vm, text);
		text += length + 1;
	}
}

struct roster *roster_create(char *const *names, size_t count)
{
	struct roster *roster = calloc(1, sizeof(*roster));

	if (!roster)
		return NULL;
	roster->holders = 1;
	roster->texts = malloc(bytes_of(names, count));
	if (!roster->texts || name_index_reserve(&roster->names, count) ||
	        vm_names_reserve(&roster->of_vm, count)) {
		roster_release(roster);
		return NULL;
	}
	fill(roster, names, count);
	return roster;
}

struct roster *roster_hold(struct roster *roster)
{
	roster->holders++;
	return roster;
}

void roster_release(struct roster *roster)
{
	if (!roster || --roster->holders)
		return;
	vm_names_clear(&roster->of_vm);
	name_index_clear(&roster->names);
	free(roster->texts);
	free(roster);
}

uint32_t roster_count(const struct roster *roster)
{
	return roster->names.count;
}

const struct name *roster_name(const struct roster *roster, uint32_t at)
{
	return &roster->names.names[at - 1];
}

uint32_t roster_find(const struct roster *roster, const struct name *name)
{
	return name_index_find(&roster->names, name);
}

uint32_t roster_first_of(const struct roster *roster, const struct name *vm)
{
	return vm_names_first(&roster->of_vm, vm);
}

uint32_t roster_next_of(const struct roster *roster, uint32_t at)
{
	return vm_names_next(&roster->of_vm, at);
}

char **roster_texts(const struct roster *roster)
{
	return (char **)roster->of_vm.names;
}

/* ---- those of the last events ---- */

/* In the same order: an event whose names come in another has a roster of its own. */
static bool has_these(const struct roster *roster, char *const *names, size_t count)
{
	size_t i = 0;

	if (roster->names.count != count)
		return false;
	while (i < count && !strcmp(roster->names.names[i].text, names[i]))
		i++;
	return i == count;
}

static void make_latest(struct rosters *rosters, size_t at)
{
	struct roster *latest = rosters->last[at];

	memmove(&rosters->last[1], &rosters->last[0], at * sizeof(latest));
	rosters->last[0] = latest;
}

struct roster *rosters_get(struct rosters *rosters, char *const *names, size_t count)
{
	struct roster *roster;
	size_t at = 0;

	while (at < ROSTERS_KEPT - 1 && rosters->last[at] &&
	        !has_these(rosters->last[at], names, count))
		at++;
	roster = rosters->last[at];
	if (!roster || !has_these(roster, names, count)) {
		struct roster *made = roster_create(names, count);

		if (!made)
			return NULL;
		roster_release(roster);
		rosters->last[at] = made;
	}
	make_latest(rosters, at);
	return roster_hold(rosters->last[0]);
}

void rosters_clear(struct rosters *rosters)
{
	for (size_t i = 0; i < ROSTERS_KEPT; i++)
		roster_release(rosters->last[i]);
	*rosters = (struct rosters){0};
}
