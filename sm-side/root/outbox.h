/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Events that hosts are told of by notices and fetch over their links (signal = mad): numbered for
 * each host, kept until they are fetched or their time is over. Pure: time is passed in, in
 * milliseconds of any monotonic clock.
 */
#ifndef TETHER_OUTBOX_H
#define TETHER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

enum { OUTBOX_EVENTS_MAX = 256 }; /* for a host; who has so many waiting hears no notices */

struct outbox;
struct outbox_host;

struct outbox *outbox_create(void);
void outbox_destroy(struct outbox *outbox);

/* One more host; the outbox's. Its numbers go on where its link is lost and comes again. NULL: no
 * memory. */
struct outbox_host *outbox_host_add(struct outbox *outbox);

/* A copy of @event waits for @host, under *@sequence; it is told of it by @hint_ms, or is to be
 * told again. -ENOSPC; -ENOMEM. */
int outbox_put(struct outbox_host *host, const Tether__Event *event, uint64_t now_ms,
        uint64_t hint_ms, uint64_t *sequence);

/* The number given last. */
uint64_t outbox_sequence(const struct outbox_host *host);

/* The first that waits: the caller's, with what is left of its deadlines. NULL: none does. */
Tether__Event *outbox_take(struct outbox_host *host, uint64_t now_ms);

/* @host has a new link, and is handed what is open over that. */
void outbox_empty(struct outbox_host *host);

/* When outbox_overdue has somebody; UINT64_MAX: nobody waits. */
uint64_t outbox_next(const struct outbox *outbox);
/* Somebody who has not fetched what it was told of in time; from now on it has @again_ms more. What
 * nobody waits for any more is let go. NULL: nobody. */
struct outbox_host *outbox_overdue(struct outbox *outbox, uint64_t now_ms, unsigned again_ms);

#endif
