/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "notifier/base/log.h"
#include "notifier/channel_unix.h"
#include "sm-side/api_json.h"
#include "sm-side/json_read.h"

enum {
	BODY_MAX_BYTES = 64 << 10,
	HEADERS_MAX_BYTES = 8 << 10,
	WAIT_S = 30, /* so long a client that waits hears nothing where there is nothing */
	WAITERS_MAX = 256,
	ACCEPT_PAUSE_MS = 100,
	HTTP_ACCEPTED = 202,
	HTTP_FORBIDDEN = 403,
	HTTP_CONFLICT = 409,
};

/* A client that waits for news of one migration. */
struct waiter {
	struct waiter *next;
	struct api *api;
	struct evhttp_request *request;
	struct event *timeout;
	uint64_t id;
	unsigned seen;
	int state; /* wait for this one; -1: for any change after `seen` */
};

struct api {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener; /* http's */
	struct event *again;
	char *path;
	struct conductor *conductor;
	struct waiter *waiters;
	unsigned waiter_count;
	uint64_t followed, telling, told; /* the latest migration that somebody waits for news of;
	                                     whose end is being sent; whose end was sent */
};

/* A listener that evhttp has bound tells of errors in evhttp's name, so there is one in a process.
 */
static struct api *the_api;

/* ---- answering ---- */

/* Puts @body. */
static void reply(struct evhttp_request *request, int status, struct json_object *body)
{
	struct evbuffer *buffer = evbuffer_new();
	const char *text = json_object_to_json_string_ext(
	        body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!buffer || !text) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evbuffer_add_printf(buffer, "%s\n", text);
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
		        "application/json");
		evhttp_send_reply(request, status, NULL, buffer);
	}
	if (buffer)
		evbuffer_free(buffer);
	json_object_put(body);
}

static void refuse(struct evhttp_request *request, int status, const char *reason, const char *text)
{
	reply(request, status, api_refusal(reason, text));
}

static void refuse_unknown(struct evhttp_request *request)
{
	refuse(request, HTTP_NOTFOUND, "unknown-migration",
	        "there is no such migration (or it has been forgotten); see tether status");
}

/* ---- waiting ---- */

static void waiter_free(struct waiter *waiter)
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

static void end_is_told(struct evhttp_request *request, void *context)
{
	struct api *api = context;

	api->told = api->telling;
}

static void migration_tell(
        struct api *api, struct evhttp_request *request, const struct ledger_entry *entry)
{
	if (migration_ended(&entry->migration)) {
		api->telling = entry->migration.intent.id;
		evhttp_request_set_on_complete_cb(request, end_is_told, api);
	}
	reply(request, HTTP_OK, api_migration(entry, false));
}

bool api_owes_an_end(const struct api *api)
{
	return api->followed > api->told;
}

static void waiter_answer(struct waiter *waiter)
{
	struct api *api = waiter->api;
	const struct ledger_entry *entry =
	        ledger_find(conductor_ledger(api->conductor), waiter->id);
	struct evhttp_request *request = waiter->request;

	waiter_free(waiter);
	if (entry)
		migration_tell(api, request, entry);
	else
		refuse_unknown(request);
}

static bool is_awaited_no_more(const struct waiter *waiter, const struct ledger_entry *entry)
{
	if (!entry || migration_ended(&entry->migration))
		return true;
	if (waiter->state >= 0)
		return (int)entry->migration.state == waiter->state;
	return entry->changes > waiter->seen;
}

void api_changed(struct api *api)
{
	struct waiter *waiter = api->waiters;

	while (waiter) {
		struct waiter *next = waiter->next;

		if (is_awaited_no_more(
		            waiter, ledger_find(conductor_ledger(api->conductor), waiter->id)))
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
	waiter_free(context);
}

/* False: cannot wait, so answer now. */
static bool waiter_add(struct api *api, struct evhttp_request *request, const struct waiter *asked)
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

/* ---- routes ---- */

static void migrations_get(struct api *api, struct evhttp_request *request)
{
	reply(request, HTTP_OK, api_migrations(conductor_ledger(api->conductor)));
}

static int status_of(const char *reason)
{
	if (!strncmp(reason, "unknown-", 8))
		return HTTP_NOTFOUND;
	if (!strcmp(reason, "journal-failed") || !strcmp(reason, "no-memory") ||
	        !strcmp(reason, "shutting-down"))
		return HTTP_SERVUNAVAIL;
	return HTTP_CONFLICT;
}

static void migrations_post(struct api *api, struct evhttp_request *request)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(input);
	const char *body = (const char *)evbuffer_pullup(input, -1);
	struct api_migrate migrate;
	const char *wrong = api_migrate_read(body ? body : "", length, &migrate);
	struct admission admission;
	struct json_object *answer;
	uint64_t id;

	if (wrong) {
		refuse(request, HTTP_BADREQUEST, "bad-request", wrong);
		return;
	}
	admission = conductor_migrate(api->conductor, migrate.vm, migrate.to, migrate.force, &id);
	if (admission.reason) {
		refuse(request, status_of(admission.reason), admission.reason, admission.text);
		return;
	}
	answer = json_object_new_object();
	json_put_number(answer, "id", id);
	reply(request, HTTP_ACCEPTED, answer);
}

static int number_parse(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || end == text || *end || *text == '-' || *text == '+' || *number > max
	               ? -EINVAL
	               : 0;
}

/* ?wait=STATE, ?seen=NUMBER; NULL or what is wrong. *@waits: something was asked. */
static const char *query_parse(struct evhttp_request *request, struct waiter *asked, bool *waits)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	struct evkeyvalq values;
	const char *wait, *seen, *wrong = NULL;
	enum migration_state state = STATE_DONE;
	uint64_t number = 0;

	if (!query)
		return NULL;
	if (evhttp_parse_query_str(query, &values))
		return "the query cannot be read";
	wait = evhttp_find_header(&values, "wait");
	seen = evhttp_find_header(&values, "seen");
	if (wait && strcmp(wait, "change") && migration_state_parse(wait, &state))
		wrong = "wait has to be a state, or change";
	else if (seen && number_parse(seen, UINT32_MAX, &number))
		wrong = "seen has to be a number";
	asked->state = wait && strcmp(wait, "change") ? (int)state : -1;
	asked->seen = (unsigned)number;
	*waits = wait || seen;
	evhttp_clear_headers(&values);
	return wrong;
}

static void migration_get(struct api *api, struct evhttp_request *request, uint64_t id)
{
	const struct ledger_entry *entry = ledger_find(conductor_ledger(api->conductor), id);
	struct waiter asked = {.id = id};
	bool waits = false;
	const char *wrong = query_parse(request, &asked, &waits);

	if (wrong)
		refuse(request, HTTP_BADREQUEST, "bad-request", wrong);
	else if (!entry)
		refuse_unknown(request);
	else if (!waits || is_awaited_no_more(&asked, entry) || !waiter_add(api, request, &asked))
		migration_tell(api, request, entry);
	if (entry && waits && id > api->followed)
		api->followed = id;
}

static void migration_abort(struct api *api, struct evhttp_request *request, uint64_t id)
{
	const char *reason = conductor_abort(api->conductor, id);

	if (!reason) {
		reply(request, HTTP_ACCEPTED, json_object_new_object());
		return;
	}
	if (!strcmp(reason, "too-late"))
		refuse(request, HTTP_CONFLICT, reason,
		        "the migration is past its commit: it will end at the destination or, if "
		        "that fails, at the source");
	else if (!strcmp(reason, "unknown-migration"))
		refuse_unknown(request);
	else if (!strcmp(reason, "recovering"))
		refuse(request, HTTP_CONFLICT, reason,
		        "tether-smd was restarted and brings it to its end by itself");
	else
		refuse(request, HTTP_CONFLICT, reason,
		        "the migration has ended; see tether status");
}

static void health_get(struct api *api, struct evhttp_request *request)
{
	struct json_object *body = json_object_new_object();
	unsigned connected = 0;

	for (const struct inventory_host *h = conductor_inventory(api->conductor)->hosts; h;
	        h = h->next)
		connected += h->connected;
	json_put_number(body, "epoch", conductor_ledger(api->conductor)->epoch);
	json_put_number(body, "hosts", connected);
	json_put_text(body, "fabric", conductor_has_fabric(api->conductor) ? "opensm" : "none");
	json_put_bool(body, "sm_connected", conductor_sm_is_up(api->conductor));
	reply(request, HTTP_OK, body);
}

/* ---- requests ---- */

static bool is_served(struct evhttp_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

/* "/v1/migrations/7" or "/v1/migrations/7/abort" */
static bool migration_path(const char *path, uint64_t *id, bool *abort)
{
	char number[24];
	size_t digits;

	if (strncmp(path, "/v1/migrations/", 15))
		return false;
	path += 15;
	digits = strspn(path, "0123456789");
	if (!digits || digits >= sizeof(number))
		return false;
	memcpy(number, path, digits);
	number[digits] = '\0';
	*abort = !strcmp(path + digits, "/abort");
	return (*abort || !path[digits]) && !number_parse(number, UINT64_MAX, id);
}

static void route_get(struct api *api, struct evhttp_request *request, const char *path)
{
	bool abort;
	uint64_t id;

	if (!strcmp(path, "/v1/migrations"))
		migrations_get(api, request);
	else if (!strcmp(path, "/v1/vms"))
		reply(request, HTTP_OK, api_vms(conductor_inventory(api->conductor)));
	else if (!strcmp(path, "/v1/hosts"))
		reply(request, HTTP_OK, api_hosts(conductor_inventory(api->conductor)));
	else if (!strcmp(path, "/v1/health"))
		health_get(api, request);
	else if (migration_path(path, &id, &abort) && !abort)
		migration_get(api, request, id);
	else
		refuse(request, HTTP_NOTFOUND, "unknown-path", "there is nothing at this path");
}

static void route_post(struct api *api, struct evhttp_request *request, const char *path)
{
	bool abort;
	uint64_t id;

	if (!strcmp(path, "/v1/migrations"))
		migrations_post(api, request);
	else if (migration_path(path, &id, &abort) && abort)
		migration_abort(api, request, id);
	else
		refuse(request, HTTP_NOTFOUND, "unknown-path", "there is nothing at this path");
}

static void route(struct evhttp_request *request, void *context)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	struct api *api = context;

	if (!is_served(request))
		refuse(request, HTTP_FORBIDDEN, "forbidden",
		        "only root and the user that tether-smd runs as are served");
	else if (!path)
		refuse(request, HTTP_NOTFOUND, "unknown-path", "there is nothing at this path");
	else if (evhttp_request_get_command(request) == EVHTTP_REQ_POST)
		route_post(api, request, path);
	else
		route_get(api, request, path);
}

/* ---- the API ---- */

/* What waits stays acceptable: without a pause the loop would do nothing else. */
static void accepting_failed(struct evconnlistener *listener, void *of_evhttp)
{
	struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};

	log_error("api", "nobody can be accepted, accepting pauses: %s", strerror(errno));
	evconnlistener_disable(listener);
	evtimer_add(the_api->again, &pause);
}

static void accepting_again(evutil_socket_t unused, short what, void *context)
{
	struct api *api = context;

	evconnlistener_enable(api->listener);
}

static int listen_at(struct api *api, const char *path)
{
	struct evconnlistener *listener;
	int fd;
	int err = channel_unix_listen(path, 0600, &fd);

	if (err)
		return err;
	api->path = strdup(path);
	/* Backlog 0: it listens already. */
	listener = evconnlistener_new(
	        api->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener) {
		close(fd);
		return -ENOMEM;
	}
	if (!evhttp_bind_listener(api->http, listener)) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	the_api = api;
	api->listener = listener;
	evconnlistener_set_error_cb(listener, accepting_failed);
	return 0;
}

struct api *api_create(struct event_base *base, const char *path)
{
	struct api *api = calloc(1, sizeof(*api));
	int err = -ENOMEM;

	if (!api)
		return NULL;
	api->base = base;
	api->again = evtimer_new(base, accepting_again, api);
	api->http = evhttp_new(base);
	if (api->http && api->again) {
		evhttp_set_allowed_methods(api->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
		evhttp_set_max_body_size(api->http, BODY_MAX_BYTES);
		evhttp_set_max_headers_size(api->http, HEADERS_MAX_BYTES);
		evhttp_set_gencb(api->http, route, api);
		err = listen_at(api, path);
	}
	if (err) {
		api_destroy(api);
		errno = -err;
		return NULL;
	}
	return api;
}

void api_conductor_set(struct api *api, struct conductor *conductor)
{
	api->conductor = conductor;
}

void api_destroy(struct api *api)
{
	if (!api)
		return;
	while (api->waiters)
		waiter_free(api->waiters);
	if (api->http)
		evhttp_free(api->http);
	if (api->again)
		event_free(api->again);
	if (api->path)
		unlink(api->path);
	free(api->path);
	free(api);
}
