/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Shared receive queues. */
#include <stdlib.h>

#include "simfabric/verbs_face.h"

static struct face_srq *face_srq(struct ibv_srq *srq)
{
	return (struct face_srq *)(void *)srq;
}

static struct ibv_srq *make_srq(
        struct ibv_pd *pd, void *srq_context, const struct ibv_srq_attr *attr)
{
	static uint32_t numbers;
	struct face_srq *srq;
	int err;

	if (!attr->max_wr || attr->max_wr > HCA_MAX_WR || attr->max_sge > HCA_MAX_SGE) {
		errno = EINVAL;
		return NULL;
	}
	srq = calloc(1, sizeof(*srq));
	if (!srq)
		return NULL;
	err = -receive_queue_init(&srq->queue, attr->max_wr, attr->max_sge);
	if (!err)
		err = face_lock(pd->context);
	if (err) {
		receive_queue_fini(&srq->queue);
		free(srq);
		errno = err;
		return NULL;
	}
	srq->srq.context = pd->context;
	srq->srq.srq_context = srq_context;
	srq->srq.pd = pd;
	srq->srq.handle = srq->number = ++numbers;
	pthread_mutex_init(&srq->srq.mutex, NULL);
	pthread_cond_init(&srq->srq.cond, NULL);
	((struct face_pd *)(void *)pd)->users++;
	hca_unlock();
	return &srq->srq;
}

ENTRY struct ibv_srq *ibv_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	return make_srq(pd, attr->srq_context, &attr->attr);
}

struct ibv_srq *face_create_srq_ex(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr)
{
	if (!(attr->comp_mask & IBV_SRQ_INIT_ATTR_PD) ||
	        ((attr->comp_mask & IBV_SRQ_INIT_ATTR_TYPE) && attr->srq_type != IBV_SRQT_BASIC)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	return make_srq(attr->pd, attr->srq_context, &attr->attr);
}

ENTRY int ibv_destroy_srq(struct ibv_srq *public)
{
	struct face_srq *srq = face_srq(public);

	if (face_lock_anyhow(public->context)) {
		bool is_used = srq->users;

		if (!is_used) {
			face_unraise(face_context(public->context), public);
			((struct face_pd *)(void *)public->pd)->users--;
		}
		hca_unlock();
		if (is_used)
			return EBUSY;
		face_wait_acknowledged(
		        &public->mutex, &public->cond, &public->events_completed, srq->events_got);
	}
	receive_queue_fini(&srq->queue);
	free(srq);
	return 0;
}

static uint32_t waiting(const struct face_srq *srq)
{
	return srq->queue.posted - srq->queue.taken;
}

/* Under the lock. One event each time that the limit is armed. */
void face_srq_check_limit(struct face_srq *srq)
{
	struct ibv_async_event event = {
	        .element.srq = &srq->srq, .event_type = IBV_EVENT_SRQ_LIMIT_REACHED};

	if (!srq->limit || waiting(srq) >= srq->limit)
		return;
	srq->limit = 0;
	face_raise(face_context(srq->srq.context), &event);
}

static int check_modify(const struct face_srq *srq, const struct ibv_srq_attr *attr, int mask)
{
	uint32_t max_wr = mask & IBV_SRQ_MAX_WR ? attr->max_wr : srq->queue.max_wr;

	if (mask & ~(IBV_SRQ_MAX_WR | IBV_SRQ_LIMIT))
		return EINVAL;
	if (!max_wr || max_wr > HCA_MAX_WR)
		return EINVAL;
	return (mask & IBV_SRQ_LIMIT) && attr->srq_limit > max_wr ? EINVAL : 0;
}

ENTRY int ibv_modify_srq(struct ibv_srq *public, struct ibv_srq_attr *attr, int mask)
{
	struct face_srq *srq = face_srq(public);
	int err = face_lock(public->context);

	if (err)
		return err;
	err = check_modify(srq, attr, mask);
	if (!err && (mask & IBV_SRQ_MAX_WR))
		err = -receive_queue_resize(&srq->queue, attr->max_wr);
	if (!err && (mask & IBV_SRQ_LIMIT)) {
		srq->limit = attr->srq_limit;
		face_srq_check_limit(srq);
	}
	hca_unlock();
	return err;
}

ENTRY int ibv_query_srq(struct ibv_srq *public, struct ibv_srq_attr *attr)
{
	struct face_srq *srq = face_srq(public);
	int err = face_lock(public->context);

	if (err)
		return err;
	attr->max_wr = srq->queue.max_wr;
	attr->max_sge = srq->queue.max_sge;
	attr->srq_limit = srq->limit;
	hca_unlock();
	return 0;
}

int face_get_srq_num(struct ibv_srq *public, uint32_t *number)
{
	*number = face_srq(public)->number;
	return 0;
}

int face_post_srq_recv(struct ibv_srq *public, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	int err = face_lock(public->context);

	if (err) {
		*bad_wr = wr;
		return err;
	}
	for (; wr && !err; wr = err ? wr : wr->next)
		err = -receive_queue_post(&face_srq(public)->queue, wr);
	hca_unlock();
	if (err)
		*bad_wr = wr;
	return err;
}
