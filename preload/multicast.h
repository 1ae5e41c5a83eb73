/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Multicast groups of datagram queue pairs. What a device knows of them goes with the queue pair
 * there: taken back before it is destroyed, given to the one that is made in its place. Membership
 * in the fabric is the port's, which moves with its VM.
 */
#ifndef TETHER_MULTICAST_H
#define TETHER_MULTICAST_H

#include "preload/objects.h"

struct multicast_group {
	union ibv_gid gid;
	uint16_t lid;
	TAILQ_ENTRY(multicast_group) link;
};

/* Steps. The real queue pair leaves all groups, or joins them: all, or -errno. */
int multicast_leave(struct queue_pair *qp);
int multicast_join(struct queue_pair *qp);
/* It is to be freed, whatever it is still attached to. */
void multicast_forget(struct queue_pair *qp);

#endif
