/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/http_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "notifier/base/log.h"
#include "notifier/base/timer.h"

enum { ACCEPT_PAUSE_MS = 100 };

struct http_listener {
	struct http_listener *next;
	struct evconnlistener *accepting; /* the evhttp's */
	struct event *again;
	const char *who;
};

/* One that evhttp has bound tells of errors in evhttp's name, so it is looked for here. */
static struct http_listener *all;

static void accepting_failed(struct evconnlistener *accepting, void *of_evhttp)
{
	struct http_listener *listener = all;
	int err = errno;

	while (listener && listener->accepting != accepting)
		listener = listener->next;
	if (!listener)
		return;
	log_error(listener->who, "nobody can be accepted, accepting pauses: %s", strerror(err));
	evconnlistener_disable(accepting);
	timer_set(listener->again, ACCEPT_PAUSE_MS);
}

static void accepting_again(evutil_socket_t unused, short what, void *context)
{
	struct http_listener *listener = context;

	evconnlistener_enable(listener->accepting);
}

struct http_listener *http_listener_create(
        struct event_base *base, struct evhttp *http, int fd, const char *who)
{
	struct http_listener *listener = calloc(1, sizeof(*listener));

	if (listener)
		listener->again = evtimer_new(base, accepting_again, listener);
	/* Backlog 0: it listens already. */
	if (listener && listener->again)
		listener->accepting = evconnlistener_new(
		        base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener || !listener->accepting) {
		close(fd);
		http_listener_destroy(listener);
		return NULL;
	}
	if (!evhttp_bind_listener(http, listener->accepting)) {
		evconnlistener_free(listener->accepting);
		http_listener_destroy(listener);
		return NULL;
	}
	listener->who = who;
	listener->next = all;
	all = listener;
	evconnlistener_set_error_cb(listener->accepting, accepting_failed);
	return listener;
}

void http_listener_destroy(struct http_listener *listener)
{
	struct http_listener **at = &all;

	if (!listener)
		return;
	while (*at && *at != listener)
		at = &(*at)->next;
	if (*at)
		*at = listener->next;
	if (listener->again)
		event_free(listener->again);
	free(listener);
}
