/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/api_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "notifier/base/log.h"
#include "notifier/channel_unix.h"

enum {
	BODY_MAX_BYTES = 64 << 10,
	HEADERS_MAX_BYTES = 8 << 10,
	ACCEPT_PAUSE_MS = 100,
};

/* A listener that evhttp has bound tells of errors in evhttp's name, so there is one in a process.
 */
static struct api *the_api;

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
	if (api->again)
		event_free(api->again);
	if (api->path)
		unlink(api->path);
	free(api->path);
	free(api);
}
