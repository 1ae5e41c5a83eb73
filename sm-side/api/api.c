/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api/api_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>

#include "notifier/channel/channel_unix.h"
#include "notifier/link/http_listener.h"

enum {
	BODY_MAX_BYTES = 64 << 10,
	HEADERS_MAX_BYTES = 8 << 10,
};

static int listen_at(struct api *api, const char *path)
{
	int fd;
	int err = channel_unix_listen(path, 0600, &fd);

	if (err)
		return err;
	api->path = strdup(path);
	api->listener = http_listener_create(api->base, api->http, fd, "api");
	return api->path && api->listener ? 0 : -ENOMEM;
}

struct api *api_create(struct event_base *base, const char *path)
{
	struct api *api = calloc(1, sizeof(*api));
	int err = -ENOMEM;

	if (!api)
		return NULL;
	api->base = base;
	api->http = evhttp_new(base);
	if (api->http) {
		evhttp_set_allowed_methods(
		        api->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
		evhttp_set_max_body_size(api->http, BODY_MAX_BYTES);
		evhttp_set_max_headers_size(api->http, HEADERS_MAX_BYTES);
		evhttp_set_gencb(api->http, api_route, api);
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

void api_evacuator_set(struct api *api, struct evacuator *evacuator)
{
	api->evacuator = evacuator;
}

void api_dry_run_set(struct api *api, struct dry_run *dry_run)
{
	api->dry_run = dry_run;
}

void api_destroy(struct api *api)
{
	if (!api)
		return;
	while (api->waiters)
		api_waiter_free(api->waiters);
	api_plan_clients_clear(api);
	api_agents_clients_clear(api);
	api_followed_clear(api);
	if (api->http)
		evhttp_free(api->http);
	http_listener_destroy(api->listener);
	if (api->path)
		unlink(api->path);
	free(api->path);
	free(api);
}
