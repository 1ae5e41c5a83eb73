/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Queue pairs and shared queues are counted in what they stand on, which cannot be destroyed before
 * them. Wants the list lock of their context.
 */
#ifndef TETHER_USERS_H
#define TETHER_USERS_H

#include "preload/objects.h"
#include "preload/xrc.h"

/* NULL: nothing of the kind. */
struct used {
	struct completion_queue *send_cq, *recv_cq;
	struct xrc_domain *domain;
	struct shared_receive_queue *srq;
};

static inline void users_add(struct used used, int by)
{
	if (used.send_cq)
		used.send_cq->users += (unsigned)by;
	if (used.recv_cq)
		used.recv_cq->users += (unsigned)by;
	if (used.domain)
		used.domain->users += (unsigned)by;
	if (used.srq)
		used.srq->users += (unsigned)by;
}

#endif
