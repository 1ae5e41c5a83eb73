/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/api_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "notifier/base/cleanup.h"
#include "sm-side/api/api_json.h"
#include "sm-side/json_read.h"

const char *api_body(struct evhttp_request *request, size_t *length)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	const char *body;

	*length = evbuffer_get_length(input);
	body = (const char *)evbuffer_pullup(input, -1);
	return body ? body : "";
}

static void migrations_get(struct api *api, struct evhttp_request *request, uint64_t id)
{
	api_reply(request, HTTP_OK, api_migrations(conductor_ledger(api->conductor)));
}

static void migrations_post(struct api *api, struct evhttp_request *request, uint64_t unused)
{
	size_t length;
	const char *body = api_body(request, &length);
	struct api_migrate migrate;
	const char *wrong = api_migrate_read(body, length, &migrate);
	struct conductor_wish wish = {.vm = migrate.vm, .to = migrate.to};
	struct admission admission;
	uint64_t id = 0;

	if (wrong) {
		api_refuse_malformed(request, wrong);
		return;
	}
	wish.force = migrate.force;
	wish.called = migrate.called;
	wish.order = migrate.order;
	wish.reach = migrate.reach;
	admission = conductor_migrate(api->conductor, &wish, &id);
	api_reply_begun(request, &admission, id);
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

const char *api_query_parse(struct evhttp_request *request, struct waiter *asked, bool *waits)
{
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	struct evkeyvalq values;
	const char *wait, *seen, *wrong = NULL;
	enum migration_state state = STATE_DONE;
	uint64_t number = 0;
	bool is_state;

	if (!query)
		return NULL;
	if (evhttp_parse_query_str(query, &values))
		return "the query cannot be read";
	wait = evhttp_find_header(&values, "wait");
	seen = evhttp_find_header(&values, "seen");
	is_state = wait && strcmp(wait, "change");
	if (is_state && asked->of != WAITS_FOR_MIGRATION)
		wrong = "wait has to be change";
	else if (is_state && migration_state_parse(wait, &state))
		wrong = "wait has to be a state, or change";
	else if (seen && number_parse(seen, UINT32_MAX, &number))
		wrong = "seen has to be a number";
	asked->state = is_state ? (int)state : -1;
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
	const char *wrong = api_query_parse(request, &asked, &waits);

	if (!wrong && entry && waits)
		api_follow(api, id);
	if (wrong)
		api_refuse_malformed(request, wrong);
	else if (!entry)
		api_refuse_unknown(request);
	else if (!waits || api_is_awaited_no_more(&asked, entry) || !api_wait(api, request, &asked))
		api_migration_tell(api, request, entry);
}

static void migration_abort(struct api *api, struct evhttp_request *request, uint64_t id)
{
	const char *reason = conductor_abort(api->conductor, id);

	if (!reason) {
		api_reply_accepted(request);
		return;
	}
	if (!strcmp(reason, "too-late"))
		api_refuse(request, API_CONFLICT, reason,
		        "the migration is past its commit: it will end at the destination or, if "
		        "that fails, at the source");
	else if (!strcmp(reason, "unknown-migration"))
		api_refuse_unknown(request);
	else if (!strcmp(reason, "recovering"))
		api_refuse(request, API_CONFLICT, reason,
		        "tether-smd was restarted and brings it to its end by itself");
	else
		api_refuse(request, API_CONFLICT, reason,
		        "the migration has ended; see tether status");
}

static void migration_report(struct api *api, struct evhttp_request *request, uint64_t id)
{
	size_t length;
	const char *body = api_body(request, &length);
	enum migration_report report = REPORT_NONE;
	const char *wrong = api_report_read(body, length, &report);
	const char *reason;

	if (wrong) {
		api_refuse_malformed(request, wrong);
		return;
	}
	reason = conductor_report(api->conductor, id, report);
	if (!reason)
		api_reply_accepted(request);
	else if (!strcmp(reason, "unknown-migration"))
		api_refuse_unknown(request);
	else if (!strcmp(reason, "not-awaited"))
		api_refuse(request, API_CONFLICT, "not-awaited",
		        "the migration does not wait for that report; what it awaits is in its "
		        "status");
	else if (!strcmp(reason, "recovering"))
		api_refuse(request, API_CONFLICT, reason,
		        "tether-smd was restarted and looks where the VM is; report it again when "
		        "the "
		        "migration awaits it");
	else
		api_refuse(request, API_CONFLICT, reason,
		        "the migration has ended; see tether status");
}

static void health_get(struct api *api, struct evhttp_request *request, uint64_t id)
{
	struct json_object *body = json_object_new_object();
	unsigned connected = 0;

	for (const struct inventory_host *h = conductor_inventory(api->conductor)->hosts; h;
	        h = h->next)
		connected += h->connected;
	json_put_number(body, "epoch", conductor_ledger(api->conductor)->epoch);
	json_put_number(body, "hypervisors", connected);
	json_put_text(body, "fabric", conductor_has_fabric(api->conductor) ? "opensm" : "none");
	json_put_bool(body, "sm_connected", conductor_sm_is_up(api->conductor));
	api_reply(request, HTTP_OK, body);
}

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

static void hypervisors_get(struct api *api, struct evhttp_request *request, uint64_t id)
{
	api_reply(request, HTTP_OK, api_hypervisors(conductor_inventory(api->conductor)));
}

static void hypervisor_delete(struct api *api, struct evhttp_request *request, const char *name)
{
	struct admission admission = conductor_forget(api->conductor, name);

	if (!admission.reason)
		api_reply(request, HTTP_OK, json_object_new_object());
	else if (!strcmp(admission.reason, "unknown-host"))
		api_refuse(request, HTTP_NOTFOUND, admission.reason, admission.text);
	else
		api_refuse(request, API_CONFLICT, admission.reason, admission.text);
}

/* ---- who answers ---- */

static const struct {
	enum evhttp_cmd_type method;
	const char *path;
	void (*answer)(struct api *api, struct evhttp_request *request, uint64_t id);
} routes[] = {
#define ROUTE(method, path, answer) {EVHTTP_REQ_##method, path, answer},
#include "sm-side/api/api_routes.def"
};

static const struct {
	enum evhttp_cmd_type method;
	const char *path;
	void (*answer)(struct api *api, struct evhttp_request *request, const char *name);
} named_routes[] = {
#define NAMED(method, path, answer) {EVHTTP_REQ_##method, path, answer},
#include "sm-side/api/api_routes.def"
};

/* The number that stands for {id}; false where there is none, or it is none. */
static bool number_take(const char **path, uint64_t *id)
{
	size_t digits = strspn(*path, "0123456789");
	char number[24];

	if (!digits || digits >= sizeof(number))
		return false;
	memcpy(number, *path, digits);
	number[digits] = '\0';
	*path += digits;
	return !number_parse(number, UINT64_MAX, id);
}

static bool path_matches(const char *path, const char *pattern, uint64_t *id)
{
	const char *brace = strstr(pattern, "{id}");

	if (!brace)
		return !strcmp(path, pattern);
	if (strncmp(path, pattern, (size_t)(brace - pattern)))
		return false;
	path += brace - pattern;
	return number_take(&path, id) && !strcmp(path, brace + strlen("{id}"));
}

/* What stands for {name}, the caller's to free; NULL: the path is another. */
static char *name_take(const char *path, const char *pattern)
{
	size_t length = strcspn(pattern, "{");
	const char *behind = strchr(pattern, '}') + 1;
	CLEANUP_FREE char *name = NULL;
	size_t name_length;

	if (strncmp(path, pattern, length))
		return NULL;
	path += length;
	name_length = strcspn(path, "/");
	if (!name_length || strcmp(path + name_length, behind))
		return NULL;
	name = strndup(path, name_length);
	return name ? evhttp_uridecode(name, 0, NULL) : NULL;
}

static bool named_route(struct api *api, struct evhttp_request *request, const char *path)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(request);

	for (size_t i = 0; path && i < ARRAY_SIZE(named_routes); i++) {
		CLEANUP_FREE char *name = NULL;

		if (named_routes[i].method == method)
			name = name_take(path, named_routes[i].path);
		if (!name)
			continue;
		named_routes[i].answer(api, request, name);
		return true;
	}
	return false;
}

static void route(struct api *api, struct evhttp_request *request, const char *path)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	uint64_t id = 0;

	for (size_t i = 0; path && i < ARRAY_SIZE(routes); i++) {
		if (routes[i].method != method || !path_matches(path, routes[i].path, &id))
			continue;
		routes[i].answer(api, request, id);
		return;
	}
	if (!named_route(api, request, path))
		api_refuse(request, HTTP_NOTFOUND, "unknown-path", "there is nothing at this path");
}

void api_route(struct evhttp_request *request, void *context)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	struct api *api = context;

	if (!is_served(request))
		api_refuse(request, API_FORBIDDEN, "forbidden",
		        "only root and the user that tether-smd runs as are served");
	else
		route(api, request, path);
}
