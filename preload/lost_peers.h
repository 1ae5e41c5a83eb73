/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: a queue pair whose retries are used up does not say so at once, since
 * its other end's device may have been taken away and another one may be given to it. It is held,
 * as in a stop, until a migration of the other end connects it again, or the time is over.
 */
#ifndef TETHER_LOST_PEERS_H
#define TETHER_LOST_PEERS_H

#include "preload/kept_errors.h"

/* Its transport has given up; the poller's, inside the gate of the completion queue. */
void lost_peer_is_noticed(struct queue_pair *qp);

/* It waits, or will when the stop is over in which its transport has given up. */
bool lost_peer_is_waited_for(const struct queue_pair *qp);
/* That stop is over, and nothing has come of it: true if it waits. The service thread's. */
bool lost_peer_was_noticed(struct queue_pair *qp);

/*
 * Its program takes it to ERR and waits no longer: nothing is kept any more, unless a migration has
 * it in hand. A control verb, its gates closed; what is left in the log is for the caller to flush.
 */
void lost_peer_is_left(struct queue_pair *qp);

/* The service thread's, control verbs kept out: hold those that were noticed, end those that have
 * waited. When it matters again, on the clock of @now_ms; 0: never. */
uint64_t lost_peers_look(struct context *context, uint64_t now_ms);

#endif
