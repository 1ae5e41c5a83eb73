/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a QP has posted and not seen completed, oldest first. Work without a signal is done once a
 * later one completes. Pure; one per QP.
 */
#ifndef RC_VERIFY_SEND_QUEUE_H
#define RC_VERIFY_SEND_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/verify/findings.h"
#include "demo-apps/rc_verify/workload.h"

enum { SEND_QUEUE_MAX = 1024 };

struct send_queue {
	uint32_t depth;
	uint64_t posted, done; /* numbers of work requests, from 0 */
	uint64_t signalled;    /* the newest posted with a signal, plus 1; 0: none */
	struct work *work;     /* depth of them */
};

int send_queue_init(struct send_queue *queue, uint32_t depth);
void send_queue_finish(struct send_queue *queue);

static inline uint32_t send_queue_room(const struct send_queue *queue)
{
	return queue->depth - (uint32_t)(queue->posted - queue->done);
}
static inline struct work *send_queue_at(const struct send_queue *queue, uint64_t number)
{
	return &queue->work[number % queue->depth];
}
/* Nothing of what is outstanding will complete by itself: the next one needs a signal. */
static inline bool send_queue_is_mute(const struct send_queue *queue)
{
	return queue->signalled <= queue->done;
}

/* The caller has room and posts @work; gives its number. */
uint64_t send_queue_push(struct send_queue *queue, const struct work *work);
/*
 * A good completion names @number: everything up to it is done. Returns how many that are, the
 * first one being the old queue->done; 0 for one that should not have come. Completions must come
 * once and in order.
 */
uint32_t send_queue_complete(struct send_queue *queue, uint64_t number, struct findings *findings);

#endif
