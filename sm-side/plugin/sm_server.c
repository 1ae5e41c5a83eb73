/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "sm-side/plugin/sm_request.h"
#include "sm-side/plugin/sm_server.h"

enum { SEND_TIMEOUT_S = 2, ACCEPT_PAUSE_MS = 100 };

struct connection {
	struct sm_server *server;
	pthread_t thread;
	int fd;          /* -1: the row is free */
	bool has_thread; /* to be joined before the row is used again */
	bool is_over;
	unsigned number;
	size_t used;
	char line[SM_REQUEST_BYTES_MAX];
};

struct sm_server {
	const struct sm_server_callbacks *callbacks;
	void *owner;
	struct sockaddr_un address;
	int listener;
	int stop; /* eventfd */
	pthread_t thread;
	pthread_mutex_t lock; /* of fd, is_over of the connections */
	unsigned last_number;
	struct connection connections[SM_CONNECTIONS_MAX];
};

static bool send_all(int fd, const char *bytes, size_t count)
{
	while (count) {
		ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes += sent;
		count -= (size_t)sent;
	}
	return true;
}

static bool line_answer(struct connection *c, const char *line, size_t bytes)
{
	CLEANUP_FREE char *answer =
	        c->server->callbacks->answer(c->server->owner, c->number, line, bytes);

	return answer && send_all(c->fd, answer, strlen(answer)) && send_all(c->fd, "\n", 1);
}

/* Answer the whole lines that have come; keep the rest. */
static bool lines_answer(struct connection *c)
{
	size_t start = 0;
	char *end;

	while ((end = memchr(c->line + start, '\n', c->used - start))) {
		size_t bytes = (size_t)(end - c->line) - start;

		if (!line_answer(c, c->line + start, bytes))
			return false;
		start += bytes + 1;
	}
	c->used -= start;
	memmove(c->line, c->line + start, c->used);
	return c->used < sizeof(c->line);
}

static void *connection_thread(void *arg)
{
	struct connection *c = arg;
	struct sm_server *server = c->server;
	unsigned number = c->number;

	for (;;) {
		ssize_t got = recv(c->fd, c->line + c->used, sizeof(c->line) - c->used, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		c->used += (size_t)got;
		if (!lines_answer(c))
			break;
	}
	pthread_mutex_lock(&server->lock);
	close(c->fd);
	c->fd = -1;
	c->is_over = true;
	pthread_mutex_unlock(&server->lock);
	server->callbacks->closed(server->owner, number);
	return NULL;
}

/* OpenSM's signals are for its main thread. */
static int thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static void connection_reap(struct sm_server *server, struct connection *c)
{
	bool is_over;

	pthread_mutex_lock(&server->lock);
	is_over = c->is_over;
	pthread_mutex_unlock(&server->lock);
	if (!c->has_thread || !is_over)
		return;
	pthread_join(c->thread, NULL);
	c->has_thread = false;
}

/* A row that nobody uses, NULL: all are taken. */
static struct connection *connection_free(struct sm_server *server)
{
	for (unsigned i = 0; i < SM_CONNECTIONS_MAX; i++) {
		struct connection *c = &server->connections[i];

		connection_reap(server, c);
		if (!c->has_thread)
			return c;
	}
	return NULL;
}

/* 0, or -errno where nobody can be accepted just now. */
static int connection_accept(struct sm_server *server)
{
	struct timeval timeout = {.tv_sec = SEND_TIMEOUT_S};
	struct connection *c = connection_free(server);
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
	if (!c) {
		close(fd);
		return 0;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	c->server = server;
	c->fd = fd;
	c->is_over = false;
	c->used = 0;
	c->number = ++server->last_number;
	c->has_thread = thread_start(&c->thread, connection_thread, c) == 0;
	if (!c->has_thread) {
		close(fd);
		c->fd = -1;
	}
	return 0;
}

static void *listener_thread(void *arg)
{
	struct sm_server *server = arg;
	struct pollfd fds[2] = {
	        {.fd = server->listener, .events = POLLIN}, {.fd = server->stop, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[1].revents)
			return NULL;
		/* What waits stays acceptable: without a pause this would spin. */
		if (fds[0].revents && connection_accept(server))
			poll(&fds[1], 1, ACCEPT_PAUSE_MS);
	}
}

/* Is what stands at the address a dead server's? 0: it, or nothing, was there and is gone. */
static int address_clear(const struct sockaddr_un *address)
{
	struct stat status;
	CLEANUP_CLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (probe < 0)
		return -errno;
	if (lstat(address->sun_path, &status))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(address->sun_path) ? -errno : 0;
}

static int listener_open(struct sm_server *server)
{
	int error = address_clear(&server->address);

	if (error)
		return error;
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return -errno;
	/* The mode is there before the name is: no moment in which others could connect. */
	if (fchmod(server->listener, 0600) ||
	        bind(server->listener, (const struct sockaddr *)&server->address,
	                sizeof(server->address)) ||
	        listen(server->listener, SM_CONNECTIONS_MAX))
		return -errno;
	return 0;
}

static void server_free(struct sm_server *server)
{
	if (server->listener >= 0)
		close(server->listener);
	if (server->stop >= 0)
		close(server->stop);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

int sm_server_create(const char *path, const struct sm_server_callbacks *callbacks, void *owner,
        struct sm_server **server)
{
	struct sm_server *made;
	int error;

	if (strlen(path) >= sizeof(made->address.sun_path))
		return -ENAMETOOLONG;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->callbacks = callbacks;
	made->owner = owner;
	made->address.sun_family = AF_UNIX;
	memcpy(made->address.sun_path, path, strlen(path));
	made->listener = -1;
	pthread_mutex_init(&made->lock, NULL);
	for (unsigned i = 0; i < SM_CONNECTIONS_MAX; i++)
		made->connections[i].fd = -1;
	made->stop = eventfd(0, EFD_CLOEXEC);
	error = made->stop < 0 ? -errno : listener_open(made);
	if (!error)
		error = thread_start(&made->thread, listener_thread, made);
	if (error) {
		server_free(made);
		return error;
	}
	*server = made;
	return 0;
}

void sm_server_destroy(struct sm_server *server)
{
	uint64_t one = 1;

	if (!server)
		return;
	if (write(server->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(server->thread, NULL);
	unlink(server->address.sun_path);
	pthread_mutex_lock(&server->lock);
	for (unsigned i = 0; i < SM_CONNECTIONS_MAX; i++)
		if (server->connections[i].fd >= 0)
			shutdown(server->connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < SM_CONNECTIONS_MAX; i++)
		if (server->connections[i].has_thread)
			pthread_join(server->connections[i].thread, NULL);
	server_free(server);
}
