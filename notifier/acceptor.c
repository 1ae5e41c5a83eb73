/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/acceptor.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/base/log.h"

enum { PAUSE_MS = 100 };

struct acceptor {
	int fd;
	char *name;
	struct event *acceptable, *again;
	void (*accepted)(int fd, void *owner);
	void *owner;
};

static void on_acceptable(evutil_socket_t listener, short what, void *at)
{
	struct acceptor *acceptor = at;
	struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		acceptor->accepted(fd, acceptor->owner);
	} else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		log_error("acceptor", "%s: accepting pauses: %s", acceptor->name, strerror(errno));
		event_del(acceptor->acceptable);
		evtimer_add(acceptor->again, &pause);
	}
}

static void on_again(evutil_socket_t fd, short what, void *at)
{
	struct acceptor *acceptor = at;

	event_add(acceptor->acceptable, NULL);
}

struct acceptor *acceptor_create(struct event_base *base, int fd, const char *name,
        void (*accepted)(int fd, void *owner), void *owner)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (!acceptor) {
		close(fd);
		return NULL;
	}
	acceptor->fd = fd;
	acceptor->name = strdup(name);
	acceptor->accepted = accepted;
	acceptor->owner = owner;
	acceptor->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, acceptor);
	acceptor->again = evtimer_new(base, on_again, acceptor);
	if (acceptor->name && acceptor->acceptable && acceptor->again &&
	        !event_add(acceptor->acceptable, NULL))
		return acceptor;
	acceptor_destroy(acceptor);
	return NULL;
}

void acceptor_destroy(struct acceptor *acceptor)
{
	if (!acceptor)
		return;
	if (acceptor->acceptable)
		event_free(acceptor->acceptable);
	if (acceptor->again)
		event_free(acceptor->again);
	close(acceptor->fd);
	free(acceptor->name);
	free(acceptor);
}
