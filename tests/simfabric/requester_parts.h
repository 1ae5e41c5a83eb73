/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the parts of a requester share: sending (requester.c), what comes back (requester_answers.c)
 * and completing (requester_completions.c). For these three only.
 */
#ifndef SIMFABRIC_REQUESTER_PARTS_H
#define SIMFABRIC_REQUESTER_PARTS_H

#include "simfabric/requester.h"

static inline bool may_run(const struct queue_pair *qp)
{
	return qp->state == IBV_QPS_RTS || qp->state == IBV_QPS_SQD;
}

static inline struct send_work *work_at(const struct queue_pair *qp, uint32_t counter)
{
	return send_queue_at(&qp->requester.queue, counter);
}

/* The oldest request of which a packet has gone out; NULL: none. */
static inline struct send_work *oldest_started(const struct queue_pair *qp)
{
	const struct send_queue *queue = &qp->requester.queue;
	struct send_work *work;

	if (queue->oldest == queue->posted)
		return NULL;
	work = work_at(qp, queue->oldest);
	return work->started ? work : NULL;
}

/* Run the timer while an answer is owed; it begins anew. */
void requester_restart_timeout(struct queue_pair *qp);

void requester_complete_oldest(struct queue_pair *qp, enum ibv_wc_status status);
/* What was sent without a completion of its own is done when the next one is. */
void requester_complete_sent(struct queue_pair *qp);
/* The oldest request ends with an error, and the queue pair with it. */
void requester_fail_oldest(struct queue_pair *qp, enum ibv_wc_status status);
/* What went wrong locally is reported after all that was posted before it. */
void requester_fail_work(struct queue_pair *qp, struct send_work *work, enum ibv_wc_status status);

#endif
