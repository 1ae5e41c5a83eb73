/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "notifier/base/monotonic.h"
#include "sm-side/root/shared_event.h"

/* What follows from what the root knows of its VM. */
static int event_make(
        const struct root *root, struct shared_event *shared, const Tether__Event *event)
{
	int err = shared_event_make(shared, event, questions_numbers(root->questions));

	if (!err)
		root_places_pkeys(&root->places, &shared->event);
	return err;
}

int root_send(struct root *root, const Tether__Event *event)
{
	struct shared_event shared;
	int err = event_make(root, &shared, event);

	if (!err)
		err = relay_event(root->relay, &shared.event, monotonic_ms());
	shared_event_clear(&shared);
	root_tick_arm(root);
	return err;
}

static void name_write(void *names, const char *name)
{
	fprintf(names, "%s%s", ftell(names) > 0 ? " " : "", name);
}

char *root_concerned(struct root *root, const Tether__Event *event)
{
	struct shared_event shared;
	char *names = NULL;
	size_t size;
	FILE *stream;

	if (event_make(root, &shared, event))
		return NULL;
	stream = open_memstream(&names, &size);
	if (stream)
		relay_concerned_each(root->relay, &shared.event, name_write, stream);
	shared_event_clear(&shared);
	if (!stream || fclose(stream)) {
		free(names);
		return NULL;
	}
	return names;
}

int root_tell(struct root *root, const char *host, const Tether__Event *event)
{
	Tether__Event copy = *event;

	root_places_pkeys(&root->places, &copy);
	return relay_tell_host(root->relay, host, &copy);
}
