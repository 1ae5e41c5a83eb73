/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * ibv_modify_cq: the device holds an event back until so many completions are there, or for so
 * long. It is passed on, and repeated on each device that comes. What is counted when a device goes
 * is lost with it, so a count alone, without a period, is refused: its event might never come.
 */
#ifndef TETHER_COMPLETION_MODERATION_H
#define TETHER_COMPLETION_MODERATION_H

#include "preload/objects.h"

/* For verbs_context. */
int completion_queue_modify(struct ibv_cq *, struct ibv_modify_cq_attr *);

/* The real queue is a new one. A device that cannot tells of each completion at once. Gate closed.
 */
void completion_moderation_repeat(struct completion_queue *cq);

/* An event may come long after its completions. Inside the gate. */
static inline bool completion_queue_is_moderated(const struct completion_queue *cq)
{
	return cq->moderation.cq_period;
}

#endif
