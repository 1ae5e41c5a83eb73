/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_queue_pairs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_ethernet.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_fake_memory.h"
#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_fake_shared_queues.h"
#include "tests/unit/shim_fake_windows.h"

struct fake_ah {
	struct ibv_ah ah;
	struct ibv_ah_attr attr;
};

struct fake_qps fake_qps = TAILQ_HEAD_INITIALIZER(fake_qps);

static struct ibv_qp *make_qp(
        struct ibv_context *context, struct ibv_pd *pd, const struct ibv_qp_init_attr *attr)
{
	struct fake_qp *qp = calloc(1, sizeof(*qp));
	struct hca *hca = fake_hca_of(context);

	LOCK_GUARD(&fake_lock);
	if (fake.makes_no_qps) {
		free(qp);
		errno = fake.says_not_why ? 0 : ENOMEM;
		return NULL;
	}
	qp->qp = (struct ibv_qp){.context = context,
	        .qp_context = attr->qp_context,
	        .pd = pd,
	        .send_cq = attr->send_cq,
	        .recv_cq = attr->recv_cq,
	        .srq = attr->srq,
	        .qp_num = hca->next_number++,
	        .qp_type = attr->qp_type};
	qp->hca = hca;
	qp->sig_all = attr->sq_sig_all;
	pthread_mutex_init(&qp->qp.mutex, NULL);
	pthread_cond_init(&qp->qp.cond, NULL);
	qp->receives = attr->srq ? &((struct fake_srq *)attr->srq)->queue : &qp->own;
	TAILQ_INSERT_TAIL(&fake_qps, qp, link);
	fake.live_objects++;
	fake.qps_made++;
	return &qp->qp;
}

struct ibv_qp *fake_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	attr->cap.max_inline_data = FAKE_MAX_INLINE;
	return make_qp(pd->context, pd, attr);
}

struct ibv_qp *fake_create_qp_ex(struct ibv_context *context, struct ibv_qp_init_attr_ex *attr)
{
	struct ibv_qp_init_attr plain = {.qp_context = attr->qp_context, .qp_type = attr->qp_type};
	struct ibv_qp *made;

	if (attr->qp_type != IBV_QPT_XRC_RECV || !(attr->comp_mask & IBV_QP_INIT_ATTR_XRCD)) {
		errno = EINVAL;
		return NULL;
	}
	made = make_qp(context, NULL, &plain);
	if (made)
		((struct fake_qp *)made)->xrcd = attr->xrcd;
	return made;
}

int fake_destroy_qp(struct ibv_qp *shown)
{
	if (fake_groups(shown) || fake.destroys_no_qps)
		return EBUSY;
	fake_forget_events(shown, &shown->mutex, &shown->cond, &shown->events_completed, NULL);
	LOCK_GUARD(&fake_lock);
	TAILQ_REMOVE(&fake_qps, (struct fake_qp *)shown, link);
	fake_windows_forget(NULL, (struct fake_qp *)shown);
	if (fake.reset_purges && !((struct fake_qp *)shown)->xrcd) {
		fake_purge(shown->send_cq, shown->qp_num);
		fake_purge(shown->recv_cq, shown->qp_num);
	}
	return fake_object_free(shown);
}

static enum ibv_wc_opcode opcode_of(enum ibv_wr_opcode opcode)
{
	switch (opcode) {
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_BIND_MW:
		return IBV_WC_BIND_MW;
	case IBV_WR_LOCAL_INV:
		return IBV_WC_LOCAL_INV;
	default:
		return IBV_WC_SEND;
	}
}

static bool is_held(enum ibv_wc_status status)
{
	return (fake.hold_flushes && status == IBV_WC_WR_FLUSH_ERR) ||
	       (fake.hold_failures && status != IBV_WC_SUCCESS);
}

void fake_complete_send(struct fake_qp *qp, enum ibv_wc_status status)
{
	struct fake_send *send = &qp->sends[qp->completed++ % FAKE_QUEUE];
	struct ibv_wc wc = {.wr_id = send->wr.wr_id,
	        .status = status,
	        .opcode = opcode_of(send->wr.opcode),
	        .qp_num = qp->qp.qp_num};

	if (status || qp->sig_all || send->wr.send_flags & IBV_SEND_SIGNALED)
		fake_push_late(qp->qp.send_cq, &wc, false, is_held(status));
}

void fake_last_wqe_reached(struct fake_qp *qp)
{
	if (qp->qp.srq && qp->qp.state != IBV_QPS_ERR)
		fake_async_event(
		        qp->qp.context, (struct ibv_async_event){.element.qp = &qp->qp,
		                                .event_type = IBV_EVENT_QP_LAST_WQE_REACHED});
}

void fake_flush_receives(struct fake_qp *qp)
{
	while (!qp->qp.srq && qp->receives->tail != qp->receives->head) {
		struct ibv_wc wc = {
		        .wr_id = qp->receives->slots[qp->receives->tail++ % FAKE_QUEUE].wr_id,
		        .status = IBV_WC_WR_FLUSH_ERR,
		        .qp_num = qp->qp.qp_num};

		fake_push_late(qp->qp.recv_cq, &wc, false, fake.hold_flushes);
	}
}

void fake_flush(struct fake_qp *qp)
{
	/* What needs no acknowledgement was done when it was sent. */
	while (fake_is_unreliable(qp) && !fake.err_gives_back_what_was_sent &&
	        qp->completed != qp->executed)
		fake_complete_send(qp, IBV_WC_SUCCESS);
	while (qp->completed != qp->head)
		fake_complete_send(qp, IBV_WC_WR_FLUSH_ERR);
	qp->executed = qp->head;
	if (qp->has_taken) {
		struct ibv_wc wc = {.wr_id = qp->taken.wr_id,
		        .status = IBV_WC_WR_FLUSH_ERR,
		        .qp_num = qp->qp.qp_num};

		fake_push_late(qp->qp.recv_cq, &wc, false, fake.hold_flushes);
		qp->has_taken = false;
	}
	if (fake.err_flushes_receives)
		fake_flush_receives(qp);
}

static void forget(struct fake_qp *qp)
{
	qp->completed = qp->executed = qp->head;
	qp->partial = 0;
	qp->has_taken = false;
	if (!qp->qp.srq)
		qp->receives->tail = qp->receives->head;
	if (fake.reset_purges && !qp->xrcd) {
		fake_purge(qp->qp.send_cq, qp->qp.qp_num);
		fake_purge(qp->qp.recv_cq, qp->qp.qp_num);
	}
}

int fake_modify_qp(struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	LOCK_GUARD(&fake_lock);
	if (!(mask & IBV_QP_STATE))
		return 0;
	switch (attr->qp_state) {
	case IBV_QPS_RESET:
		if (shown == fake.does_not_reset)
			return EIO;
		if (!fake.reset_keeps_windows)
			fake_windows_forget(NULL, qp);
		forget(qp);
		break;
	case IBV_QPS_INIT:
		if (shown->state != IBV_QPS_RESET || attr->port_num != 1)
			return EINVAL;
		qp->attr = *attr;
		qp->pkey_index = attr->pkey_index;
		break;
	case IBV_QPS_RTR:
		if (shown->state != IBV_QPS_INIT)
			return EINVAL;
		if (shown->qp_type == IBV_QPT_UD)
			break;
		if (fake.unreached) {
			fake.unreached--;
			return ETIMEDOUT;
		}
		qp->established = false;
		qp->expected_psn = attr->rq_psn;
		qp->attr = *attr;
		break;
	case IBV_QPS_RTS:
		if (shown->state != IBV_QPS_RTR && shown->state != IBV_QPS_SQD)
			return EINVAL;
		if (mask & IBV_QP_SQ_PSN)
			qp->sent_psn = qp->given_psn = attr->sq_psn;
		break;
	case IBV_QPS_SQD:
		if (shown->state != IBV_QPS_RTS)
			return EINVAL;
		break;
	case IBV_QPS_ERR:
		if (shown->state == IBV_QPS_RESET)
			return EINVAL;
		fake_flush(qp);
		fake_last_wqe_reached(qp);
		break;
	default:
		return EINVAL;
	}
	shown->state = attr->qp_state;
	return 0;
}

uint16_t fake_qp_pkey_index(const struct ibv_qp *real_qp)
{
	return ((const struct fake_qp *)real_qp)->pkey_index;
}

const struct ibv_ah_attr *fake_qp_ah_attr(const struct ibv_qp *real_qp)
{
	return &((const struct fake_qp *)real_qp)->attr.ah_attr;
}

uint32_t fake_qp_dest(const struct ibv_qp *real_qp)
{
	return ((const struct fake_qp *)real_qp)->attr.dest_qp_num;
}

int fake_query_qp(
        struct ibv_qp *shown, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	LOCK_GUARD(&fake_lock);
	*attr = qp->attr;
	attr->qp_state = shown->state;
	attr->rq_psn = fake.psns_are_live ? qp->expected_psn : 0;
	attr->sq_psn = fake.psns_are_live ? qp->sent_psn : 0;
	if (fake.rq_psns_are_as_given)
		attr->rq_psn = qp->attr.rq_psn;
	if (fake.sq_psns_are_as_given)
		attr->sq_psn = qp->given_psn;
	memset(init, 0, sizeof(*init));
	return 0;
}

static void take_sges(struct ibv_sge *to, const struct ibv_sge *from, int count)
{
	for (int i = 0; i < count && i < FAKE_MAX_SGE; i++)
		to[i] = from[i];
}

static void queue_send(struct fake_qp *qp, const struct ibv_send_wr *wr)
{
	struct fake_send *send = &qp->sends[qp->head++ % FAKE_QUEUE];

	*send = (struct fake_send){.wr = *wr};
	take_sges(send->sges, wr->sg_list, wr->num_sge);
	for (int i = 0; i < wr->num_sge; i++)
		send->length += wr->sg_list[i].length;
	if (wr->send_flags & IBV_SEND_INLINE && wr->num_sge)
		memcpy(send->payload, (void *)(uintptr_t)wr->sg_list[0].addr, send->length);
	if (qp->qp.qp_type == IBV_QPT_UD)
		send->to = ((struct fake_ah *)wr->wr.ud.ah)->attr;
	if (wr->opcode == IBV_WR_BIND_MW) {
		send->window_key = wr->bind_mw.mw->rkey;
		if (fake.sets_window_keys)
			wr->bind_mw.mw->rkey = wr->bind_mw.rkey;
	}
	send->packets = send->length > FAKE_MTU ? (send->length + FAKE_MTU - 1) / FAKE_MTU : 1;
}

int fake_post_send(struct ibv_qp *shown, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	*bad = wr;
	if (lost_refuses(shown->context))
		return EIO;
	fake_inside();
	LOCK_GUARD(&fake_lock);
	for (int i = 0; wr; wr = wr->next, i++) {
		if (i == fake.post_fails_at || shown->state < IBV_QPS_RTS) {
			*bad = wr;
			return ENOMEM;
		}
		if (fake_refuses(wr)) {
			*bad = wr;
			return EOPNOTSUPP;
		}
		queue_send(qp, wr);
	}
	if (shown->state == IBV_QPS_ERR)
		fake_flush(qp);
	else if (!fake.delays_local_work)
		fake_do_local(qp);
	if (fake.automatic && shown->state != IBV_QPS_ERR)
		fake_execute(shown, FAKE_QUEUE, true);
	return 0;
}

int fake_queue_receive(struct fake_receive_queue *queue, const struct ibv_recv_wr *wr)
{
	struct fake_receive *receive = &queue->slots[queue->head++ % FAKE_QUEUE];

	receive->wr_id = wr->wr_id;
	receive->num_sge = wr->num_sge;
	take_sges(receive->sges, wr->sg_list, wr->num_sge);
	return 0;
}

int fake_post_recv(struct ibv_qp *shown, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct fake_qp *qp = (struct fake_qp *)shown;

	*bad = wr;
	if (lost_refuses(shown->context))
		return EIO;
	LOCK_GUARD(&fake_lock);
	for (; wr; wr = wr->next)
		fake_queue_receive(qp->receives, wr);
	if (shown->state == IBV_QPS_ERR)
		fake_flush(qp);
	return 0;
}

unsigned fake_pending(const struct ibv_qp *shown)
{
	const struct fake_qp *qp = (const struct fake_qp *)shown;

	return qp->head - qp->executed;
}

unsigned fake_receives(const struct ibv_qp *shown)
{
	const struct fake_qp *qp = (const struct fake_qp *)shown;

	return qp->receives->head - qp->receives->tail;
}

struct ibv_ah *fake_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	struct fake_ah *ah;

	fake.handles_asked_for++;
	if (fake.has_no_routes) {
		errno = ENETUNREACH;
		return NULL;
	}
	/* The kernel asks for the address, unless that says it itself. */
	if (fake.ethernet && attr->grh.dgid.raw[0] != 0xfe && attr->grh.dgid.raw[0] != 0xff &&
	        !fake_ethernet_at(&attr->grh.dgid)) {
		errno = EHOSTUNREACH;
		return NULL;
	}
	ah = calloc(1, sizeof(*ah));
	ah->ah.context = pd->context;
	ah->ah.pd = pd;
	ah->attr = *attr;
	fake.live_objects++;
	return &ah->ah;
}

const struct ibv_ah_attr *fake_ah_attr(const struct ibv_ah *real_ah)
{
	return &((const struct fake_ah *)real_ah)->attr;
}

int fake_destroy_ah(struct ibv_ah *ah)
{
	return fake_object_free(ah);
}
