/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/notices/mad_port.h"

#include <errno.h>
#include <event2/event.h>
#include <infiniband/umad.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/base/timer.h"
#include "notifier/wire/notice.h"

enum {
	LOOK_MS = 1000,
	ANSWER_MS = 500, /* of the SM, and twice again */
	REPEATS = 2,
	AT_ONCE = 64, /* then the loop's other descriptors have their turn */
	QP1 = 1,
	QP1_QKEY = 0x80010000,
	CA_BYTES = 20,
};

struct mad_port {
	char ca[CA_BYTES];
	int number;
	int fd; /* libibumad's; -1: not open */
	int agent;
	bool was_told; /* that it cannot be opened */
	struct event *readable, *looking, *failing;
	struct event_base *base;
	uint32_t tid;
	uint8_t *umad; /* one MAD with libibumad's header */
	const struct mad_port_callbacks *callbacks;
	void *owner;
};

/* False: not a port's name. */
static bool name_read(const char *name, char ca[CA_BYTES], int *number)
{
	const char *colon = strchr(name, ':');
	size_t length = colon ? (size_t)(colon - name) : strlen(name);
	char *end;

	if (!length || length >= CA_BYTES)
		return false;
	memcpy(ca, name, length);
	ca[length] = 0;
	*number = 1;
	if (!colon)
		return true;
	*number = (int)strtol(colon + 1, &end, 10);
	return end != colon + 1 && !*end && *number >= 1 && *number <= UINT8_MAX;
}

bool mad_port_name_is_fit(const char *name)
{
	char ca[CA_BYTES];
	int number;

	return name_read(name, ca, &number);
}

static uint8_t *mad_of(struct mad_port *port)
{
	return umad_get_mad(port->umad);
}

static void port_close(struct mad_port *port)
{
	if (port->readable)
		event_free(port->readable);
	port->readable = NULL;
	if (port->fd >= 0)
		umad_close_port(port->fd);
	port->fd = -1;
}

/* What was sent came back, or an answer to it. */
static void answer_take(struct mad_port *port)
{
	int status = notice_subscribed(mad_of(port), NOTICE_MAD_BYTES);

	if (umad_status(port->umad))
		status = -ETIMEDOUT;
	else if (status == -ENOMSG)
		return;
	port->callbacks->subscribed(port->owner, status);
}

static void mad_take(struct mad_port *port)
{
	uint8_t *mad = mad_of(port), report[NOTICE_MAD_BYTES];

	if (umad_status(port->umad) || !notice_is_report(mad, NOTICE_MAD_BYTES)) {
		answer_take(port);
		return;
	}
	memcpy(report, mad, sizeof(report));
	notice_acknowledge(mad);
	/* One that gets lost is asked for by another Report. */
	umad_send(port->fd, port->agent, port->umad, NOTICE_MAD_BYTES, 0, 0);
	port->callbacks->report(port->owner, report);
}

static void on_readable(evutil_socket_t fd, short what, void *at)
{
	struct mad_port *port = at;

	for (int i = 0; i < AT_ONCE && port->fd >= 0; i++) {
		int length = NOTICE_MAD_BYTES;
		int got = umad_recv(port->fd, port->umad, &length, 0);

		if (got == -EINTR || got == -ENOSPC)
			continue;
		if (got == -EAGAIN || got == -ETIMEDOUT)
			return;
		if (got < 0) {
			log_warn("mad", "%s port %d cannot be read: %s", port->ca, port->number,
			        strerror(-got));
			port_close(port);
			return;
		}
		mad_take(port);
	}
}

static int agent_register(struct mad_port *port)
{
	long methods[16 / sizeof(long)] = {0};

	methods[0] = 1L << NOTICE_SA_REPORT;
	port->agent = umad_register(port->fd, NOTICE_SA_CLASS, NOTICE_SA_VERSION, 0, methods);
	return port->agent;
}

static int port_open(struct mad_port *port)
{
	int err;

	port->fd = umad_open_port(port->ca, port->number);
	if (port->fd < 0) {
		err = port->fd;
		port->fd = -1;
		return err;
	}
	err = agent_register(port);
	if (err < 0)
		return err;
	port->readable = event_new(
	        port->base, umad_get_fd(port->fd), EV_READ | EV_PERSIST, on_readable, port);
	return port->readable && !event_add(port->readable, NULL) ? 0 : -ENOMEM;
}

static void open_again(struct mad_port *port)
{
	int err = port_open(port);

	if (!err) {
		log_info("mad", "notices are heard at %s port %d", port->ca, port->number);
		port->was_told = false;
		return;
	}
	port_close(port);
	if (!port->was_told)
		log_error("mad",
		        "%s port %d: %s (no such port, or another program takes the SA's Reports)",
		        port->ca, port->number, strerror(-err));
	port->was_told = true;
}

static void look(struct mad_port *port)
{
	umad_port_t found;
	uint16_t lid = 0, sm_lid = 0;

	if (port->fd >= 0 && !umad_get_port(port->ca, port->number, &found)) {
		lid = (uint16_t)found.base_lid;
		sm_lid = (uint16_t)found.sm_lid;
		umad_release_port(&found);
	}
	port->callbacks->looked(port->owner, lid, sm_lid);
}

static void on_look(evutil_socket_t fd, short what, void *at)
{
	struct mad_port *port = at;

	timer_set(port->looking, LOOK_MS);
	if (port->fd < 0)
		open_again(port);
	look(port);
}

static void on_fail(evutil_socket_t fd, short what, void *at)
{
	struct mad_port *port = at;

	port->callbacks->subscribed(port->owner, -ETIMEDOUT);
}

void mad_port_subscribe(struct mad_port *port, uint16_t lid, uint16_t sm_lid)
{
	int err = -ENODEV;

	if (port->fd >= 0) {
		memset(port->umad, 0, umad_size());
		notice_subscribe(lid, true, ++port->tid, mad_of(port));
		umad_set_addr(port->umad, sm_lid, QP1, 0, QP1_QKEY);
		err = umad_send(
		        port->fd, port->agent, port->umad, NOTICE_MAD_BYTES, ANSWER_MS, REPEATS);
	}
	if (err)
		event_active(port->failing, EV_TIMEOUT, 0);
}

struct mad_port *mad_port_create(struct event_base *base, const char *name,
        const struct mad_port_callbacks *callbacks, void *owner)
{
	struct mad_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->fd = -1;
	port->base = base;
	port->callbacks = callbacks;
	port->owner = owner;
	port->looking = evtimer_new(base, on_look, port);
	port->failing = evtimer_new(base, on_fail, port);
	umad_init();
	port->umad = calloc(1, umad_size() + NOTICE_MAD_BYTES);
	errno = ENOMEM;
	if (port->looking && port->failing && port->umad && !timer_set(port->looking, 0)) {
		errno = EINVAL;
		if (name_read(name, port->ca, &port->number))
			return port;
	}
	mad_port_destroy(port);
	return NULL;
}

void mad_port_destroy(struct mad_port *port)
{
	int err = errno;

	if (!port)
		return;
	port_close(port);
	if (port->looking)
		event_free(port->looking);
	if (port->failing)
		event_free(port->failing);
	free(port->umad);
	free(port);
	errno = err;
}
