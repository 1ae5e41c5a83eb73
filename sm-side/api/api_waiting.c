/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/api_state.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/http.h>

#include "sm-side/api/api_json.h"

enum {
	WAIT_S = 30, /* so long a client that waits hears nothing where there is nothing */
	WAITERS_MAX = 256,
};

void api_waiter_free(struct waiter *waiter)
{
	struct waiter **at = &waiter->api->waiters;
	struct evhttp_connection *connection = evhttp_request_get_connection(waiter->request);

	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
	waiter->api->waiter_count--;
	if (connection)
		evhttp_connection_set_closecb(connection, NULL, NULL);
	event_free(waiter->timeout);
	free(waiter);
}

/* Until its end has been sent to somebody. */
struct followed {
	struct followed *next;
	uint64_t id;
};

static struct followed **followed_at(struct api *api, uint64_t id)
{
	struct followed **at = &api->followed;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

/* Where there is no memory for it, nobody waits for it at this daemon's end. */
void api_follow(struct api *api, uint64_t id)
{
	struct followed **at = followed_at(api, id);

	if (!*at)
		*at = calloc(1, sizeof(**at));
	if (*at)
		(*at)->id = id;
}

static void followed_drop(struct followed **at)
{
	struct followed *followed = *at;

	if (followed)
		*at = followed->next;
	free(followed);
}

void api_followed_clear(struct api *api)
{
	while (api->followed)
		followed_drop(&api->followed);
}

/* "/v1/migrations/7" */
static uint64_t id_of(struct evhttp_request *request)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));

	return strtoull(strrchr(path, '/') + 1, NULL, 10);
}

static void end_is_told(struct evhttp_request *request, void *context)
{
	followed_drop(followed_at(context, id_of(request)));
}

void api_migration_tell(
        struct api *api, struct evhttp_request *request, const struct ledger_entry *entry)
{
	if (migration_ended(&entry->migration))
		evhttp_request_set_on_complete_cb(request, end_is_told, api);
	api_reply(request, HTTP_OK, api_migration(entry, false));
}

bool api_owes_an_end(const struct api *api)
{
	return api->followed;
}

static void waiter_answer(struct waiter *waiter)
{
	struct evhttp_request *request = waiter->request;
	enum waits_for of = waiter->of;
	struct api *api = waiter->api;
	const struct ledger_entry *entry;
	uint64_t id = waiter->id;

	api_waiter_free(waiter);
	entry = ledger_find(conductor_ledger(api->conductor), id);
	if (of == WAITS_FOR_EVACUATION)
		api_evacuation_tell(api, request, id);
	else if (of == WAITS_FOR_VM)
		api_vm_change_tell(api, request, id);
	else if (entry)
		api_migration_tell(api, request, entry);
	else
		api_refuse_unknown(request);
}

bool api_is_awaited_no_more(const struct waiter *waiter, const struct ledger_entry *entry)
{
	if (!entry || migration_ended(&entry->migration))
		return true;
	if (waiter->state >= 0)
		return (int)entry->migration.state == waiter->state;
	return entry->changes > waiter->seen;
}

static bool has_news(const struct waiter *waiter)
{
	const struct api *api = waiter->api;

	if (waiter->of == WAITS_FOR_EVACUATION)
		return api_evacuation_is_news(api, waiter->id, waiter->seen);
	if (waiter->of == WAITS_FOR_VM)
		return api_vm_is_news(api, waiter->id, waiter->seen);
	return api_is_awaited_no_more(
	        waiter, ledger_find(conductor_ledger(api->conductor), waiter->id));
}

void api_changed(struct api *api)
{
	struct waiter *waiter = api->waiters;

	while (waiter) {
		struct waiter *next = waiter->next;

		if (has_news(waiter))
			waiter_answer(waiter);
		waiter = next;
	}
}

static void waiter_late(evutil_socket_t unused, short what, void *context)
{
	waiter_answer(context);
}

static void waiter_closed(struct evhttp_connection *connection, void *context)
{
	struct waiter *waiter = context;

	if (waiter->of == WAITS_FOR_MIGRATION)
		followed_drop(followed_at(waiter->api, waiter->id));
	api_waiter_free(waiter);
}

bool api_wait(struct api *api, struct evhttp_request *request, const struct waiter *asked)
{
	struct timeval pause = {WAIT_S, 0};
	struct waiter *waiter;

	if (api->waiter_count >= WAITERS_MAX)
		return false;
	waiter = malloc(sizeof(*waiter));
	if (!waiter)
		return false;
	*waiter = *asked;
	waiter->api = api;
	waiter->request = request;
	waiter->timeout = evtimer_new(api->base, waiter_late, waiter);
	if (!waiter->timeout) {
		free(waiter);
		return false;
	}
	waiter->next = api->waiters;
	api->waiters = waiter;
	api->waiter_count++;
	evtimer_add(waiter->timeout, &pause);
	evhttp_connection_set_closecb(
	        evhttp_request_get_connection(request), waiter_closed, waiter);
	return true;
}
