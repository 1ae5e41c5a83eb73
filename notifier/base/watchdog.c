/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/base/watchdog.h"

#include <errno.h>

#include <event2/event.h>

#include "notifier/base/service.h"

enum { US_PER_S = 1000000 };

static void turn(evutil_socket_t unused, short what, void *context)
{
	service_alive();
}

int watchdog_start(struct event_base *base, struct event **watchdog)
{
	uint64_t us = service_alive_us();
	struct timeval pause = {(time_t)(us / US_PER_S), (suseconds_t)(us % US_PER_S)};

	*watchdog = NULL;
	if (!us)
		return 0;
	*watchdog = event_new(base, -1, EV_PERSIST, turn, NULL);
	if (*watchdog && !event_add(*watchdog, &pause))
		return 0;
	if (*watchdog)
		event_free(*watchdog);
	*watchdog = NULL;
	return -ENOMEM;
}
