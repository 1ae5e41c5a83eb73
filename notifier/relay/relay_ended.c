/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Processes that have ended. Only their kernel knows that; the relay that heard it tells it with
 * its answer to each event that expects them, and nobody above takes any other silence for an end.
 */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/relay/name_hash.h"

/* Each VM has room of its own: whoever starts and ends processes pushes out none of another's. */
enum {
	ENDED_FIRST = 16,
	ENDED_AT_REST = 256, /* while no migration is known here */
};

static struct ended **of_vm(struct relay *relay, const char *name)
{
	struct ended **at = &relay->ended;

	while (*at && !name_is_of_vm(name, (*at)->vm))
		at = &(*at)->next_vm;
	return at;
}

static struct ended_name *find(struct ended *ended, const char *name)
{
	uint64_t hash = ended ? name_hash(name, strlen(name)) : 0;

	for (size_t i = 0; ended && i < ended->count; i++)
		if (ended->names[i].hash == hash && !strcmp(ended->names[i].text, name))
			return &ended->names[i];
	return NULL;
}

static struct ended *make(struct relay *relay, const char *vm, const char *name)
{
	struct ended **at = of_vm(relay, name), *ended = *at;

	if (ended)
		return ended;
	ended = calloc(1, sizeof(*ended) + strlen(vm) + 1);
	if (ended)
		strcpy(ended->vm, vm);
	*at = ended;
	return ended;
}

/* At most as many as may be here at one time, while a VM moves. -ENOMEM: only if there is room for
 * none. */
static int grow(struct ended *ended, size_t most)
{
	size_t room = ended->room ? 2 * ended->room : ENDED_FIRST;
	struct ended_name *grown;

	if (ended->count < ended->room || ended->room >= most)
		return 0;
	if (room > most)
		room = most;
	grown = realloc(ended->names, room * sizeof(*grown));
	if (!grown)
		return ended->room ? 0 : -ENOMEM;
	ended->names = grown;
	ended->room = room;
	return 0;
}

/* Where there is no room the oldest goes. */
static void remember(struct ended *ended, const char *name, size_t most)
{
	char *copy = strdup(name);

	if (!copy || grow(ended, most)) {
		free(copy);
		return; /* it will be missing */
	}
	if (ended->count < ended->room)
		ended->next = ended->count++;
	else
		free(ended->names[ended->next].text);
	ended->names[ended->next].text = copy;
	ended->names[ended->next].hash = name_hash(name, strlen(name));
	ended->next = (ended->next + 1) % ended->room;
}

void relay_ended_note(struct relay *relay, const char *vm, const char *name)
{
	struct ended *ended = make(relay, vm, name);

	if (ended)
		remember(ended, name,
		        relay->begun_count ? relay->settings.processes_max : ENDED_AT_REST);
	for (struct open_event *open = relay->open; open; open = open->next)
		tally_end(open->tally, name);
}

/* The last that is remembered takes its place, so that there is no gap. */
void relay_ended_lives(struct relay *relay, const char *name)
{
	struct ended *ended = *of_vm(relay, name);
	struct ended_name *at = find(ended, name);

	if (!at)
		return;
	free(at->text);
	*at = ended->names[--ended->count];
}

bool relay_has_ended(struct relay *relay, const char *name)
{
	return find(*of_vm(relay, name), name);
}

void relay_ended_clear(struct relay *relay)
{
	while (relay->ended) {
		struct ended *next = relay->ended->next_vm;

		for (size_t i = 0; i < relay->ended->count; i++)
			free(relay->ended->names[i].text);
		free(relay->ended->names);
		free(relay->ended);
		relay->ended = next;
	}
}
