/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A server's end of signal = mad: subscribes with the SM to the notices for its PF's LID, and asks
 * the root over its link when one comes. Joins mad_port (the fabric), notice_watch and subscription
 * (what to do when), and whoever has the link. Lives in the loop's thread; calls its owner from the
 * loop, or from inside host_signal_told.
 */
#ifndef TETHER_HOST_SIGNAL_H
#define TETHER_HOST_SIGNAL_H

#include <stdint.h>

#include "notifier/notices/notice_watch.h"
#include "tether.pb-c.h"

struct event_base;
struct host_signal;

struct host_signal_callbacks {
	/* To the root, over the link. */
	void (*send)(void *owner, const Tether__Frame *frame);
	/* What host_signal_lid says has changed: HELLO has to be said again. */
	void (*moved)(void *owner);
};

/* @port: of mad_port_create. NULL with errno. */
struct host_signal *host_signal_create(struct event_base *base, const char *port,
        const struct host_signal_callbacks *callbacks, void *owner);
void host_signal_destroy(struct host_signal *signal);

/* Where notices are heard, for HELLO; 0: nowhere yet. @signal here and below may be NULL: signals
 * by the link alone. */
uint16_t host_signal_lid(const struct host_signal *signal);

/* What the root says. */
void host_signal_told(struct host_signal *signal, const Tether__Pull *pull);
void host_signal_root_lost(struct host_signal *signal);

/* The signal's. */
const struct notice_counts *host_signal_counts(const struct host_signal *signal);

#endif
