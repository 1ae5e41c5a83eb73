/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The service manager hears from the loop itself that it goes round (base/service.h), and ends a
 * daemon of which it hears nothing. Lives in the loop's thread.
 */
#ifndef TETHER_WATCHDOG_H
#define TETHER_WATCHDOG_H

struct event;
struct event_base;

/* *@watchdog: for event_free; NULL: nobody wants to hear it. -ENOMEM */
int watchdog_start(struct event_base *base, struct event **watchdog);

#endif
