/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A listening descriptor for libevent's HTTP server that survives a lack of descriptors: accepting
 * pauses then, since what waits stays acceptable and the loop would do nothing else. Lives in the
 * thread of its event_base.
 */
#ifndef TETHER_HTTP_LISTENER_H
#define TETHER_HTTP_LISTENER_H

struct event_base;
struct evhttp;
struct http_listener;

/* @http is served at @fd, which listens and is the listener's from here on, also on error. @who
 * stands in the log, and is not copied. NULL: no memory. */
struct http_listener *http_listener_create(
        struct event_base *base, struct evhttp *http, int fd, const char *who);
/* After evhttp_free. NULL is fine. */
void http_listener_destroy(struct http_listener *listener);

#endif
