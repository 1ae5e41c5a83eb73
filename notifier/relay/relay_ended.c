/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Processes that have ended. Only their kernel knows that; the relay that heard it tells it with
 * its answer to each event that expects them, and nobody above takes any other silence for an end.
 */
#include "notifier/relay/relay_state.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static char **find(struct ended *ended, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ended->names) && ended->names[i]; i++)
		if (!strcmp(ended->names[i], name))
			return &ended->names[i];
	return NULL;
}

static void remember(struct ended *ended, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return; /* it will be missing */
	free(ended->names[ended->next]);
	ended->names[ended->next] = copy;
	ended->next = (ended->next + 1) % ARRAY_SIZE(ended->names);
}

void relay_ended_note(struct relay *relay, const char *name)
{
	remember(&relay->ended, name);
	for (struct open_event *open = relay->open; open; open = open->next)
		tally_end(open->tally, name);
}

/* The last that is remembered takes its place, so that the ring has no gap. */
void relay_ended_lives(struct relay *relay, const char *name)
{
	char **at = find(&relay->ended, name);
	size_t last = ARRAY_SIZE(relay->ended.names);

	if (!at)
		return;
	while (!relay->ended.names[last - 1])
		last--;
	free(*at);
	*at = relay->ended.names[last - 1];
	relay->ended.names[last - 1] = NULL;
	relay->ended.next = last - 1;
}

bool relay_has_ended(struct relay *relay, const char *name)
{
	return find(&relay->ended, name);
}

void relay_ended_clear(struct relay *relay)
{
	for (size_t i = 0; i < ARRAY_SIZE(relay->ended.names); i++)
		free(relay->ended.names[i]);
}
