/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_locator.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/link/refusal_log.h"
#include "sm-side/json_read.h"
#include "sm-side/root/sm_link.h"

enum {
	ROWS_MAX = 1024, /* of a request, which is a line of at most 64 KiB */
	AGAIN_MS = 1000,
};

struct locator {
	struct sm_link *link;
	struct event *looking;
	struct directory *directory;
	const struct locator_callbacks *callbacks;
	void *owner;
	/* The round under way: one request after the other. */
	struct endpoints round;
	size_t first, count; /* of the request that is not answered */
	uint64_t id;         /* its; 0: no round is under way */
	bool of_all;
	/* Rounds for all: how many have been asked for, begun and done. */
	uint64_t wanted, begun, done;
	bool look_wanted;
	struct refusal_log refusals; /* of the SM; each word of a host has it asked */
};

static void round_end(struct locator *locator, bool in_vain);

static int request_send(struct locator *locator)
{
	struct json_object *request = json_object_new_object();

	locator->count = endpoints_batch(&locator->round, locator->first, ROWS_MAX);
	json_put_text(request, "op", "locate_all");
	json_object_object_add(request, "ports",
	        endpoints_wanted(&locator->round, locator->first, locator->count));
	return sm_link_ask(locator->link, request, &locator->id);
}

static void round_begin(struct locator *locator)
{
	int err;

	locator->of_all = locator->begun < locator->wanted;
	locator->look_wanted = false;
	locator->begun = locator->wanted;
	locator->first = 0;
	err = locator->callbacks->fill(locator->owner, &locator->round, !locator->of_all);
	if (err)
		log_error("sm", "no memory to ask where VMs are");
	if (err || !locator->round.count || request_send(locator))
		round_end(locator, err || locator->round.count);
}

/* From the loop: who has just been told of an end may want another. */
static void looking_due(evutil_socket_t unused, short what, void *context)
{
	struct locator *locator = context;

	if (!locator->id && (locator->begun < locator->wanted || locator->look_wanted))
		round_begin(locator);
}

static bool is_anybody_open(struct locator *locator)
{
	struct endpoints open;
	bool is_open;

	if (locator->callbacks->fill(locator->owner, &open, true))
		return true;
	is_open = open.count;
	endpoints_clear(&open);
	return is_open;
}

/* @in_vain: the SM is away, or cannot say. */
static void round_end(struct locator *locator, bool in_vain)
{
	locator->id = 0;
	endpoints_clear(&locator->round);
	locator->done = locator->begun;
	locator->callbacks->answered(locator->owner);
	if (!sm_link_is_up(locator->link))
		return;
	if (locator->begun < locator->wanted || locator->look_wanted) {
		event_active(locator->looking, EV_TIMEOUT, 0);
	} else if (in_vain || is_anybody_open(locator)) {
		locator->wanted += in_vain && locator->of_all;
		locator->look_wanted = true;
		timer_set(locator->looking, AGAIN_MS);
	}
}

void locator_look(struct locator *locator)
{
	locator->look_wanted = true;
	event_active(locator->looking, EV_TIMEOUT, 0);
}

uint64_t locator_ask_all(struct locator *locator)
{
	/* One that is under way may have asked before what is asked for now. */
	if (locator->begun == locator->wanted)
		locator->wanted++;
	event_active(locator->looking, EV_TIMEOUT, 0);
	return locator->wanted;
}

uint64_t locator_done(const struct locator *locator)
{
	return locator->done;
}

bool locator_is_up(const struct locator *locator)
{
	return sm_link_is_up(locator->link);
}

/* ---- the SM ---- */

static void is_up(void *owner)
{
	locator_ask_all(owner);
}

static void is_down(void *owner, const char *why)
{
	struct locator *locator = owner;

	if (locator->id)
		round_end(locator, true);
}

static void answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct locator *locator = owner;
	const char *reason = json_read_string(answer, "reason");
	bool ok = false;

	if (id != locator->id)
		return;
	if (json_read_bool(answer, "ok", &ok) || !ok ||
	        endpoints_take(&locator->round, locator->first, locator->count, answer,
	                locator->directory)) {
		refusal_say(&locator->refusals, LOG_LEVEL_WARN, "sm", "locate_all",
		        "the SM does not say where VMs are: %s", reason ? reason : "?");
		round_end(locator, true);
		return;
	}
	locator->first += locator->count;
	if (locator->first == locator->round.count)
		round_end(locator, false);
	else if (request_send(locator))
		round_end(locator, true);
}

static const struct sm_link_callbacks link_callbacks = {
        .up = is_up,
        .down = is_down,
        .answer = answered,
};

struct locator *locator_create(struct event_base *base, const char *sm_socket, unsigned retry_ms,
        struct directory *directory, const struct locator_callbacks *callbacks, void *owner)
{
	struct locator *locator = calloc(1, sizeof(*locator));

	if (!locator)
		return NULL;
	locator->directory = directory;
	locator->callbacks = callbacks;
	locator->owner = owner;
	locator->looking = evtimer_new(base, looking_due, locator);
	errno = ENOMEM;
	if (locator->looking)
		locator->link = sm_link_create(base, sm_socket, retry_ms, &link_callbacks, locator);
	if (locator->link)
		return locator;
	locator_destroy(locator);
	return NULL;
}

void locator_destroy(struct locator *locator)
{
	if (!locator)
		return;
	sm_link_destroy(locator->link);
	if (locator->looking)
		event_free(locator->looking);
	endpoints_clear(&locator->round);
	free(locator);
}
