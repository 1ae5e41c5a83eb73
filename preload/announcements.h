/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What this process announces of itself: contexts that have moved, and queue pairs that were made
 * in them since; contexts with Ethernet ports from the beginning, by the name of each GID.
 * Everything here wants the lock of agent_link_state.h; no I/O.
 */
#ifndef TETHER_ANNOUNCEMENTS_H
#define TETHER_ANNOUNCEMENTS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

/* A context of this process; with a number, a queue pair that was made in it since it has moved,
 * whose number is its own though the rkeys of its context may not be. */
struct announcement {
	uint32_t lid; /* or the name of the GID */
	union ibv_gid gid;
	uint32_t qpn; /* 0: the context */
	uint32_t context;
};

/* One way to say it: agent_link.h. 0 or -errno */
typedef int announce(const struct announcement *what);

/* From now on @what stands; with @unsent announcements_next() brings it up. -ENOMEM */
int announcements_add(const struct announcement *what, bool unsent);
/* It is gone; true: which the agent will hear. */
bool announcements_withdraw(const struct announcement *what);

/* On the wire. The GID is @own's. */
void announcement_address(const struct announcement *own, Tether__Address *address);
/* What is to go up next, as that @request, what is @withdrawn first; false: nothing. Its GID is
 * right until the next call. */
bool announcements_next(uint32_t request, Tether__Address *address, bool *withdrawn);
/* All that stand, of which there are at most so many. Their GIDs are right under the lock. */
size_t announcements_count(void);
size_t announcements_addresses(Tether__Address *addresses);

/* What went up was answered: 0 or -errno, or one of these; false: it was none of them. */
enum { ANNOUNCEMENT_WAITS = 1, ANNOUNCEMENT_IS_HELD = 2 };
bool announcements_answered(uint32_t request, int outcome);
/* What has no answer goes up again. */
void announcements_link_lost(void);
/* Of all that is said of a context, not of queue pairs in it: the worst outcome. */
int announcements_outcome(uint32_t context);

/* In a child after fork. */
void announcements_forget(void);

#endif
