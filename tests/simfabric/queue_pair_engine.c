/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <string.h>

#include "simfabric/datagram.h"
#include "simfabric/qp_states.h"
#include "simfabric/queue_pair_engine.h"
#include "simfabric/requester.h"
#include "simfabric/responder.h"
#include "simfabric/unreliable.h"

static uint8_t transport_of(enum ibv_qp_type type)
{
	switch (type) {
	case IBV_QPT_UC:
		return TRANSPORT_UC;
	case IBV_QPT_UD:
		return TRANSPORT_UD;
	case IBV_QPT_XRC_SEND:
	case IBV_QPT_XRC_RECV:
		return TRANSPORT_XRC;
	default:
		return TRANSPORT_RC;
	}
}

int queue_pair_init(struct queue_pair *qp, const struct queue_pair_config *config)
{
	const struct ibv_qp_cap *cap = &config->cap;
	int err;

	memset(qp, 0, sizeof(*qp));
	qp->host = config->host;
	qp->pd = config->pd;
	qp->send_completions = config->send_completions;
	qp->receive_completions = config->receive_completions;
	qp->qpn = config->qpn;
	qp->type = config->type;
	qp->transport = transport_of(config->type);
	qp->xrc_domain = config->xrc_domain;
	qp->sq_sig_all = config->sq_sig_all;
	qp->uses_srq = config->shared_receives || config->type == IBV_QPT_XRC_RECV;
	qp->attr.cap = *cap;
	qp->state = IBV_QPS_RESET;
	err = send_queue_init(&qp->requester.queue, config->type, cap->max_send_wr,
	        cap->max_send_sge, cap->max_inline_data);
	if (err)
		return err;
	qp->responder.queue = config->shared_receives;
	qp->responder.completions = config->receive_completions;
	qp->responder.pd = config->pd;
	if (qp->uses_srq)
		return 0;
	qp->responder.queue = &qp->responder.own_queue;
	err = receive_queue_init(&qp->responder.own_queue, cap->max_recv_wr, cap->max_recv_sge);
	if (err)
		send_queue_fini(&qp->requester.queue);
	return err;
}

void queue_pair_fini(struct queue_pair *qp)
{
	memory_windows_forget_owner(&qp->windows);
	send_queue_fini(&qp->requester.queue);
	receive_queue_fini(&qp->responder.own_queue);
}

static void reset(struct queue_pair *qp)
{
	struct ibv_qp_cap cap = qp->attr.cap;

	memset(&qp->attr, 0, sizeof(qp->attr));
	qp->attr.cap = cap;
	memory_windows_forget_owner(&qp->windows);
	send_queue_clear(&qp->requester.queue);
	receive_queue_clear(&qp->responder.own_queue);
	requester_start(qp, 0);
	responder_start(qp, 0);
}

void queue_pair_fail(struct queue_pair *qp)
{
	if (qp->state == IBV_QPS_ERR || qp->state == IBV_QPS_RESET)
		return;
	qp->state = IBV_QPS_ERR;
	requester_flush(qp);
	responder_flush(qp);
	/* An XRC target has no receives to be the last of: any SRQ of its domain serves it. */
	if (qp->host->raises_last_wqe && qp->uses_srq && qp->type != IBV_QPT_XRC_RECV)
		qp->host->event(qp, IBV_EVENT_QP_LAST_WQE_REACHED);
}

/* ---- attributes ---- */

static bool attr_is_valid(const struct ibv_qp_attr *attr, int mask)
{
	if ((mask & IBV_QP_PATH_MTU) &&
	        (attr->path_mtu < IBV_MTU_256 || attr->path_mtu > IBV_MTU_4096))
		return false;
	if ((mask & IBV_QP_MAX_QP_RD_ATOMIC) && attr->max_rd_atomic > QUEUE_PAIR_MAX_READS)
		return false;
	if ((mask & IBV_QP_MAX_DEST_RD_ATOMIC) && attr->max_dest_rd_atomic > QUEUE_PAIR_MAX_READS)
		return false;
	if ((mask & IBV_QP_TIMEOUT) && attr->timeout > 31)
		return false;
	if ((mask & IBV_QP_RETRY_CNT) && attr->retry_cnt > 7)
		return false;
	if ((mask & IBV_QP_RNR_RETRY) && attr->rnr_retry > 7)
		return false;
	if ((mask & IBV_QP_MIN_RNR_TIMER) && attr->min_rnr_timer > 31)
		return false;
	if ((mask & IBV_QP_DEST_QPN) && attr->dest_qp_num > PACKET_PSN_MASK)
		return false;
	/* No automatic path migration in this HCA. */
	return !(mask & IBV_QP_ALT_PATH) &&
	       (!(mask & IBV_QP_PATH_MIG_STATE) || attr->path_mig_state == IBV_MIG_MIGRATED);
}

static void take_attributes(struct queue_pair *qp, const struct ibv_qp_attr *attr, int mask)
{
#define TAKE(bit, field)                                                                           \
	if (mask & (bit))                                                                          \
		qp->attr.field = attr->field;
	TAKE(IBV_QP_ACCESS_FLAGS, qp_access_flags)
	TAKE(IBV_QP_PKEY_INDEX, pkey_index)
	TAKE(IBV_QP_PORT, port_num)
	TAKE(IBV_QP_QKEY, qkey)
	TAKE(IBV_QP_AV, ah_attr)
	TAKE(IBV_QP_PATH_MTU, path_mtu)
	TAKE(IBV_QP_TIMEOUT, timeout)
	TAKE(IBV_QP_RETRY_CNT, retry_cnt)
	TAKE(IBV_QP_RNR_RETRY, rnr_retry)
	TAKE(IBV_QP_RQ_PSN, rq_psn)
	TAKE(IBV_QP_SQ_PSN, sq_psn)
	TAKE(IBV_QP_MAX_QP_RD_ATOMIC, max_rd_atomic)
	TAKE(IBV_QP_MAX_DEST_RD_ATOMIC, max_dest_rd_atomic)
	TAKE(IBV_QP_MIN_RNR_TIMER, min_rnr_timer)
	TAKE(IBV_QP_DEST_QPN, dest_qp_num)
	TAKE(IBV_QP_PATH_MIG_STATE, path_mig_state)
#undef TAKE
	if (mask & IBV_QP_PATH_MTU)
		qp->mtu = 128u << attr->path_mtu;
	/* IBA 9.7.6.1.3: 4.096 us times two to the power of the field; 0 waits for ever. */
	if (mask & IBV_QP_TIMEOUT)
		qp->timeout_ns = attr->timeout ? 4096ull << attr->timeout : 0;
	if (mask & IBV_QP_RETRY_CNT)
		qp->requester.retries_left = attr->retry_cnt;
	if (mask & IBV_QP_RNR_RETRY)
		qp->requester.rnr_retries_left = attr->rnr_retry;
}

static void say_if_drained(struct queue_pair *qp)
{
	if (!qp->drained_event_asked || qp->state != IBV_QPS_SQD || !requester_is_drained(qp))
		return;
	qp->drained_event_asked = false;
	qp->host->event(qp, IBV_EVENT_SQ_DRAINED);
}

static void enter(
        struct queue_pair *qp, enum ibv_qp_state to, const struct ibv_qp_attr *attr, int mask)
{
	enum ibv_qp_state from = qp->state;

	if (to == IBV_QPS_ERR) {
		queue_pair_fail(qp);
		return;
	}
	qp->state = to;
	if (to == IBV_QPS_RESET)
		reset(qp);
	else if (from == IBV_QPS_INIT && to == IBV_QPS_RTR)
		responder_start(qp, qp->attr.rq_psn);
	else if (from == IBV_QPS_RTR && to == IBV_QPS_RTS)
		requester_start(qp, qp->attr.sq_psn);
	else if (from == IBV_QPS_RTS && to == IBV_QPS_SQD)
		qp->drained_event_asked =
		        (mask & IBV_QP_EN_SQD_ASYNC_NOTIFY) && attr->en_sqd_async_notify;
	say_if_drained(qp);
	qp->host->ready(qp);
}

int queue_pair_modify(struct queue_pair *qp, const struct ibv_qp_attr *attr, int mask)
{
	enum ibv_qp_state to = mask & IBV_QP_STATE ? attr->qp_state : qp->state;

	if ((mask & IBV_QP_CUR_STATE) && attr->cur_qp_state != qp->state)
		return -EINVAL;
	if (!qp_states_allow(qp->type, qp->state, to, mask) || !attr_is_valid(attr, mask))
		return -EINVAL;
	take_attributes(qp, attr, mask);
	enter(qp, to, attr, mask);
	return 0;
}

void queue_pair_query(const struct queue_pair *qp, struct ibv_qp_attr *attr)
{
	*attr = qp->attr;
	attr->qp_state = attr->cur_qp_state = qp->state;
	attr->sq_psn = qp->requester.new_psn;
	attr->rq_psn = qp->responder.expected_psn;
	attr->sq_draining = qp->state == IBV_QPS_SQD && !requester_is_drained(qp);
}

/* ---- work ---- */

int queue_pair_post_send(struct queue_pair *qp, uint32_t count)
{
	struct send_queue *queue = &qp->requester.queue;

	if (qp->type == IBV_QPT_XRC_RECV ||
	        (qp->state != IBV_QPS_RTS && qp->state != IBV_QPS_SQD && qp->state != IBV_QPS_SQE &&
	                qp->state != IBV_QPS_ERR))
		return -EINVAL;
	for (uint32_t i = 0; qp->sq_sig_all && i < count; i++)
		send_queue_at(queue, queue->posted + i)->flags |= IBV_SEND_SIGNALED;
	queue->posted += count;
	if (qp->state == IBV_QPS_ERR || qp->state == IBV_QPS_SQE)
		requester_flush(qp);
	else
		qp->host->ready(qp);
	return 0;
}

int queue_pair_post_receive(struct queue_pair *qp, const struct ibv_recv_wr *wr)
{
	int err;

	if (qp->state == IBV_QPS_RESET || qp->uses_srq || qp->type == IBV_QPT_XRC_SEND)
		return -EINVAL;
	err = receive_queue_post(&qp->responder.own_queue, wr);
	if (!err && qp->state == IBV_QPS_ERR)
		responder_flush(qp);
	return err;
}

static bool is_from_peer(const struct queue_pair *qp, const struct packet *packet)
{
	return packet->slid == qp->attr.ah_attr.dlid;
}

/* Of XRC an initiator has the requesting half only, a target the responding one. */
static bool has_half_for(const struct queue_pair *qp, const struct packet *packet)
{
	return qp->type != (packet_is(packet) & IS_RESPONSE ? IBV_QPT_XRC_RECV : IBV_QPT_XRC_SEND);
}

static void receive_reliable(struct queue_pair *qp, const struct packet *packet)
{
	if (!has_half_for(qp, packet))
		return;
	if (packet_is(packet) & IS_RESPONSE) {
		requester_receive(qp, packet);
		say_if_drained(qp);
	} else {
		responder_receive(qp, packet);
	}
}

void queue_pair_receive(struct queue_pair *qp, const struct packet *packet)
{
	bool listens = qp->state == IBV_QPS_RTR || qp->state == IBV_QPS_RTS ||
	               qp->state == IBV_QPS_SQD || qp->state == IBV_QPS_SQE;

	if (!listens || (packet->opcode & TRANSPORT_MASK) != qp->transport)
		return;
	if (qp->type == IBV_QPT_UD)
		datagram_receive(qp, packet);
	else if (!is_from_peer(qp, packet))
		return;
	else if (qp->type == IBV_QPT_UC)
		unreliable_receive(qp, packet);
	else
		receive_reliable(qp, packet);
}

static enum sent transmit_packet(struct queue_pair *qp)
{
	enum sent sent;

	switch (qp->type) {
	case IBV_QPT_UD:
		return datagram_send(qp);
	case IBV_QPT_UC:
		sent = unreliable_send(qp);
		say_if_drained(qp);
		return sent;
	default:
		sent = responder_send(qp);
		return sent == NOTHING_TO_SEND ? requester_send(qp) : sent;
	}
}

bool queue_pair_transmit(struct queue_pair *qp)
{
	for (int i = 0; i < TRANSMIT_BURST; i++) {
		enum sent sent = transmit_packet(qp);

		if (sent != SENT)
			return sent == NO_ROOM;
	}
	return true;
}

void queue_pair_expire(struct queue_pair *qp)
{
	requester_expire(qp);
}
