/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Shared receive queues as the application sees them. */
#ifndef TETHER_SHARED_RECEIVE_QUEUE_H
#define TETHER_SHARED_RECEIVE_QUEUE_H

#include "preload/objects.h"

/* For ibv_create_srq and, with a domain, ibv_create_srq_ex. NULL with errno. */
struct shared_receive_queue *shared_receive_queue_create(struct ibv_pd *pd,
        struct ibv_srq_init_attr *attr, struct xrc_domain *domain, struct completion_queue *cq);

/* What was posted until now is of the past; all gates of it closed. -ENOMEM. */
int shared_receive_queue_restart(struct shared_receive_queue *srq);

/* Make the real queue again, empty; exclusive control section, gate closed. -errno. */
int shared_receive_queue_rebuild(struct shared_receive_queue *srq);
/*
 * Post again what is logged and not completed: @all of it, or only what the device has given back.
 * Gate closed. -errno.
 */
int shared_receive_queue_repost(struct shared_receive_queue *srq, bool all);
/* The poller: the device has given this one back unused; @repost: at once. */
void shared_receive_queue_take_back(struct shared_receive_queue *srq, uint32_t index, bool repost);

#endif
