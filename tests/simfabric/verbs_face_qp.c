/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Queue pairs: made, modified, asked, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "simfabric/verbs_face.h"

static struct face_qp *face_qp(struct ibv_qp *qp)
{
	return (struct face_qp *)(void *)qp;
}

static void qp_event(struct hca_queue_pair *hca_qp, enum ibv_event_type type)
{
	struct face_qp *qp =
	        (struct face_qp *)(void *)((char *)hca_qp - offsetof(struct face_qp, hca));
	struct ibv_async_event event = {.element.qp = &qp->qp, .event_type = type};

	face_raise(face_context(qp->qp.context), &event);
}

static void qp_srq_taken(struct hca_queue_pair *hca_qp)
{
	struct face_qp *qp =
	        (struct face_qp *)(void *)((char *)hca_qp - offsetof(struct face_qp, hca));
	struct face_srq *srq = (struct face_srq *)(void *)qp->qp.srq;

	/* Its buffers complete in any order, so the slot does not wait for the completion. */
	srq->queue.freed = srq->queue.taken;
	face_srq_check_limit(srq);
}

static void count_users(struct face_qp *qp, int change)
{
	((struct face_cq *)(void *)qp->qp.send_cq)->users += (unsigned)change;
	((struct face_cq *)(void *)qp->qp.recv_cq)->users += (unsigned)change;
	((struct face_pd *)(void *)qp->qp.pd)->users += (unsigned)change;
	if (qp->qp.srq)
		((struct face_srq *)(void *)qp->qp.srq)->users += (unsigned)change;
}

static void qp_leave_hca(struct face_object *object)
{
	struct face_qp *qp =
	        (struct face_qp *)(void *)((char *)object - offsetof(struct face_qp, object));

	hca_remove_queue_pair(&qp->hca);
	face_unraise(face_context(qp->qp.context), &qp->qp);
	count_users(qp, -1);
}

static int check_init_attr(const struct ibv_qp_init_attr_ex *attr)
{
	const struct ibv_qp_cap *cap = &attr->cap;

	if (attr->qp_type != IBV_QPT_RC)
		return EOPNOTSUPP;
	if (!attr->send_cq || !attr->recv_cq || !attr->pd)
		return EINVAL;
	if (cap->max_send_wr > HCA_MAX_WR || cap->max_recv_wr > HCA_MAX_WR ||
	        cap->max_send_sge > HCA_MAX_SGE || cap->max_recv_sge > HCA_MAX_SGE ||
	        cap->max_inline_data > HCA_MAX_INLINE)
		return EINVAL;
	return 0;
}

/* Under the lock. */
static int qp_enter_hca(struct face_qp *qp)
{
	struct face_context *context = face_context(qp->qp.context);
	struct face_srq *srq = (struct face_srq *)(void *)qp->qp.srq;
	struct queue_pair_config config = {
	        .pd = ((struct face_pd *)(void *)qp->qp.pd)->root,
	        .send_completions = &((struct face_cq *)(void *)qp->qp.send_cq)->hca.queue,
	        .receive_completions = &((struct face_cq *)(void *)qp->qp.recv_cq)->hca.queue,
	        .shared_receives = srq ? &srq->queue : NULL,
	        .cap = qp->init_attr.cap,
	        .type = qp->init_attr.qp_type,
	        .sq_sig_all = qp->init_attr.sq_sig_all,
	};
	int err = hca_add_queue_pair(context->hca, &qp->hca, &config);

	if (err)
		return -err;
	qp->hca.event = qp_event;
	qp->hca.srq_taken = qp_srq_taken;
	qp->qp.qp_num = qp->hca.engine.qpn;
	qp->qp.handle = qp->qp.qp_num;
	count_users(qp, 1);
	face_object_add(context, &qp->object, qp_leave_hca);
	return 0;
}

static struct face_qp *make_qp(struct ibv_context *context, const struct ibv_qp_init_attr_ex *attr)
{
	struct face_qp *qp = calloc(1, sizeof(*qp));

	if (!qp)
		return NULL;
	qp->qp.context = context;
	qp->qp.qp_context = attr->qp_context;
	qp->qp.pd = attr->pd;
	qp->qp.send_cq = attr->send_cq;
	qp->qp.recv_cq = attr->recv_cq;
	qp->qp.srq = attr->srq;
	qp->qp.state = IBV_QPS_RESET;
	qp->qp.qp_type = attr->qp_type;
	pthread_mutex_init(&qp->qp.mutex, NULL);
	pthread_cond_init(&qp->qp.cond, NULL);
	pthread_mutex_init(&qp->sending, NULL);
	/* The public structures share their first members, sq_sig_all being the last. */
	memcpy(&qp->init_attr, attr, offsetof(struct ibv_qp_init_attr_ex, comp_mask));
	return qp;
}

struct ibv_qp *face_create_qp_ex(struct ibv_context *context, struct ibv_qp_init_attr_ex *attr)
{
	const uint32_t known = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_CREATE_FLAGS |
	                       IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	struct face_qp *qp = NULL;
	int err = check_init_attr(attr);

	if (!err &&
	        ((attr->comp_mask & ~known) ||
	                ((attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS) && attr->create_flags)))
		err = EOPNOTSUPP;
	if (!err && !(attr->comp_mask & IBV_QP_INIT_ATTR_PD))
		err = EINVAL;
	if (!err && !(qp = make_qp(context, attr)))
		err = ENOMEM;
	if (!err && (attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))
		err = face_fill_wr_operations(qp, attr->send_ops_flags);
	if (!err)
		err = face_lock(context);
	if (!err) {
		err = qp_enter_hca(qp);
		hca_unlock();
	}
	if (!err)
		return &qp->qp;
	free(qp);
	errno = err;
	return NULL;
}

ENTRY struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct ibv_qp_init_attr_ex ex = {0};
	struct ibv_qp *qp;

	memcpy(&ex, attr, offsetof(struct ibv_qp_init_attr_ex, comp_mask));
	ex.comp_mask = IBV_QP_INIT_ATTR_PD;
	ex.pd = pd;
	qp = face_create_qp_ex(pd->context, &ex);
	if (qp)
		attr->cap = ex.cap;
	return qp;
}

ENTRY struct ibv_qp_ex *ibv_qp_to_qp_ex(struct ibv_qp *qp)
{
	return face_qp(qp)->has_ex ? &face_qp(qp)->qp_ex : NULL;
}

ENTRY int ibv_destroy_qp(struct ibv_qp *public)
{
	struct face_qp *qp = face_qp(public);

	if (face_lock_anyhow(public->context)) {
		face_object_remove(&qp->object);
		qp_leave_hca(&qp->object);
		hca_unlock();
		face_wait_acknowledged(
		        &public->mutex, &public->cond, &public->events_completed, qp->events_got);
	}
	pthread_mutex_destroy(&qp->sending);
	free(qp);
	return 0;
}

ENTRY int ibv_modify_qp(struct ibv_qp *public, struct ibv_qp_attr *attr, int mask)
{
	struct face_qp *qp = face_qp(public);
	int err;

	pthread_mutex_lock(&qp->sending);
	err = face_lock(public->context);
	if (!err) {
		err = -hca_modify_queue_pair(&qp->hca, attr, mask);
		if (!err && (mask & IBV_QP_STATE))
		public->state = attr->qp_state;
		hca_unlock();
	}
	pthread_mutex_unlock(&qp->sending);
	return err;
}

ENTRY int ibv_query_qp(struct ibv_qp *public, struct ibv_qp_attr *attr, int mask,
        struct ibv_qp_init_attr *init_attr)
{
	struct face_qp *qp = face_qp(public);
	int err = face_lock(public->context);

	if (err)
		return err;
	/* What is in the ring has arrived; the PSNs shall tell of it. */
	hca_turn();
	hca_query_queue_pair(&qp->hca, attr);
	public->state = attr->qp_state;
	hca_unlock();
	if (init_attr)
		*init_attr = qp->init_attr;
	return 0;
}

ENTRY int ibv_query_qp_data_in_order(struct ibv_qp *qp, enum ibv_wr_opcode op, uint32_t flags)
{
	/* Packets of one message may come again after a loss, over what the program has written. */
	return 0;
}
