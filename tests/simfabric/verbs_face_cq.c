/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Completion queues. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "simfabric/poll_nap.h"
#include "simfabric/verbs_face.h"

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
	if (cq->parent_domain)
		cq->parent_domain->users--;
}

static void cq_overrun(struct hca_completion_queue *hca_cq)
{
	struct face_cq *cq =
	        (struct face_cq *)(void *)((char *)hca_cq - offsetof(struct face_cq, hca));
	struct ibv_async_event event = {.element.cq = &cq->cq, .event_type = IBV_EVENT_CQ_ERR};

	face_raise(face_context(cq->cq.context), &event);
}

/* Under the lock. */
static int cq_enter_hca(struct face_cq *cq)
{
	static uint32_t handles;
	struct face_context *context = face_context(cq->cq.context);
	int err = hca_add_completion_queue(context->hca, &cq->hca, (uint32_t)cq->cq.cqe);

	if (err)
		return -err;
	cq->hca.overrun = cq_overrun;
	cq->hca.queue.notify = face_raise_completion;
	cq->cq.handle = ++handles;
	if (cq->cq.channel)
		cq->cq.channel->refcnt++;
	if (cq->parent_domain)
		cq->parent_domain->users++;
	face_object_add(context, &cq->object, cq_leave_hca);
	return 0;
}

int face_make_cq(
        struct ibv_context *context, const struct ibv_cq_init_attr_ex *attr, struct face_cq **made)
{
	struct face_cq *cq;

	if (attr->cqe < 1 || attr->cqe > HCA_MAX_CQE ||
	        attr->comp_vector >= (uint32_t)context->num_comp_vectors)
		return EINVAL;
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return ENOMEM;
	cq->cq.context = context;
	cq->cq.channel = attr->channel;
	cq->cq.cq_context = attr->cq_context;
	cq->cq.cqe = (int)attr->cqe;
	pthread_mutex_init(&cq->cq.mutex, NULL);
	pthread_cond_init(&cq->cq.cond, NULL);
	*made = cq;
	return 0;
}

int face_enter_cq(struct face_cq *cq)
{
	int err = face_lock(cq->cq.context);

	if (err)
		return err;
	err = cq_enter_hca(cq);
	hca_unlock();
	return err;
}

ENTRY struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int comp_vector)
{
	/* What is negative is out of range as well when it is taken for unsigned. */
	struct ibv_cq_init_attr_ex attr = {.cqe = (uint32_t)cqe,
	        .cq_context = cq_context,
	        .channel = channel,
	        .comp_vector = (uint32_t)comp_vector};
	struct face_cq *cq = NULL;
	int err = face_make_cq(context, &attr, &cq);

	if (!err)
		err = face_enter_cq(cq);
	if (!err)
		return &cq->cq;
	free(cq);
	errno = err;
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
	struct face_cq *cq = face_cq(public);
	int err;

	if (cqe < 1 || cqe > HCA_MAX_CQE)
		return EINVAL;
	err = face_lock(public->context);
	if (err)
		return err;
	err = -completion_queue_resize(&cq->hca.queue, (uint32_t)cqe);
	if (!err)
		cq->cq.cqe = cqe;
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

static int take(struct face_cq *cq, int num_entries, struct ibv_wc *wc, uint64_t *completed_ns)
{
	struct completion_queue *queue = &cq->hca.queue;
	/* Asking the time costs; most of the time nothing is held back. */
	uint64_t now_ns = queue->held_until_ns ? hca_now_ns() : 0;
	struct completion *completion;
	int n = 0;

	while (n < num_entries && (completion = completion_queue_peek(queue, now_ns))) {
		wc[n++] = completion->wc;
		*completed_ns = completion->completed_ns;
		free_slots(completion);
		completion_queue_pop(queue);
	}
	return n;
}

static __thread unsigned polled_in_vain;

static void nap(void)
{
	struct timespec ts = {0, poll_nap_ns(polled_in_vain)};

	/* ibv_poll_cq is no cancellation point. */
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* Under the lock: a poll that found nothing takes a turn. True: a nap is due; meanwhile the HCA's
 * thread serves. */
static bool serve(bool *moved)
{
	*moved = hca_turn();
	if (!*moved && poll_nap_is_due(++polled_in_vain)) {
		hca_stops_polling();
		return true;
	}
	return false;
}

int face_poll(struct face_cq *cq, int num_entries, struct ibv_wc *wc, uint64_t *completed_ns)
{
	bool nap_is_due = false, moved = false;
	int n;

	/* Completions of a device that is gone can still be polled. */
	if (!face_lock_anyhow(cq->cq.context))
		return -1;
	n = take(cq, num_entries, wc, completed_ns);
	if (!n) {
		nap_is_due = serve(&moved);
		n = take(cq, num_entries, wc, completed_ns);
		if (!nap_is_due)
			hca_polled(!n);
	}
	hca_unlock();
	if (n || moved)
		polled_in_vain = 0;
	else if (nap_is_due)
		nap();
	return n;
}

int face_poll_cq(struct ibv_cq *public, int num_entries, struct ibv_wc *wc)
{
	struct face_cq *cq = face_cq(public);
	uint64_t completed_ns;
	int n;

	if (cq->batch.is_locked)
		pthread_mutex_lock(&cq->batch.lock);
	n = face_poll(cq, num_entries, wc, &completed_ns);
	if (cq->batch.is_locked)
		pthread_mutex_unlock(&cq->batch.lock);
	return n;
}

int face_modify_cq(struct ibv_cq *public, struct ibv_modify_cq_attr *attr)
{
	int err;

	if (!attr->attr_mask || (attr->attr_mask & ~(uint32_t)IBV_CQ_ATTR_MODERATE))
		return EINVAL;
	err = face_lock(public->context);
	if (err)
		return err;
	completion_queue_moderate(&face_cq(public)->hca.queue, attr->moderate.cq_count,
	        attr->moderate.cq_period * 1000ull);
	hca_unlock();
	return 0;
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
