/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: an error of a queue pair that is not told yet, and what it waits for,
 * one thing at a time (DESIGN.md, "Unplanned loss"). Begun by pollers of either queue, each inside
 * the gate of its own.
 */
#ifndef TETHER_KEPT_ERRORS_H
#define TETHER_KEPT_ERRORS_H

#include "preload/objects.h"

static inline enum awaits queue_pair_awaits(const struct queue_pair *qp)
{
	return __atomic_load_n(&qp->awaits, __ATOMIC_RELAXED);
}

/* Whether its device is there (doubted_errors.h). */
static inline bool error_is_doubted(const struct queue_pair *qp)
{
	return queue_pair_awaits(qp) == AWAITS_WORD;
}

/* Its other end (lost_peers.h). */
static inline bool lost_peer_is_missed(const struct queue_pair *qp)
{
	return queue_pair_awaits(qp) == AWAITS_PEER;
}

/* It was told, or there is something else to wait for now; its gates closed. */
static inline void kept_error_is_over(struct queue_pair *qp)
{
	qp->misses_until_ms = 0;
	__atomic_store_n(&qp->awaits, AWAITS_NOTHING, __ATOMIC_RELAXED);
}

/* In a child after fork, which waits for nobody: what is not told yet, or was for a move to mend,
 * is told there. */
void kept_errors_inherit(struct context *context);

#endif
