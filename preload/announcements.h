/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What this process announces of itself: contexts that have moved, and queue pairs that were made
 * in them since. Everything here wants the lock of agent_link_state.h; no I/O.
 */
#ifndef TETHER_ANNOUNCEMENTS_H
#define TETHER_ANNOUNCEMENTS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

/* A context of this process that has moved; with a number, a queue pair that was made in it since,
 * whose number is its own though the rkeys of its context may not be. */
struct announcement {
	uint32_t lid;
	union ibv_gid gid;
	uint32_t qpn; /* 0: the context */
	uint32_t context;
};

/* From now on @what stands; with @unsent announcements_next() brings it up. -ENOMEM */
int announcements_add(const struct announcement *what, bool unsent);
/* It is gone; true: which the agent will hear. */
bool announcements_withdraw(const struct announcement *what);

/* On the wire. The GID is @own's. */
void announcement_address(const struct announcement *own, Tether__Address *address);
/* What is to go up next, what is @withdrawn first; false: nothing. Its GID is right until the next
 * call. */
bool announcements_next(Tether__Address *address, bool *withdrawn);
/* All that stand, of which there are at most so many. Their GIDs are right under the lock. */
size_t announcements_count(void);
size_t announcements_addresses(Tether__Address *addresses);

/* In a child after fork. */
void announcements_forget(void);

#endif
