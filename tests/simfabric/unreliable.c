/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/unreliable.h"

#include "simfabric/request_packets.h"
#include "simfabric/responder.h"
#include "simfabric/scatter_gather.h"

/* ---- sending ---- */

/* The request that has the next packet to send; NULL: none, or it failed just now. */
static struct send_work *work_to_send(struct queue_pair *qp)
{
	struct send_queue *queue = &qp->requester.queue;
	struct send_work *work;

	if ((qp->state != IBV_QPS_RTS && qp->state != IBV_QPS_SQD) ||
	        queue->cursor == queue->posted)
		return NULL;
	work = send_queue_at(queue, queue->cursor);
	if (work->started)
		return work;
	if (qp->state == IBV_QPS_SQD)
		return NULL;
	if (work->length > QUEUE_PAIR_MAX_MESSAGE) {
		requester_fail_sends(qp, IBV_WC_LOC_LEN_ERR);
		return NULL;
	}
	requester_number_packets(qp, work);
	return work;
}

enum sent unreliable_send(struct queue_pair *qp)
{
	struct send_work *work;
	struct packet *packet;
	bool last;

	while (requester_pass_local_work(qp))
		;
	work = work_to_send(qp);
	if (!work)
		return NOTHING_TO_SEND;
	packet = qp->host->reserve(qp, qp->attr.ah_attr.dlid, qp->attr.dest_qp_num);
	if (!packet)
		return NO_ROOM;
	if (!request_write(qp, work, packet)) {
		qp->host->discard(qp, packet);
		requester_fail_sends(qp, IBV_WC_LOC_PROT_ERR);
		return NOTHING_TO_SEND;
	}
	packet->ack_request = 0;
	last = packet_is(packet) & IS_LAST;
	qp->host->send(qp, packet);
	requester_sent_for_good(qp, last);
	return SENT;
}

/* ---- receiving ---- */

static void complete(struct queue_pair *qp, const struct packet *packet, enum ibv_wc_status status)
{
	struct completion completion;

	responder_describe_receive(qp, packet, status, &completion);
	if (!responder_finish_receive(qp, &completion))
		queue_pair_fail(qp);
}

/*
 * The message in progress is gone (IBA 9.9.3.2). A buffer of the queue pair's own waits for the
 * next one (class D); an SRQ's is not given back and completes with an error (class E).
 */
static void give_message_up(struct queue_pair *qp)
{
	struct responder *responder = &qp->responder;

	responder->message = 0;
	responder->skips = true;
	if (responder->has_receive && qp->uses_srq)
		complete(qp, NULL, IBV_WC_REM_INV_REQ_ERR);
}

static bool follows(const struct queue_pair *qp, const struct packet *packet)
{
	const struct responder *responder = &qp->responder;
	uint16_t is = packet_is(packet);

	if (is & IS_FIRST)
		return !responder->message;
	return !responder->skips && packet->psn == responder->expected_psn && responder->message &&
	       responder->message == (is & (IS_SEND | IS_WRITE));
}

/* False: the message cannot be received. */
static bool receive_send(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	struct buffer_list list = {qp->host->keys, qp->pd, responder->receive.sge, 0};

	if (!responder->has_receive && !responder_take_receive(qp))
		return false;
	if (packet->payload_length > responder->receive.length - responder->received)
		return false;
	list.count = responder->receive.sge_count;
	if (!scatter(&list, responder->received, packet->payload, packet->payload_length)) {
		complete(qp, packet, IBV_WC_LOC_PROT_ERR);
		qp->host->event(qp, IBV_EVENT_QP_FATAL);
		queue_pair_fail(qp);
		return true;
	}
	responder->received += packet->payload_length;
	if (packet_is(packet) & IS_LAST)
		complete(qp, packet, IBV_WC_SUCCESS);
	return true;
}

static bool receive_write(struct queue_pair *qp, const struct packet *packet)
{
	switch (responder_execute_write(qp, packet)) {
	case SYNDROME_ACK:
		return true;
	case SYNDROME_NAK_OPERATION: /* the completion queue is full */
		queue_pair_fail(qp);
		return true;
	default:
		return false;
	}
}

void unreliable_receive(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	uint16_t is = packet_is(packet);
	bool is_good;

	if (!(is & (IS_SEND | IS_WRITE)) || (is & HAS_INVALIDATE))
		return;
	responder_hear(qp);
	if (!follows(qp, packet))
		give_message_up(qp);
	if (!(is & IS_FIRST) && responder->skips)
		return;
	if (is & IS_FIRST) {
		responder->skips = false;
		responder->received = 0;
	}
	responder->expected_psn = psn_add(packet->psn, 1);
	is_good = responder_payload_fits(qp, packet) &&
	          (is & IS_SEND ? receive_send(qp, packet) : receive_write(qp, packet));
	if (!is_good)
		give_message_up(qp);
	else
		responder->message = is & IS_LAST ? 0 : is & (IS_SEND | IS_WRITE);
}
