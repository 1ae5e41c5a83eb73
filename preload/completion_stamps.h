/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Queues that tell when work has completed (IBV_WC_EX_WITH_COMPLETION_TIMESTAMP, _WALLCLOCK). Only
 * the device's ibv_cq_ex knows: such a queue stands on one, and all that it has goes by way of the
 * ring, each completion with its stamp as shown at the device that gave it. What is made up is
 * stamped when it is made; or, if that is by a completion of the device, as that one. So that a
 * queue's stamps do not go back, none is earlier than the one before.
 *
 * Everything here inside the queue's gate; the ring's room is reserved.
 */
#ifndef TETHER_COMPLETION_STAMPS_H
#define TETHER_COMPLETION_STAMPS_H

#include "preload/objects.h"

/* The flags that make a queue one of these. */
#define COMPLETION_STAMPS                                                                          \
	(IBV_WC_EX_WITH_COMPLETION_TIMESTAMP | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK)

enum { STAMPS_BATCH = 32 };

struct completion_stamps {
	uint64_t wc_flags;                           /* of COMPLETION_STAMPS */
	struct shown_clock clock;                    /* of the device behind the real queue */
	struct completion_stamp batch[STAMPS_BATCH]; /* of what was read last */
	struct completion_stamp current, newest;
	struct completion_stamp polled; /* inside the poll gate */
};

/* NULL: no memory. */
struct completion_stamps *completion_stamps_create(
        const struct completion_queue *cq, uint64_t wc_flags);
/* The queue on the device; NULL and errno. */
struct ibv_cq *completion_stamps_create_real(struct completion_queue *cq, int entries);
/* The real queue is gone, or there is another one. */
void completion_stamps_follow(struct completion_queue *cq);

/* As ibv_poll_cq on the real queue, at most STAMPS_BATCH, and which of these is taken now. */
int completion_stamps_read(struct completion_queue *cq, int count, struct ibv_wc *wc);
void completion_stamps_take(struct completion_queue *cq, int index);
/* Stamp what was put into the ring last; it is the device's, or follows what was taken. */
void completion_stamps_mark(struct completion_queue *cq, bool is_of_device);
/* Of what is taken from the ring next, as it is shown. */
struct completion_stamp completion_stamps_next(const struct completion_queue *cq);

#endif
