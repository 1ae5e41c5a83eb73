/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/reporter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "sm-side/json_read.h"
#include "sm-side/root/sm_link.h"

enum { ROWS_MAX = 512 }; /* of a request, which is a line of at most 64 KiB */

/* The servers of one request: being collected, or under way with the id of its request. */
struct batch {
	struct batch *next;
	uint64_t id; /* 0: not asked */
	struct notice common;
	size_t count;
	struct {
		uint16_t lid;
		uint64_t sequence;
	} rows[ROWS_MAX];
};

struct reporter {
	struct sm_link *link;
	struct event *flushing;
	struct batch *batches; /* the oldest first */
	const struct reporter_callbacks *callbacks;
	void *owner;
};

static struct batch **batches_end(struct reporter *reporter)
{
	struct batch **end = &reporter->batches;

	while (*end)
		end = &(*end)->next;
	return end;
}

static bool takes(const struct batch *batch, const struct notice *notice)
{
	return batch && !batch->id && batch->count < ROWS_MAX &&
	       batch->common.signal == notice->signal &&
	       batch->common.migration == notice->migration && batch->common.epoch == notice->epoch;
}

/* The last one, if the notice may go with it. */
static struct batch *batch_for(struct reporter *reporter, const struct notice *notice)
{
	struct batch *batch = reporter->batches, **end;

	while (batch && batch->next)
		batch = batch->next;
	if (takes(batch, notice))
		return batch;
	end = batches_end(reporter);
	*end = calloc(1, sizeof(**end));
	if (*end)
		(*end)->common = *notice;
	return *end;
}

void reporter_tell(struct reporter *reporter, const struct notice *notice)
{
	struct batch *batch = batch_for(reporter, notice);

	/* It is told in time by the link. */
	if (!batch)
		return;
	batch->rows[batch->count].lid = notice->lid;
	batch->rows[batch->count++].sequence = notice->sequence;
	event_active(reporter->flushing, EV_TIMEOUT, 0);
}

static struct json_object *batch_request(const struct batch *batch)
{
	struct json_object *request = json_object_new_object(), *to = json_object_new_array();

	json_put_text(request, "op", "report");
	json_put_number(request, "signal", batch->common.signal);
	json_put_number(request, "migration", batch->common.migration);
	json_put_number(request, "epoch", batch->common.epoch);
	for (size_t i = 0; i < batch->count; i++) {
		struct json_object *row = json_object_new_object();

		json_put_number(row, "lid", batch->rows[i].lid);
		json_put_number(row, "sequence", batch->rows[i].sequence);
		json_object_array_add(to, row);
	}
	json_object_object_add(request, "to", to);
	return request;
}

/* Takes the batch out. NULL: there is none of that id. */
static struct batch *batch_take(struct reporter *reporter, uint64_t id)
{
	struct batch **at = &reporter->batches, *batch;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	batch = *at;
	if (batch)
		*at = batch->next;
	return batch;
}

static void batch_unheard(struct reporter *reporter, struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		reporter->callbacks->unheard(reporter->owner, batch->rows[i].lid);
	free(batch);
}

static void flush_due(evutil_socket_t unused, short what, void *context)
{
	struct reporter *reporter = context;
	struct batch *batch = reporter->batches, *next;

	for (; batch; batch = next) {
		next = batch->next;
		if (!batch->id && sm_link_ask(reporter->link, batch_request(batch), &batch->id))
			batch_unheard(reporter, batch_take(reporter, 0));
	}
}

static void is_up(void *owner)
{
	struct reporter *reporter = owner;

	reporter->callbacks->up(reporter->owner);
}

static void is_down(void *owner, const char *why)
{
	struct reporter *reporter = owner;

	while (reporter->batches)
		batch_unheard(reporter, batch_take(reporter, reporter->batches->id));
}

static void unheard_take(struct reporter *reporter, struct json_object *answer)
{
	struct json_object *list;

	if (!json_object_object_get_ex(answer, "unheard", &list) ||
	        !json_object_is_type(list, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		reporter->callbacks->unheard(reporter->owner,
		        (uint16_t)json_object_get_int(json_object_array_get_idx(list, i)));
}

static void answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct reporter *reporter = owner;
	struct batch *batch = batch_take(reporter, id);
	const char *reason = json_read_string(answer, "reason");
	bool ok = false;

	if (!batch)
		return;
	if (!json_read_bool(answer, "ok", &ok) && ok) {
		free(batch);
		unheard_take(reporter, answer);
		return;
	}
	log_warn("sm", "the SM reports no notices: %s", reason ? reason : "?");
	batch_unheard(reporter, batch);
}

static const struct sm_link_callbacks link_callbacks = {
        .up = is_up,
        .down = is_down,
        .answer = answered,
};

struct reporter *reporter_create(struct event_base *base, const char *sm_socket, unsigned retry_ms,
        const struct reporter_callbacks *callbacks, void *owner)
{
	struct reporter *reporter = calloc(1, sizeof(*reporter));

	if (!reporter)
		return NULL;
	reporter->callbacks = callbacks;
	reporter->owner = owner;
	reporter->flushing = evtimer_new(base, flush_due, reporter);
	errno = ENOMEM;
	if (reporter->flushing)
		reporter->link =
		        sm_link_create(base, sm_socket, retry_ms, &link_callbacks, reporter);
	if (reporter->link)
		return reporter;
	reporter_destroy(reporter);
	return NULL;
}

void reporter_retry_set(struct reporter *reporter, unsigned retry_ms)
{
	sm_link_retry_set(reporter->link, retry_ms);
}

void reporter_destroy(struct reporter *reporter)
{
	if (!reporter)
		return;
	sm_link_destroy(reporter->link);
	if (reporter->flushing)
		event_free(reporter->flushing);
	while (reporter->batches) {
		struct batch *batch = reporter->batches;

		reporter->batches = batch->next;
		free(batch);
	}
	free(reporter);
}
