/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/acceptor.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "notifier/base/timer.h"

enum { PAUSE_MS = 100 };

struct acceptor {
	int fd;
	const char *who;
	struct event *acceptable, *again;
	acceptor_accepted accepted;
	void *owner;
};

static void on_acceptable(evutil_socket_t listener, short what, void *at)
{
	struct acceptor *acceptor = at;
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof(peer);
	int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		acceptor->accepted(fd, &peer, acceptor->owner);
	} else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		log_error("acceptor", "no %s can be accepted, accepting pauses: %s", acceptor->who,
		        strerror(errno));
		event_del(acceptor->acceptable);
		timer_set(acceptor->again, PAUSE_MS);
	}
}

static void on_again(evutil_socket_t fd, short what, void *at)
{
	struct acceptor *acceptor = at;

	event_add(acceptor->acceptable, NULL);
}

struct acceptor *acceptor_create(
        struct event_base *base, int fd, const char *who, acceptor_accepted accepted, void *owner)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (!acceptor) {
		close(fd);
		return NULL;
	}
	acceptor->fd = fd;
	acceptor->who = who;
	acceptor->accepted = accepted;
	acceptor->owner = owner;
	acceptor->acceptable = event_new(base, fd, EV_READ | EV_PERSIST, on_acceptable, acceptor);
	acceptor->again = evtimer_new(base, on_again, acceptor);
	if (acceptor->acceptable && acceptor->again && !event_add(acceptor->acceptable, NULL))
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
	free(acceptor);
}
