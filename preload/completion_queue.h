/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completion queues: their control verbs, which queue pairs complete there, and those queues' gates
 * for who stops a queue pair. What becomes of a completion: completions.h.
 */
#ifndef TETHER_COMPLETION_QUEUE_H
#define TETHER_COMPLETION_QUEUE_H

#include "preload/objects.h"

/* The queue pair completes at its two queues under its present real number; -ENOMEM. */
int queue_pair_enlist(struct queue_pair *qp);
void queue_pair_delist(struct queue_pair *qp, uint32_t real_number);

/* The gates of @qp's completion queues, in the order of locks; how many. */
size_t queue_pair_completion_gates(struct queue_pair *qp, struct gate *gates[2]);
/* With them, those of the other queues in which a target of XRC completes. */
void queue_pair_close_xrc(struct queue_pair *qp);
/* All completion queues of @qp, in the order of locks. Not for who is inside one. */
void queue_pair_close_completions(struct queue_pair *qp);
void queue_pair_open_completions(struct queue_pair *qp);

/*
 * A queue pair may give up to @extra completions that the application did not ask for. Where the
 * real queue cannot be made so large, completion_queue_is_cramped. Control verbs; takes the gate.
 */
void completion_queue_make_room(struct completion_queue *cq, uint32_t extra);
static inline bool completion_queue_is_cramped(const struct completion_queue *cq)
{
	return (int64_t)cq->shown.cqe + cq->unasked > cq->real_cqe;
}

/* As ibv_create_cq, with the stamps that @wc_flags asks for (completion_stamps.h). */
struct completion_queue *completion_queue_create(
        struct context *context, const struct ibv_cq_init_attr_ex *attr);

/* Destroy the real queue; gate open. Make it again, armed as it was; gate closed. Both in the
 * exclusive control section; -errno. */
int completion_queue_tear_down(struct completion_queue *cq);
int completion_queue_rebuild(struct completion_queue *cq);

#endif
