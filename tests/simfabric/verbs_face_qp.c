/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Queue pairs: made, modified, asked, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "simfabric/hca_multicast.h"
#include "simfabric/verbs_face.h"

static struct face_qp *face_qp(struct ibv_qp *qp)
{
	return (struct face_qp *)(void *)qp;
}

static void qp_event(struct hca_queue_pair *hca_qp, enum ibv_event_type type)
{
	struct face_qp *qp =
	        (struct face_qp *)(void *)((char *)hca_qp - offsetof(struct face_qp, hca));
	struct ibv_async_event event = {.event_type = type};

	for (struct face_qp *handle = qp->handles; handle; handle = handle->next_handle) {
		event.element.qp = &handle->qp;
		face_raise(face_context(handle->qp.context), &event);
	}
}

static void qp_srq_taken(struct hca_queue_pair *hca_qp, struct receive_queue *queue)
{
	struct face_srq *srq =
	        (struct face_srq *)(void *)((char *)queue - offsetof(struct face_srq, hca.queue));

	/* Its buffers complete in any order, so the slot does not wait for the completion. */
	queue->freed = queue->taken;
	face_srq_check_limit(srq);
}

static void count_users(struct face_qp *qp, int change)
{
	if (qp->qp.send_cq)
		((struct face_cq *)(void *)qp->qp.send_cq)->users += (unsigned)change;
	if (qp->qp.recv_cq)
		((struct face_cq *)(void *)qp->qp.recv_cq)->users += (unsigned)change;
	if (qp->qp.pd)
		((struct face_pd *)(void *)qp->qp.pd)->users += (unsigned)change;
	if (qp->xrcd)
		qp->xrcd->users += (unsigned)change;
	if (qp->qp.srq)
		((struct face_srq *)(void *)qp->qp.srq)->users += (unsigned)change;
}

static void close_handle(struct face_qp *qp)
{
	struct face_qp **at = &qp->target->handles;

	while (*at != qp)
		at = &(*at)->next_handle;
	*at = qp->next_handle;
}

static void qp_leave_hca(struct face_object *object)
{
	struct face_qp *qp =
	        (struct face_qp *)(void *)((char *)object - offsetof(struct face_qp, object));

	close_handle(qp);
	if (!qp->target->handles)
		hca_remove_queue_pair(&qp->target->hca);
	face_unraise(face_context(qp->qp.context), &qp->qp);
	count_users(qp, -1);
}

void face_open_handle(struct face_qp *qp, struct face_qp *target)
{
	qp->target = target;
	qp->next_handle = target->handles;
	target->handles = qp;
	__atomic_add_fetch(&target->holds, 1, __ATOMIC_RELAXED);
	qp->qp.qp_num = target->hca.engine.qpn;
	qp->qp.handle = qp->qp.qp_num;
	count_users(qp, 1);
	face_object_add(face_context(qp->qp.context), &qp->object, qp_leave_hca);
}

/* What a queue pair of this type stands on. */
static int check_objects(const struct ibv_qp_init_attr_ex *attr)
{
	switch (attr->qp_type) {
	case IBV_QPT_RC:
	case IBV_QPT_UC:
	case IBV_QPT_UD:
		return attr->send_cq && attr->recv_cq && attr->pd ? 0 : EINVAL;
	case IBV_QPT_XRC_SEND:
		return attr->send_cq && attr->pd && !attr->srq ? 0 : EINVAL;
	case IBV_QPT_XRC_RECV:
		return attr->xrcd && !attr->srq ? 0 : EINVAL;
	default:
		return EOPNOTSUPP;
	}
}

static int check_init_attr(const struct ibv_qp_init_attr_ex *attr)
{
	const struct ibv_qp_cap *cap = &attr->cap;
	int err = check_objects(attr);

	if (err)
		return err;
	if (cap->max_send_wr > HCA_MAX_WR || cap->max_recv_wr > HCA_MAX_WR ||
	        cap->max_send_sge > HCA_MAX_SGE || cap->max_recv_sge > HCA_MAX_SGE ||
	        cap->max_inline_data > HCA_MAX_INLINE)
		return EINVAL;
	return 0;
}

static struct completion_queue *queue_of(struct ibv_cq *cq)
{
	return cq ? &((struct face_cq *)(void *)cq)->hca.queue : NULL;
}

/* Under the lock. */
static int qp_enter_hca(struct face_qp *qp)
{
	struct face_context *context = face_context(qp->qp.context);
	struct face_srq *srq = (struct face_srq *)(void *)qp->qp.srq;
	struct queue_pair_config config = {
	        .pd = qp->qp.pd ? ((struct face_pd *)(void *)qp->qp.pd)->root : NULL,
	        .send_completions = queue_of(qp->qp.send_cq),
	        .receive_completions = queue_of(qp->qp.recv_cq),
	        .shared_receives = srq ? &srq->hca.queue : NULL,
	        .xrc_domain = qp->xrcd ? qp->xrcd->domain : NULL,
	        .cap = qp->init_attr.cap,
	        .type = qp->init_attr.qp_type,
	        .sq_sig_all = qp->init_attr.sq_sig_all,
	};
	int err = hca_add_queue_pair(context->hca, &qp->hca, &config);

	if (err)
		return -err;
	qp->hca.event = qp_event;
	qp->hca.srq_taken = qp_srq_taken;
	face_open_handle(qp, qp);
	return 0;
}

struct face_qp *face_make_qp(struct ibv_context *context, const struct ibv_qp_init_attr_ex *attr)
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
	if (attr->comp_mask & IBV_QP_INIT_ATTR_XRCD)
		qp->xrcd = (struct face_xrcd *)(void *)attr->xrcd;
	return qp;
}

/* Without what its type does not have, whatever the program has written there. */
static struct ibv_qp_init_attr_ex trim(const struct ibv_qp_init_attr_ex *given)
{
	struct ibv_qp_init_attr_ex attr = *given;

	if (!(attr.comp_mask & IBV_QP_INIT_ATTR_PD) || attr.qp_type == IBV_QPT_XRC_RECV)
		attr.pd = NULL;
	if (!(attr.comp_mask & IBV_QP_INIT_ATTR_XRCD))
		attr.xrcd = NULL;
	if (attr.qp_type == IBV_QPT_XRC_RECV || attr.qp_type == IBV_QPT_XRC_SEND) {
		attr.recv_cq = NULL;
		attr.cap.max_recv_wr = attr.cap.max_recv_sge = 0;
	}
	if (attr.qp_type == IBV_QPT_XRC_RECV) {
		attr.send_cq = NULL;
		memset(&attr.cap, 0, sizeof(attr.cap));
	}
	return attr;
}

struct ibv_qp *face_create_qp_ex(struct ibv_context *context, struct ibv_qp_init_attr_ex *given)
{
	const uint32_t known = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_XRCD |
	                       IBV_QP_INIT_ATTR_CREATE_FLAGS | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	struct ibv_qp_init_attr_ex trimmed = trim(given), *attr = &trimmed;
	struct face_qp *qp = NULL;
	int err = check_init_attr(attr);

	if (!err &&
	        ((attr->comp_mask & ~known) ||
	                ((attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS) && attr->create_flags)))
		err = EOPNOTSUPP;
	if (!err && !(qp = face_make_qp(context, attr)))
		err = ENOMEM;
	if (!err && (attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))
		err = face_fill_wr_operations(qp, attr->send_ops_flags);
	if (!err)
		err = face_lock(context);
	if (!err) {
		err = qp_enter_hca(qp);
		hca_unlock();
	}
	if (!err) {
		given->cap = attr->cap;
		return &qp->qp;
	}
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
	struct face_qp *qp = face_qp(public), *target = qp->target;

	if (face_lock_anyhow(public->context)) {
		bool is_used = hca_is_attached(&target->hca);

		if (!is_used) {
			face_object_remove(&qp->object);
			qp_leave_hca(&qp->object);
		}
		hca_unlock();
		if (is_used)
			return EBUSY;
		face_wait_acknowledged(
		        &public->mutex, &public->cond, &public->events_completed, qp->events_got);
	}
	if (qp != target)
		free(qp);
	if (!__atomic_sub_fetch(&target->holds, 1, __ATOMIC_ACQ_REL)) {
		pthread_mutex_destroy(&target->sending);
		free(target);
	}
	return 0;
}

/* Attributes of the half that a queue pair of XRC lacks are ignored, as the kernel ignores them. */
static int mask_for(enum ibv_qp_type type, int mask)
{
	if (type == IBV_QPT_XRC_SEND)
		return mask & ~(IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	if (type == IBV_QPT_XRC_RECV)
		return mask & ~(IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY);
	return mask;
}

ENTRY int ibv_modify_qp(struct ibv_qp *public, struct ibv_qp_attr *attr, int mask)
{
	struct face_qp *qp = face_qp(public)->target;
	int err;

	pthread_mutex_lock(&qp->sending);
	err = face_lock(public->context);
	if (!err) {
		err = -hca_modify_queue_pair(&qp->hca, attr, mask_for(public->qp_type, mask));
		if (!err && (mask & IBV_QP_STATE))
			face_qp(public)->qp.state = attr->qp_state;
		hca_unlock();
	}
	pthread_mutex_unlock(&qp->sending);
	return err;
}

ENTRY int ibv_query_qp(struct ibv_qp *public, struct ibv_qp_attr *attr, int mask,
        struct ibv_qp_init_attr *init_attr)
{
	struct face_qp *qp = face_qp(public)->target;
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
