/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/datagram.h"

#include "simfabric/address_handle.h"
#include "simfabric/request_packets.h"
#include "simfabric/responder.h"
#include "simfabric/scatter_gather.h"

/* ---- sending ---- */

static bool write_grh(struct queue_pair *qp, const struct send_work *work, struct packet *packet)
{
	const struct ibv_ah_attr *path = &work->datagram.path;
	union ibv_gid sgid;

	packet->has_grh = path->is_global;
	if (!path->is_global)
		return true;
	if (!qp->host->gid(qp, path->grh.sgid_index, &sgid))
		return false;
	address_write_grh(&packet->grh, path, &sgid,
	        packet->payload_length + (packet_is(packet) & HAS_IMM ? sizeof(__be32) : 0));
	return true;
}

static enum ibv_wc_status write_packet(
        struct queue_pair *qp, const struct send_work *work, struct packet *packet)
{
	bool has_imm = work->opcode == IBV_WR_SEND_WITH_IMM;
	uint32_t qkey = work->datagram.qkey;

	packet->opcode = TRANSPORT_UD | (has_imm ? OP_SEND_ONLY_IMM : OP_SEND_ONLY);
	packet->sl = work->datagram.path.sl;
	packet->slid |= work->datagram.path.src_path_bits & qp->host->path_bits(qp);
	packet->psn = qp->requester.next_psn;
	packet->message_index = 0;
	packet->ack_request = 0;
	packet->solicited = !!(work->flags & IBV_SEND_SOLICITED);
	packet->imm_data = work->imm_data;
	packet->deth.qkey = qkey & CONTROLLED_QKEY ? qp->attr.qkey : qkey;
	packet->payload_length = (uint16_t)work->length;
	if (!write_grh(qp, work, packet))
		return IBV_WC_LOC_QP_OP_ERR;
	return request_copy_payload(qp, work, 0, packet) ? IBV_WC_SUCCESS : IBV_WC_LOC_PROT_ERR;
}

/* The next request; NULL: none, or it failed just now. */
static struct send_work *work_to_send(struct queue_pair *qp)
{
	struct send_queue *queue = &qp->requester.queue;
	struct send_work *work;

	/* Each message is one packet, so in SQD nothing is begun that would have to end. */
	if (qp->state != IBV_QPS_RTS || queue->cursor == queue->posted)
		return NULL;
	work = send_queue_at(queue, queue->cursor);
	if (work->length <= qp->host->mtu(qp))
		return work;
	requester_fail_sends(qp, IBV_WC_LOC_LEN_ERR);
	return NULL;
}

enum sent datagram_send(struct queue_pair *qp)
{
	struct send_work *work = work_to_send(qp);
	enum ibv_wc_status status;
	struct packet *packet;

	if (!work)
		return NOTHING_TO_SEND;
	packet = qp->host->reserve(qp, work->datagram.path.dlid, work->datagram.qpn);
	if (!packet)
		return NO_ROOM;
	status = write_packet(qp, work, packet);
	if (status != IBV_WC_SUCCESS) {
		qp->host->discard(qp, packet);
		requester_fail_sends(qp, status);
		return NOTHING_TO_SEND;
	}
	qp->host->send(qp, packet);
	requester_sent_for_good(qp, true);
	return SENT;
}

/* ---- receiving ---- */

static bool place(struct queue_pair *qp, const struct packet *packet)
{
	const struct receive_work *receive = &qp->responder.receive;
	struct buffer_list list = {qp->host->keys, qp->pd, receive->sge, receive->sge_count};

	/* Without a GRH the room for it keeps what was there. */
	if (packet->has_grh && !scatter(&list, 0, &packet->grh, sizeof(packet->grh)))
		return false;
	return scatter(&list, DATAGRAM_GRH_ROOM, packet->payload, packet->payload_length);
}

static void complete(struct queue_pair *qp, const struct packet *packet, enum ibv_wc_status status)
{
	struct completion completion;

	qp->responder.received = DATAGRAM_GRH_ROOM + packet->payload_length;
	responder_describe_receive(qp, packet, status, &completion);
	completion.wc.src_qp = packet->src_qpn;
	if (packet->dlid < MULTICAST_LID)
		completion.wc.dlid_path_bits = packet->dlid & qp->host->path_bits(qp);
	if (packet->has_grh)
		completion.wc.wc_flags |= IBV_WC_GRH;
	if (!responder_finish_receive(qp, &completion))
		queue_pair_fail(qp);
}

/*
 * Too long for the next buffer: one of the queue pair's own stays for another message; one of an
 * SRQ is taken by then and completes with the error (IBA 9.9.3.2, classes D and E).
 */
static bool is_too_long(const struct queue_pair *qp, const struct packet *packet)
{
	uint32_t room;

	return receive_queue_next_length(qp->responder.queue, &room) &&
	       room < (uint32_t)DATAGRAM_GRH_ROOM + packet->payload_length;
}

void datagram_receive(struct queue_pair *qp, const struct packet *packet)
{
	uint8_t op = packet->opcode & OP_MASK;
	bool too_long;

	if ((op != OP_SEND_ONLY && op != OP_SEND_ONLY_IMM) || packet->deth.qkey != qp->attr.qkey)
		return;
	too_long = is_too_long(qp, packet);
	if ((too_long && !qp->uses_srq) || !responder_take_receive(qp))
		return;
	if (too_long) {
		complete(qp, packet, IBV_WC_LOC_LEN_ERR);
	} else if (place(qp, packet)) {
		complete(qp, packet, IBV_WC_SUCCESS);
	} else {
		complete(qp, packet, IBV_WC_LOC_PROT_ERR);
		qp->host->event(qp, IBV_EVENT_QP_FATAL);
		queue_pair_fail(qp);
	}
}
