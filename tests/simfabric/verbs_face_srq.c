/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Shared receive queues. */
#include <stdlib.h>

#include "simfabric/verbs_face.h"

static struct face_srq *face_srq(struct ibv_srq *srq)
{
	return (struct face_srq *)(void *)srq;
}

static void count_users(struct face_srq *srq, int change)
{
	((struct face_pd *)(void *)srq->srq.pd)->users += (unsigned)change;
	if (srq->cq)
		srq->cq->users += (unsigned)change;
	if (srq->xrcd)
		srq->xrcd->users += (unsigned)change;
}

static void srq_leave_hca(struct face_object *object)
{
	struct face_srq *srq =
	        (struct face_srq *)(void *)((char *)object - offsetof(struct face_srq, object));
	struct face_context *context = face_context(srq->srq.context);

	face_unraise(context, &srq->srq);
	hca_remove_shared_queue(context->hca, &srq->hca);
	count_users(srq, -1);
}

/* Under the lock. */
static int srq_enter_hca(struct face_srq *srq)
{
	struct face_context *context = face_context(srq->srq.context);
	int err;

	srq->hca.srq.pd = ((struct face_pd *)(void *)srq->srq.pd)->root;
	srq->hca.srq.domain = srq->xrcd ? srq->xrcd->domain : NULL;
	srq->hca.srq.completions = srq->cq ? &srq->cq->hca.queue : NULL;
	err = hca_add_shared_queue(context->hca, &srq->hca);
	if (err)
		return -err;
	srq->srq.handle = srq->hca.srq.number;
	count_users(srq, 1);
	face_object_add(context, &srq->object, srq_leave_hca);
	return 0;
}

static int check_init_attr(const struct ibv_srq_init_attr_ex *attr)
{
	const uint32_t xrc = IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ;
	bool is_xrc = (attr->comp_mask & IBV_SRQ_INIT_ATTR_TYPE) && attr->srq_type == IBV_SRQT_XRC;

	if ((attr->comp_mask & ~(xrc | IBV_SRQ_INIT_ATTR_PD | IBV_SRQ_INIT_ATTR_TYPE)) ||
	        ((attr->comp_mask & IBV_SRQ_INIT_ATTR_TYPE) && attr->srq_type > IBV_SRQT_XRC))
		return EOPNOTSUPP;
	if (!(attr->comp_mask & IBV_SRQ_INIT_ATTR_PD) || !attr->pd)
		return EINVAL;
	if (is_xrc && ((attr->comp_mask & xrc) != xrc || !attr->xrcd || !attr->cq))
		return EINVAL;
	if (!attr->attr.max_wr || attr->attr.max_wr > HCA_MAX_WR ||
	        attr->attr.max_sge > HCA_MAX_SGE)
		return EINVAL;
	return 0;
}

static struct face_srq *make_srq(
        struct ibv_context *context, const struct ibv_srq_init_attr_ex *attr)
{
	struct face_srq *srq = calloc(1, sizeof(*srq));

	if (!srq || receive_queue_init(&srq->hca.queue, attr->attr.max_wr, attr->attr.max_sge)) {
		free(srq);
		return NULL;
	}
	srq->srq.context = context;
	srq->srq.srq_context = attr->srq_context;
	srq->srq.pd = attr->pd;
	if ((attr->comp_mask & IBV_SRQ_INIT_ATTR_TYPE) && attr->srq_type == IBV_SRQT_XRC) {
		srq->xrcd = (struct face_xrcd *)(void *)attr->xrcd;
		srq->cq = (struct face_cq *)(void *)attr->cq;
	}
	pthread_mutex_init(&srq->srq.mutex, NULL);
	pthread_cond_init(&srq->srq.cond, NULL);
	return srq;
}

struct ibv_srq *face_create_srq_ex(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr)
{
	struct face_srq *srq = NULL;
	int err = check_init_attr(attr);

	if (!err && !(srq = make_srq(context, attr)))
		err = ENOMEM;
	if (!err)
		err = face_lock(context);
	if (!err) {
		err = srq_enter_hca(srq);
		hca_unlock();
	}
	if (!err)
		return &srq->srq;
	if (srq)
		receive_queue_fini(&srq->hca.queue);
	free(srq);
	errno = err;
	return NULL;
}

ENTRY struct ibv_srq *ibv_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	struct ibv_srq_init_attr_ex ex = {.srq_context = attr->srq_context,
	        .attr = attr->attr,
	        .comp_mask = IBV_SRQ_INIT_ATTR_PD,
	        .pd = pd};

	return face_create_srq_ex(pd->context, &ex);
}

ENTRY int ibv_destroy_srq(struct ibv_srq *public)
{
	struct face_srq *srq = face_srq(public);

	if (face_lock_anyhow(public->context)) {
		bool is_used = srq->users;

		if (!is_used) {
			face_object_remove(&srq->object);
			srq_leave_hca(&srq->object);
		}
		hca_unlock();
		if (is_used)
			return EBUSY;
		face_wait_acknowledged(
		        &public->mutex, &public->cond, &public->events_completed, srq->events_got);
	}
	receive_queue_fini(&srq->hca.queue);
	free(srq);
	return 0;
}

static uint32_t waiting(const struct face_srq *srq)
{
	return srq->hca.queue.posted - srq->hca.queue.taken;
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
	uint32_t max_wr = mask & IBV_SRQ_MAX_WR ? attr->max_wr : srq->hca.queue.max_wr;

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
		err = -receive_queue_resize(&srq->hca.queue, attr->max_wr);
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
	attr->max_wr = srq->hca.queue.max_wr;
	attr->max_sge = srq->hca.queue.max_sge;
	attr->srq_limit = srq->limit;
	hca_unlock();
	return 0;
}

int face_get_srq_num(struct ibv_srq *public, uint32_t *number)
{
	*number = face_srq(public)->hca.srq.number;
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
		err = -receive_queue_post(&face_srq(public)->hca.queue, wr);
	hca_unlock();
	if (err)
		*bad_wr = wr;
	return err;
}
