/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/queue_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/agent_link.h"
#include "preload/completion_queue.h"
#include "preload/control.h"
#include "preload/event_channel.h"

enum { ASIDE_MAX = 64 };

void queue_pair_close(struct queue_pair *qp)
{
	gate_close(&qp->send_gate);
	gate_close(&qp->receive_gate);
	queue_pair_close_completions(qp);
}

void queue_pair_open(struct queue_pair *qp)
{
	queue_pair_open_completions(qp);
	gate_open(&qp->receive_gate);
	gate_open(&qp->send_gate);
}

/* ---- making ---- */

/* Peers know moved queue pairs of this VM by numbers that the device may now give to others. */
static bool number_is_virtual(uint32_t qpn)
{
	struct context *context;
	bool found = false;

	pthread_mutex_lock(&contexts_lock);
	TAILQ_FOREACH(context, &contexts, link)
	found |= number_table_find(&context->qpns, qpn) != NULL;
	pthread_mutex_unlock(&contexts_lock);
	return found;
}

static struct ibv_qp *create_real(struct queue_pair *qp, struct ibv_qp_cap *cap)
{
	struct ibv_qp_init_attr init = qp->init;
	struct ibv_qp *made;

	init.qp_context = qp;
	init.send_cq = qp->send_cq->real;
	init.recv_cq = qp->recv_cq->real;
	init.srq = qp->srq ? qp->srq->real : NULL;
	made = below.ibv_create_qp(protection_domain_of(qp->shown.qp_base.pd)->real, &init);
	*cap = init.cap;
	return made;
}

static struct ibv_qp *create_unlike_virtual(struct queue_pair *qp, struct ibv_qp_cap *cap)
{
	struct ibv_qp *aside[ASIDE_MAX], *taken = NULL;
	int count = 0, saved_errno;

	while (count < ASIDE_MAX) {
		taken = create_real(qp, cap);
		if (!taken || !number_is_virtual(taken->qp_num))
			break;
		aside[count++] = taken;
		taken = NULL;
		errno = ENOMEM;
	}
	saved_errno = errno;
	while (count)
		below.ibv_destroy_qp(aside[--count]);
	errno = saved_errno;
	return taken;
}

static int logs_init(struct queue_pair *qp)
{
	const struct ibv_qp_cap *cap = &qp->init.cap;

	if (send_log_init(&qp->sends, cap))
		return -ENOMEM;
	qp->sends.flags_always = qp->init.sq_sig_all ? IBV_SEND_SIGNALED : 0;
	/* With a completion channel a completion more would be a wake-up more. */
	qp->sends.signal_reads = !qp->send_cq->channel;
	if (receive_log_init(&qp->receives, qp->srq ? 0 : cap->max_recv_wr, cap->max_recv_sge))
		return -ENOMEM;
	qp->scratch_sges = calloc(POST_CHUNK * (cap->max_send_sge + 1u), sizeof(struct ibv_sge));
	qp->scratch_receive_sges =
	        calloc(POST_CHUNK * (cap->max_recv_sge + 1u), sizeof(struct ibv_sge));
	return qp->scratch_sges && qp->scratch_receive_sges ? 0 : -ENOMEM;
}

static void queue_pair_free(struct queue_pair *qp)
{
	send_log_fini(&qp->sends);
	receive_log_fini(&qp->receives);
	free(qp->scratch_sges);
	free(qp->scratch_receive_sges);
	gate_fini(&qp->send_gate);
	gate_fini(&qp->receive_gate);
	pthread_mutex_destroy(&qp->shown.qp_base.mutex);
	pthread_cond_destroy(&qp->shown.qp_base.cond);
	free(qp);
}

static void queue_pair_show(struct queue_pair *qp)
{
	struct ibv_qp *shown = &qp->shown.qp_base;

	shown->context = &qp->context->shown.context;
	shown->qp_context = qp->init.qp_context;
	shown->send_cq = qp->init.send_cq;
	shown->recv_cq = qp->init.recv_cq;
	shown->srq = qp->init.srq;
	shown->handle = qp->real->handle;
	shown->qp_num = qp->real->qp_num;
	shown->state = IBV_QPS_RESET;
	shown->qp_type = qp->init.qp_type;
}

static int enlist(struct queue_pair *qp)
{
	int err;

	queue_pair_close_completions(qp);
	err = queue_pair_enlist(qp);
	if (err)
		queue_pair_delist(qp, qp->real->qp_num);
	queue_pair_open_completions(qp);
	return err;
}

static int queue_pair_build(struct queue_pair *qp)
{
	struct ibv_qp_cap cap;

	qp->real = create_unlike_virtual(qp, &cap);
	if (!qp->real)
		return -errno;
	qp->init.cap = cap;
	queue_pair_show(qp);
	if (logs_init(qp) || enlist(qp)) {
		below.ibv_destroy_qp(qp->real);
		return -ENOMEM;
	}
	if (qp->logged)
		completion_queue_make_room(qp->send_cq, qp->init.cap.max_send_wr);
	return 0;
}

static void users_add(struct queue_pair *qp, unsigned by)
{
	pthread_mutex_lock(&qp->context->lists_lock);
	if (by == 1)
		number_table_set(&qp->context->numbers, queue_pair_number(qp), (uintptr_t)qp);
	else
		number_table_remove(&qp->context->numbers, queue_pair_number(qp));
	qp->send_cq->users += by;
	qp->recv_cq->users += by;
	if (qp->srq)
		qp->srq->users += by;
	if (by == -1u && qp->logged)
		qp->send_cq->unasked -= qp->init.cap.max_send_wr;
	pthread_mutex_unlock(&qp->context->lists_lock);
}

static bool type_is_supported(enum ibv_qp_type type)
{
	return type == IBV_QPT_RC || type == IBV_QPT_UC || type == IBV_QPT_UD;
}

struct queue_pair *queue_pair_create(struct protection_domain *pd, struct ibv_qp_init_attr *attr)
{
	struct context *context = context_of(pd->shown.context);
	struct queue_pair *qp;
	int err;

	if (!type_is_supported(attr->qp_type) || !completion_queue_of(attr->send_cq) ||
	        !completion_queue_of(attr->recv_cq)) {
		errno = type_is_supported(attr->qp_type) ? EINVAL : EOPNOTSUPP;
		return NULL;
	}
	qp = calloc(1, sizeof(*qp));
	if (!qp)
		return NULL;
	qp->init = *attr;
	qp->context = context;
	qp->shown.qp_base.pd = &pd->shown;
	qp->send_cq = completion_queue_of(attr->send_cq);
	qp->recv_cq = completion_queue_of(attr->recv_cq);
	qp->srq = shared_receive_queue_of(attr->srq);
	qp->logged = attr->qp_type == IBV_QPT_RC;
	gate_init(&qp->send_gate);
	gate_init(&qp->receive_gate);
	pthread_mutex_init(&qp->shown.qp_base.mutex, NULL);
	pthread_cond_init(&qp->shown.qp_base.cond, NULL);
	err = -control_enter(context, NEEDS_DEVICE);
	if (!err) {
		err = queue_pair_build(qp);
		if (!err) {
			users_add(qp, 1);
			OBJECT_ADD(context, qps, qp);
		}
		control_leave();
	}
	if (err) {
		queue_pair_free(qp);
		errno = -err;
		return NULL;
	}
	attr->cap = qp->init.cap;
	return qp;
}

WRAPPER struct ibv_qp *ibv_create_qp(struct ibv_pd *shown_pd, struct ibv_qp_init_attr *attr)
{
	struct protection_domain *pd = protection_domain_of(shown_pd);
	struct queue_pair *qp;

	if (!pd)
		return below.ibv_create_qp(shown_pd, attr);
	qp = queue_pair_create(pd, attr);
	return qp ? &qp->shown.qp_base : NULL;
}

WRAPPER struct ibv_qp_ex *ibv_qp_to_qp_ex(struct ibv_qp *shown)
{
	struct queue_pair *qp = queue_pair_of(shown);

	if (!qp)
		return below.ibv_qp_to_qp_ex(shown);
	return qp->has_ex ? &qp->shown : NULL;
}

/* What the provider gives after it is gone may name freed memory of the application: take it out.
 */
static void purge(struct queue_pair *qp)
{
	completion_ring_purge(&qp->send_cq->ring, queue_pair_number(qp));
	completion_ring_purge(&qp->recv_cq->ring, queue_pair_number(qp));
	if (qp->made_up_due)
		qp->send_cq->made_up_due--;
	qp->made_up_due = false;
}

WRAPPER int ibv_destroy_qp(struct ibv_qp *shown)
{
	struct queue_pair *qp = queue_pair_of(shown);
	int err = 0;

	if (!qp)
		return below.ibv_destroy_qp(shown);
	event_channel_await_qp(qp);
	control_enter(qp->context, NEEDS_NOTHING);
	queue_pair_close(qp);
	if (qp->real) {
		uint32_t number = qp->real->qp_num;

		completion_queue_harvest(qp->send_cq);
		completion_queue_harvest(qp->recv_cq);
		err = below.ibv_destroy_qp(qp->real);
		if (!err)
			queue_pair_delist(qp, number);
	}
	if (!err)
		purge(qp);
	queue_pair_open(qp);
	if (!err) {
		OBJECT_REMOVE(qp->context, qps, qp);
		users_add(qp, -1u);
	}
	control_leave();
	if (err)
		return err;
	agent_link_forget(&qp->remote);
	queue_pair_free(qp);
	return 0;
}

/* ---- modifying ---- */

static const struct {
	int bit;
	size_t offset, size;
} fields[] = {
#define FIELD(bit, name)                                                                           \
	{                                                                                          \
		bit, offsetof(struct ibv_qp_attr, name), sizeof(((struct ibv_qp_attr *)0)->name)   \
	}
        FIELD(IBV_QP_STATE, qp_state),
        FIELD(IBV_QP_ACCESS_FLAGS, qp_access_flags),
        FIELD(IBV_QP_PKEY_INDEX, pkey_index),
        FIELD(IBV_QP_PORT, port_num),
        FIELD(IBV_QP_QKEY, qkey),
        FIELD(IBV_QP_AV, ah_attr),
        FIELD(IBV_QP_PATH_MTU, path_mtu),
        FIELD(IBV_QP_TIMEOUT, timeout),
        FIELD(IBV_QP_RETRY_CNT, retry_cnt),
        FIELD(IBV_QP_RNR_RETRY, rnr_retry),
        FIELD(IBV_QP_RQ_PSN, rq_psn),
        FIELD(IBV_QP_MAX_QP_RD_ATOMIC, max_rd_atomic),
        FIELD(IBV_QP_ALT_PATH, alt_ah_attr),
        FIELD(IBV_QP_MIN_RNR_TIMER, min_rnr_timer),
        FIELD(IBV_QP_SQ_PSN, sq_psn),
        FIELD(IBV_QP_MAX_DEST_RD_ATOMIC, max_dest_rd_atomic),
        FIELD(IBV_QP_PATH_MIG_STATE, path_mig_state),
        FIELD(IBV_QP_DEST_QPN, dest_qp_num),
        FIELD(IBV_QP_RATE_LIMIT, rate_limit),
#undef FIELD
};

static void record(struct queue_pair *qp, const struct ibv_qp_attr *attr, int mask)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (mask & fields[i].bit)
			memcpy((char *)&qp->attr + fields[i].offset,
			        (const char *)attr + fields[i].offset, fields[i].size);
	}
	qp->attr_mask |= mask;
	if (mask & IBV_QP_PATH_MTU)
		qp->sends.mtu = 128u << attr->path_mtu;
	if (mask & IBV_QP_RQ_PSN)
		qp->responder_began = attr->rq_psn & PSN_MASK;
	if (mask & IBV_QP_SQ_PSN)
		qp->sends.next_psn =
		        qp->sq_psn_agreed ? qp->migration.fresh_psn : attr->sq_psn & PSN_MASK;
	if (mask & IBV_QP_STATE)
		qp->shown.qp_base.state = attr->qp_state;
}

static struct remote remote_of(const struct ibv_qp_attr *attr)
{
	return (struct remote){
	        .lid = attr->ah_attr.dlid,
	        .gid = attr->ah_attr.grh.dgid,
	        .by_gid = attr->ah_attr.is_global,
	        .qpn = attr->dest_qp_num,
	        .real_qpn = attr->dest_qp_num,
	        .real_lid = attr->ah_attr.dlid,
	        .real_gid = attr->ah_attr.grh.dgid,
	};
}

/* As RESET is defined: no work, no completions, no past. */
static int modify_to_reset(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	int err;

	queue_pair_close(qp);
	completion_queue_harvest(qp->send_cq);
	completion_queue_harvest(qp->recv_cq);
	err = below.ibv_modify_qp(qp->real, attr, mask);
	if (!err) {
		send_log_clear(&qp->sends);
		receive_log_clear(&qp->receives);
		purge(qp);
		qp->receives_done = 0;
		qp->application_error = qp->flushed = qp->sq_psn_agreed = false;
		qp->remote = (struct remote){0};
		qp->attr_mask = 0;
		qp->shown.qp_base.state = IBV_QPS_RESET;
	}
	queue_pair_open(qp);
	return err;
}

/* A stopped queue pair goes to ERR without its device: its work is flushed here. */
static int modify_to_error(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	int err = 0;

	control_enter(qp->context, NEEDS_NOTHING);
	queue_pair_close(qp);
	if (qp->real)
		err = below.ibv_modify_qp(qp->real, attr, mask);
	if (qp->held)
		err = 0;
	if (!err && qp->held) {
		completion_queue_harvest(qp->send_cq);
		completion_queue_harvest(qp->recv_cq);
		queue_pair_flush(qp, IBV_WC_WR_FLUSH_ERR);
	}
	if (!err) {
		qp->application_error = true;
		qp->shown.qp_base.state = IBV_QPS_ERR;
	}
	queue_pair_open(qp);
	control_leave();
	return err;
}

static int modify_connection(
        struct queue_pair *qp, struct ibv_qp_attr *attr, int mask, const struct remote *remote)
{
	struct ibv_qp_attr now = *attr;
	int err;

	if (remote) {
		now.dest_qp_num = remote->real_qpn;
		now.ah_attr.dlid = (uint16_t)remote->real_lid;
		now.ah_attr.grh.dgid = remote->real_gid;
	}
	if (qp->sq_psn_agreed && mask & IBV_QP_SQ_PSN)
		now.sq_psn = qp->migration.fresh_psn;
	gate_close(&qp->send_gate);
	err = below.ibv_modify_qp(qp->real, &now, mask);
	if (!err) {
		record(qp, attr, mask);
		if (remote)
			qp->remote = *remote;
		if (mask & IBV_QP_SQ_PSN)
			qp->sq_psn_agreed = false;
	}
	gate_open(&qp->send_gate);
	return err;
}

WRAPPER int ibv_modify_qp(struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask)
{
	struct queue_pair *qp = queue_pair_of(shown);
	struct remote remote;
	bool connects;
	int err;

	if (!qp)
		return below.ibv_modify_qp(shown, attr, mask);
	if (mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_ERR)
		return modify_to_error(qp, attr, mask);
	connects = qp->logged && mask & IBV_QP_DEST_QPN && mask & IBV_QP_AV;
	if (connects) {
		/* Whoever moves the other end must know of this one before it exists. */
		remote = remote_of(attr);
		agent_link_register(&remote);
	}
	err = control_enter_qp(qp, NEEDS_CONNECTION);
	if (err)
		return err;
	if (mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RESET)
		err = modify_to_reset(qp, attr, mask);
	else
		err = modify_connection(qp, attr, mask, connects ? &remote : NULL);
	control_leave();
	return err;
}

/* ---- asking ---- */

/* Numbers and states as the application set them; without a device, all of it. */
static int query(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	struct ibv_qp_init_attr init;
	int err = 0;

	*attr = qp->attr;
	if (qp->real)
		err = below.ibv_query_qp(qp->real, attr, mask, &init);
	if (err)
		return err;
	attr->cap = qp->init.cap;
	attr->qp_access_flags = qp->attr.qp_access_flags;
	attr->dest_qp_num = qp->remote.qpn;
	if (qp->attr_mask & IBV_QP_AV)
		attr->ah_attr = qp->attr.ah_attr;
	if (qp->held || !qp->real)
		attr->qp_state = qp->shown.qp_base.state;
	attr->cur_qp_state = attr->qp_state;
	return 0;
}

WRAPPER int ibv_query_qp(
        struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init)
{
	struct queue_pair *qp = queue_pair_of(shown);
	int err;

	if (!qp)
		return below.ibv_query_qp(shown, attr, mask, init);
	control_enter(qp->context, NEEDS_NOTHING);
	err = query(qp, attr, mask);
	if (!err) {
		*init = qp->init;
		shown->state = attr->qp_state;
	}
	control_leave();
	return err;
}

/* ---- what only the device can do ---- */

#define PASSES_TO_DEVICE(name, params, ...)                                                        \
	WRAPPER int name params                                                                    \
	{                                                                                          \
		struct queue_pair *mine = queue_pair_of(qp);                                       \
		int err;                                                                           \
                                                                                                   \
		if (!mine)                                                                         \
			return below.name(qp, __VA_ARGS__);                                        \
		err = control_enter_qp(mine, NEEDS_CONNECTION);                                    \
		if (err)                                                                           \
			return err;                                                                \
		err = below.name(mine->real, __VA_ARGS__);                                         \
		if (!err)                                                                          \
			noted_##name(mine);                                                        \
		control_leave();                                                                   \
		return err;                                                                        \
	}

static void noted_ibv_set_ece(struct queue_pair *qp)
{
	qp->ece_set = true;
}

static void noted_ibv_attach_mcast(struct queue_pair *qp)
{
	qp->multicast_groups++;
}

static void noted_ibv_detach_mcast(struct queue_pair *qp)
{
	qp->multicast_groups--;
}

static void noted_ibv_query_ece(struct queue_pair *qp)
{
}

PASSES_TO_DEVICE(ibv_query_ece, (struct ibv_qp * qp, struct ibv_ece *ece), ece)
PASSES_TO_DEVICE(ibv_set_ece, (struct ibv_qp * qp, struct ibv_ece *ece), ece)
PASSES_TO_DEVICE(
        ibv_attach_mcast, (struct ibv_qp * qp, const union ibv_gid *gid, uint16_t lid), gid, lid)
PASSES_TO_DEVICE(
        ibv_detach_mcast, (struct ibv_qp * qp, const union ibv_gid *gid, uint16_t lid), gid, lid)

/* Another device may order its writes otherwise: promise nothing. */
WRAPPER int ibv_query_qp_data_in_order(struct ibv_qp *qp, enum ibv_wr_opcode op, uint32_t flags)
{
	return queue_pair_of(qp) ? 0 : below.ibv_query_qp_data_in_order(qp, op, flags);
}

/* ---- again, for a migration ---- */

int queue_pair_make_real(struct queue_pair *qp)
{
	struct context *context = qp->context;
	const struct ibv_qp_cap *had = &qp->init.cap;
	struct ibv_qp_cap cap;

	qp->real = create_real(qp, &cap);
	if (!qp->real)
		return errno ? -errno : -ENOMEM;
	if (cap.max_send_wr < had->max_send_wr || cap.max_recv_wr < had->max_recv_wr ||
	        cap.max_inline_data < had->max_inline_data)
		return -ENOSPC;
	if (qp->real->qp_num == queue_pair_number(qp))
		number_table_remove(&context->qpns, queue_pair_number(qp));
	else if (number_table_set(&context->qpns, queue_pair_number(qp), qp->real->qp_num))
		return -ENOMEM;
	return queue_pair_enlist(qp);
}

static int modify_real(struct queue_pair *qp, struct ibv_qp_attr *attr, int mask)
{
	return -below.ibv_modify_qp(qp->real, attr, mask);
}

int queue_pair_to_state(struct queue_pair *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = {.qp_state = state};

	return modify_real(qp, &attr, IBV_QP_STATE);
}

int queue_pair_to_init(struct queue_pair *qp)
{
	struct ibv_qp_attr attr = qp->attr;

	attr.qp_state = IBV_QPS_INIT;
	return modify_real(
	        qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

int queue_pair_to_rtr(struct queue_pair *qp, uint32_t rq_psn)
{
	struct ibv_qp_attr attr = qp->attr;

	qp->responder_began = rq_psn;
	attr.qp_state = IBV_QPS_RTR;
	attr.rq_psn = rq_psn;
	attr.dest_qp_num = qp->remote.real_qpn;
	attr.ah_attr.dlid = (uint16_t)qp->remote.real_lid;
	attr.ah_attr.grh.dgid = qp->remote.real_gid;
	return modify_real(qp, &attr,
	        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
	                IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

int queue_pair_to_rts(struct queue_pair *qp)
{
	struct ibv_qp_attr attr = qp->attr;

	attr.qp_state = IBV_QPS_RTS;
	attr.sq_psn = qp->migration.fresh_psn;
	return modify_real(qp, &attr,
	        IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
	                IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}
