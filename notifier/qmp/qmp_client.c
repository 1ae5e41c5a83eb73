/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/base/timer.h"
#include "notifier/qmp/qmp_lines.h"
#include "notifier/qmp/qmp_message.h"

enum {
	AGAIN_MS = 20,         /* others wait to be let in */
	READ_MOST = 64 * 1024, /* a turn of the loop */
	WHY_SIZE = 256,
};

enum phase { CONNECTING, GREETING, NEGOTIATING, READY };

struct qmp_client {
	struct event_base *base;
	const char *path;
	const struct qmp_client_callbacks *callbacks;
	void *context;
	int fd;
	enum phase phase;
	struct event *connect, *readable, *writable;
	struct qmp_lines lines;
	char *out; /* a command that has not been taken whole; NULL: none */
	size_t out_at;
	uint64_t id; /* of the last command */
	bool is_answered;
	bool is_telling, is_closed; /* freed when it has told */
};

static void lost(struct qmp_client *client, bool is_absent, const char *why)
{
	client->callbacks->lost(client->context, is_absent, why);
}

static void lost_errno(struct qmp_client *client, const char *what, int err)
{
	char why[WHY_SIZE];

	snprintf(why, sizeof(why), "%s %s: %s", what, client->path, strerror(-err));
	lost(client, err == -ENOENT || err == -ECONNREFUSED, why);
}

const char *qmp_client_waits(const struct qmp_client *client)
{
	switch (client->phase) {
	case CONNECTING:
		return "does not take a connection: is another one open?";
	case GREETING:
		return "does not greet: is another connection open?";
	default:
		return "does not answer";
	}
}

/* What is left of the command. -errno */
static int out_flush(struct qmp_client *client)
{
	while (client->out && client->out[client->out_at]) {
		const char *rest = client->out + client->out_at;
		ssize_t count = send(client->fd, rest, strlen(rest), MSG_NOSIGNAL);

		if (count < 0 && errno == EAGAIN)
			return event_add(client->writable, NULL) ? -ENOMEM : 0;
		if (count < 0)
			return -errno;
		client->out_at += count;
	}
	free(client->out);
	client->out = NULL;
	return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *at)
{
	struct qmp_client *client = at;
	int err = out_flush(client);

	if (err)
		lost_errno(client, "cannot be told anything at", err);
}

int qmp_client_say(struct qmp_client *client, const char *command, struct json_object *arguments)
{
	char *line = qmp_command_write(command, arguments, ++client->id);

	if (!line)
		return -ENOMEM;
	free(client->out);
	client->out = line;
	client->out_at = 0;
	client->is_answered = false;
	/* A connection that is gone is seen when it is read from. */
	return out_flush(client) == -ENOMEM ? -ENOMEM : 0;
}

/* An answer that was not waited for is nobody's. */
static void answer_take(struct qmp_client *client, const struct qmp_message *message)
{
	if (client->is_answered || (message->id && message->id != client->id)) {
		lost(client, false, "answers what it was not asked");
		return;
	}
	client->is_answered = true;
	if (client->phase == READY) {
		client->callbacks->said(client->context, message);
	} else if (message->kind == QMP_ERROR) {
		lost(client, false, "refuses qmp_capabilities");
	} else {
		client->phase = READY;
		client->callbacks->ready(client->context);
	}
}

static void message_take(struct qmp_client *client, const struct qmp_message *message)
{
	if (client->phase == GREETING) {
		client->phase = NEGOTIATING;
		if (message->kind != QMP_GREETING)
			lost(client, false, "does not greet as QEMU does");
		else if (qmp_client_say(client, "qmp_capabilities", NULL))
			lost(client, false, "cannot be spoken to: no memory");
	} else if (message->kind == QMP_EVENT) {
		if (client->phase == READY)
			client->callbacks->said(client->context, message);
	} else if (message->kind == QMP_GREETING) {
		lost(client, false, "greets twice");
	} else {
		answer_take(client, message);
	}
}

static void client_free(struct qmp_client *client)
{
	qmp_lines_clear(&client->lines);
	free(client->out);
	free(client);
}

/* False: it was lost. */
static bool line_take(struct qmp_client *client, const char *line, size_t count)
{
	struct qmp_message message;
	int err;

	if (!count)
		return true;
	err = qmp_message_read(line, count, &message);
	if (err) {
		lost(client, false,
		        err == -ENOMEM ? "cannot be understood: no memory"
		                       : "says what is not QMP");
		return false;
	}
	message_take(client, &message);
	qmp_message_clear(&message);
	return true;
}

static void lines_take(struct qmp_client *client)
{
	const char *line;
	size_t count;

	client->is_telling = true;
	while (!client->is_closed && (line = qmp_lines_next(&client->lines, &count)) &&
	        line_take(client, line, count))
		;
	client->is_telling = false;
	if (client->is_closed)
		client_free(client);
}

static void on_readable(evutil_socket_t fd, short what, void *at)
{
	struct qmp_client *client = at;
	size_t space;
	int err = 0;
	char *to = qmp_lines_space(&client->lines, &space, &err);
	ssize_t count;

	if (!to) {
		lost(client, false,
		        err == -ENOMEM ? "cannot be listened to: no memory" : "says too much");
		return;
	}
	count = read(client->fd, to, space < READ_MOST ? space : READ_MOST);
	if (count < 0 && errno == EAGAIN)
		return;
	if (count < 0) {
		lost_errno(client, "is lost at", -errno);
	} else if (!count) {
		lost(client, false, "has closed its QMP connection, or has ended");
	} else {
		qmp_lines_read(&client->lines, count);
		lines_take(client);
	}
}

static int events_make(struct qmp_client *client)
{
	client->readable =
	        event_new(client->base, client->fd, EV_READ | EV_PERSIST, on_readable, client);
	client->writable = event_new(client->base, client->fd, EV_WRITE, on_writable, client);
	if (!client->readable || !client->writable || event_add(client->readable, NULL))
		return -ENOMEM;
	return 0;
}

/* A unix socket's connect is done at once, or its queue is full. */
static int try_connect(struct qmp_client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(client->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, client->path);
	if (client->fd < 0)
		client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return events_make(client);
}

static void on_connect(evutil_socket_t fd, short what, void *at)
{
	struct qmp_client *client = at;
	int err = try_connect(client);

	if (err == -EAGAIN)
		err = timer_set(client->connect, AGAIN_MS) ? -ENOMEM : 0;
	else if (!err)
		client->phase = GREETING;
	if (err)
		lost_errno(client, "cannot be reached at", err);
}

struct qmp_client *qmp_client_open(struct event_base *base, const char *path,
        const struct qmp_client_callbacks *callbacks, void *context)
{
	struct qmp_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->base = base;
	client->path = path;
	client->callbacks = callbacks;
	client->context = context;
	client->fd = -1;
	client->is_answered = true;
	client->connect = evtimer_new(base, on_connect, client);
	if (client->connect && !timer_set(client->connect, 0))
		return client;
	qmp_client_close(client);
	return NULL;
}

void qmp_client_close(struct qmp_client *client)
{
	if (!client)
		return;
	client->is_closed = true;
	if (client->connect)
		event_free(client->connect);
	if (client->readable)
		event_free(client->readable);
	if (client->writable)
		event_free(client->writable);
	if (client->fd >= 0)
		close(client->fd);
	if (!client->is_telling)
		client_free(client);
}
