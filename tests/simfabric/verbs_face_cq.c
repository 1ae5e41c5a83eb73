/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Completion queues. */
#include <sched.h>
#include <stdlib.h>

#include "simfabric/verbs_face.h"

enum {
	YIELD_AFTER = 16, /* polls in vain, so that two pollers do not keep the peer from a CPU */
};

static struct face_cq *face_cq(struct ibv_cq *cq)
{
	return (struct face_cq *)(void *)cq;
}

static void cq_leave_hca(struct face_object *object)
{
	struct face_cq *cq =
	        (struct face_cq *)(void *)((char *)object - offsetof(struct face_cq, object));

	face_unraise_completions(cq);
	face_unraise(face_context(cq->cq.context), &cq->cq);
	hca_remove_completion_queue(face_context(cq->cq.context)->hca, &cq->hca);
	if (cq->cq.channel)
		cq->cq.channel->refcnt--;
}

static void cq_overrun(struct hca_completion_queue *hca_cq)
{
	struct face_cq *cq =
	        (struct face_cq *)(void *)((char *)hca_cq - offsetof(struct face_cq, hca));
	struct ibv_async_event event = {.element.cq = &cq->cq, .event_type = IBV_EVENT_CQ_ERR};

	face_raise(face_context(cq->cq.context), &event);
}

/* Under the lock. */
static int cq_enter_hca(struct face_cq *cq, uint32_t capacity)
{
	static uint32_t handles;
	struct face_context *context = face_context(cq->cq.context);
	int err = hca_add_completion_queue(context->hca, &cq->hca, capacity);

	if (err)
		return -err;
	cq->hca.overrun = cq_overrun;
	cq->hca.queue.notify = face_raise_completion;
	cq->cq.handle = ++handles;
	if (cq->cq.channel)
		cq->cq.channel->refcnt++;
	face_object_add(context, &cq->object, cq_leave_hca);
	return 0;
}

ENTRY struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int comp_vector)
{
	struct face_cq *cq;

	if (cqe < 1 || cqe > HCA_MAX_CQE || comp_vector < 0 ||
	        comp_vector >= context->num_comp_vectors) {
		errno = EINVAL;
		return NULL;
	}
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;
	cq->cq.context = context;
	cq->cq.channel = channel;
	cq->cq.cq_context = cq_context;
	cq->cq.cqe = cqe;
	pthread_mutex_init(&cq->cq.mutex, NULL);
	pthread_cond_init(&cq->cq.cond, NULL);
	errno = face_lock(context);
	if (!errno) {
		errno = cq_enter_hca(cq, (uint32_t)cqe);
		hca_unlock();
	}
	if (!errno)
		return &cq->cq;
	free(cq);
	return NULL;
}

ENTRY int ibv_destroy_cq(struct ibv_cq *public)
{
	struct face_cq *cq = face_cq(public);

	if (face_lock_anyhow(public->context)) {
		bool is_used = cq->users;

		if (!is_used) {
			face_object_remove(&cq->object);
			cq_leave_hca(&cq->object);
		}
		hca_unlock();
		if (is_used)
			return EBUSY;
		face_wait_acknowledged(&public->mutex, &public->cond,
		        &public->comp_events_completed, cq->completion_events_got);
		face_wait_acknowledged(&public->mutex, &public->cond,
		        &public->async_events_completed, cq->async_events_got);
	}
	free(cq);
	return 0;
}

ENTRY int ibv_resize_cq(struct ibv_cq *public, int cqe)
{
	int err;

	if (cqe < 1 || cqe > HCA_MAX_CQE)
		return EINVAL;
	err = face_lock(public->context);
	if (err)
		return err;
	err = -completion_queue_resize(&face_cq(public)->hca.queue, (uint32_t)cqe);
	if (!err)
	public->cqe = cqe;
	hca_unlock();
	return err;
}

/* ---- polling ---- */

/* Polled, a completion gives its slots of the work queue back. */
static void free_slots(const struct completion *completion)
{
	struct queue_pair *qp = completion->qp;

	if (!qp)
		return;
	if (!completion->is_receive)
		qp->requester.queue.freed = completion->covers;
	else if (!qp->uses_srq)
		qp->responder.own_queue.freed = completion->covers;
}

static int take(struct face_cq *cq, int num_entries, struct ibv_wc *wc)
{
	struct completion_queue *queue = &cq->hca.queue;
	/* Asking the time costs; most of the time nothing is held back. */
	uint64_t now_ns = queue->held_until_ns ? hca_now_ns() : 0;
	struct completion *completion;
	int n = 0;

	while (n < num_entries && (completion = completion_queue_peek(queue, now_ns))) {
		wc[n++] = completion->wc;
		free_slots(completion);
		completion_queue_pop(queue);
	}
	return n;
}

static void yield_now_and_then(struct face_cq *cq)
{
	if (++cq->polled_in_vain < YIELD_AFTER)
		return;
	cq->polled_in_vain = 0;
	sched_yield();
}

int face_poll_cq(struct ibv_cq *public, int num_entries, struct ibv_wc *wc)
{
	struct face_cq *cq = face_cq(public);
	int n;

	/* Completions of a device that is gone can still be polled. */
	if (!face_lock_anyhow(public->context))
		return -1;
	n = take(cq, num_entries, wc);
	if (!n) {
		hca_turn();
		n = take(cq, num_entries, wc);
		hca_polled(!n);
	}
	hca_unlock();
	if (n)
		cq->polled_in_vain = 0;
	else
		yield_now_and_then(cq);
	return n;
}

int face_req_notify_cq(struct ibv_cq *public, int solicited_only)
{
	int err = face_lock(public->context);

	if (err)
		return err;
	completion_queue_arm(&face_cq(public)->hca.queue, solicited_only, hca_now_ns());
	hca_stops_polling();
	hca_unlock();
	return 0;
}
