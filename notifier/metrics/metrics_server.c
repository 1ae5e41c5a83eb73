/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/metrics/metrics_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "notifier/channel/channel_unix.h"
#include "notifier/link/http_listener.h"
#include "notifier/metrics/metrics_address.h"

enum {
	SOCKET_MODE = 0660,
	BACKLOG = 16,
	HEADERS_MAX_BYTES = 8 << 10,
	BODY_MAX_BYTES = 0,
	IDLE_S = 30, /* so long a client may say nothing */
};

struct metrics_server {
	struct evhttp *http;
	struct http_listener *listener;
	char *path; /* of a unix socket; else NULL */
	void (*tell)(void *owner, struct metrics_text *metrics);
	void *owner;
};

static int port_listen(const char *address, int *fd)
{
	struct sockaddr_storage at;
	socklen_t length;
	int one = 1, err = metrics_address_port(address, &at, &length);

	if (err)
		return err;
	*fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	/* Of the process before this one a link may linger. */
	if (!setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) &&
	        !bind(*fd, (struct sockaddr *)&at, length) && !listen(*fd, BACKLOG))
		return 0;
	err = -errno;
	close(*fd);
	return err;
}

static int any_listen(struct metrics_server *server, const char *address, int *fd)
{
	const char *path = metrics_address_path(address);
	int err;

	if (!path)
		return port_listen(address, fd);
	err = channel_unix_listen(path, SOCKET_MODE, fd);
	if (err)
		return err;
	server->path = strdup(path);
	if (server->path)
		return 0;
	close(*fd);
	unlink(path);
	return -ENOMEM;
}

static void metrics_reply(struct metrics_server *server, struct evhttp_request *request)
{
	struct evbuffer *body = evbuffer_new();
	struct metrics_text metrics = {0};

	server->tell(server->owner, &metrics);
	if (!body || metrics_end(&metrics) ||
	        evbuffer_add(body, metrics.text ? metrics.text : "", metrics.length)) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
		        "text/plain; version=0.0.4; charset=utf-8");
		evhttp_send_reply(request, HTTP_OK, NULL, body);
	}
	if (body)
		evbuffer_free(body);
	metrics_clear(&metrics);
}

static void asked(struct evhttp_request *request, void *context)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;

	if (path && !strcmp(path, "/metrics"))
		metrics_reply(context, request);
	else
		evhttp_send_error(request, HTTP_NOTFOUND, NULL);
}

static int server_start(struct metrics_server *server, struct event_base *base, const char *address)
{
	int fd, err;

	server->http = evhttp_new(base);
	if (!server->http)
		return -ENOMEM;
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_body_size(server->http, BODY_MAX_BYTES);
	evhttp_set_max_headers_size(server->http, HEADERS_MAX_BYTES);
	evhttp_set_timeout(server->http, IDLE_S);
	evhttp_set_gencb(server->http, asked, server);
	err = any_listen(server, address, &fd);
	if (err)
		return err;
	server->listener = http_listener_create(base, server->http, fd, "metrics");
	return server->listener ? 0 : -ENOMEM;
}

struct metrics_server *metrics_server_create(struct event_base *base, const char *address,
        void (*tell)(void *owner, struct metrics_text *metrics), void *owner)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return NULL;
	server->tell = tell;
	server->owner = owner;
	err = server_start(server, base, address);
	if (!err)
		return server;
	metrics_server_destroy(server);
	errno = -err;
	return NULL;
}

void metrics_server_destroy(struct metrics_server *server)
{
	if (!server)
		return;
	if (server->http)
		evhttp_free(server->http);
	http_listener_destroy(server->listener);
	if (server->path)
		unlink(server->path);
	free(server->path);
	free(server);
}
