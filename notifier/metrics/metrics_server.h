/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * GET /metrics for Prometheus, over HTTP on this machine alone: a port of the loopback interface,
 * or a unix socket. Who may see is whoever is on this machine; nothing can be changed. Lives in the
 * thread of its event_base.
 */
#ifndef TETHER_METRICS_SERVER_H
#define TETHER_METRICS_SERVER_H

#include "notifier/metrics/metrics_text.h"

struct event_base;
struct metrics_server;

/* At @address (metrics_address.h). @tell puts the metrics down, once for each request. NULL with
 * errno. */
struct metrics_server *metrics_server_create(struct event_base *base, const char *address,
        void (*tell)(void *owner, struct metrics_text *metrics), void *owner);
/* NULL is fine. */
void metrics_server_destroy(struct metrics_server *server);

#endif
