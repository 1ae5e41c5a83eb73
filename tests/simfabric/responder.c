/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/responder.h"
#include "simfabric/responses.h"
#include "simfabric/scatter_gather.h"
#include "simfabric/xrc.h"

enum {
	/* Beside enum packet_syndrome: as if the packet had not come. */
	NO_ANSWER = 0xff,
	/* Received, and the key that was to be invalidated stays (IBA 9.9.3, class J). */
	KEY_STAYS = 0xfe,
};

void responder_start(struct queue_pair *qp, uint32_t psn)
{
	struct responder *responder = &qp->responder;

	responder->expected_psn = psn & PACKET_PSN_MASK;
	responder->msn = 0;
	responder->message = 0;
	responder->has_receive = responder->nak_sent = responder->heard = false;
	responder->skips = responder->lacks_receive = false;
	responder->received = 0;
	responder->saved_next = 0;
	memset(responder->saved, 0, sizeof(responder->saved));
	responder->response_head = responder->response_tail = 0;
}

/* ---- receives ---- */

bool responder_take_receive(struct queue_pair *qp)
{
	struct responder *responder = &qp->responder;

	if (qp->host->refuses_receive && qp->host->refuses_receive(qp))
		return false;
	if (!receive_queue_take(responder->queue, &responder->receive))
		return false;
	responder->has_receive = true;
	if (qp->uses_srq)
		qp->host->srq_taken(qp, responder->queue);
	return true;
}

void responder_describe_receive(struct queue_pair *qp, const struct packet *packet,
        enum ibv_wc_status status, struct completion *completion)
{
	struct responder *responder = &qp->responder;
	uint16_t is = packet ? packet_is(packet) : 0;

	memset(completion, 0, sizeof(*completion));
	completion->wc.wr_id = responder->receive.wr_id;
	completion->wc.status = status;
	completion->wc.opcode = is & IS_WRITE ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV;
	completion->wc.byte_len = (uint32_t)responder->received;
	completion->wc.qp_num = qp->qpn;
	completion->wc.src_qp = qp->attr.dest_qp_num;
	completion->qp = qp;
	completion->covers = responder->own_queue.taken;
	completion->is_receive = true;
	if (!packet)
		return;
	completion->psn = packet->psn;
	completion->solicited = packet->solicited;
	completion->wc.slid = packet->slid;
	completion->wc.sl = packet->sl;
	completion->wc.pkey_index = qp->attr.pkey_index;
	completion->wc.imm_data = packet->imm_data;
	completion->wc.wc_flags =
	        (is & HAS_IMM ? IBV_WC_WITH_IMM : 0) | (is & HAS_INVALIDATE ? IBV_WC_WITH_INV : 0);
}

bool responder_finish_receive(struct queue_pair *qp, const struct completion *completion)
{
	qp->responder.has_receive = false;
	return qp->host->complete(qp, qp->responder.completions, completion);
}

static bool complete_receive(
        struct queue_pair *qp, const struct packet *packet, enum ibv_wc_status status)
{
	struct completion completion;

	responder_describe_receive(qp, packet, status, &completion);
	return responder_finish_receive(qp, &completion);
}

void responder_flush(struct queue_pair *qp)
{
	struct responder *responder = &qp->responder;

	if (!qp->host->err_flushes_receives) {
		responder->has_receive = false;
		return;
	}
	responder->received = 0;
	xrc_use_srq_of_message(qp);
	if (responder->has_receive && responder->completions)
		complete_receive(qp, NULL, IBV_WC_WR_FLUSH_ERR);
	responder->has_receive = false;
	if (qp->uses_srq)
		return;
	while (receive_queue_take(responder->queue, &responder->receive))
		complete_receive(qp, NULL, IBV_WC_WR_FLUSH_ERR);
}

/* ---- requests; each answers with an enum packet_syndrome ---- */

bool responder_payload_fits(const struct queue_pair *qp, const struct packet *packet)
{
	if (packet_is(packet) & IS_LAST)
		return packet->payload_length <= qp->mtu;
	return packet->payload_length == qp->mtu;
}

static uint8_t execute_send(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	struct buffer_list list = {qp->host->keys, responder->pd, responder->receive.sge, 0};

	if (!responder->has_receive && !responder_take_receive(qp))
		return SYNDROME_RNR_NAK | (qp->attr.min_rnr_timer & SYNDROME_RNR_TIMER);
	if (packet->payload_length > responder->receive.length - responder->received) {
		complete_receive(qp, packet, IBV_WC_LOC_LEN_ERR);
		return SYNDROME_NAK_INVALID_REQUEST;
	}
	list.count = responder->receive.sge_count;
	if (!scatter(&list, responder->received, packet->payload, packet->payload_length)) {
		complete_receive(qp, packet, IBV_WC_LOC_PROT_ERR);
		return SYNDROME_NAK_OPERATION;
	}
	responder->received += packet->payload_length;
	if (!(packet_is(packet) & IS_LAST))
		return SYNDROME_ACK;
	if ((packet_is(packet) & HAS_INVALIDATE) &&
	        !memory_window_invalidate(qp->host->keys, &qp->windows, packet->invalidate_rkey)) {
		complete_receive(qp, packet, IBV_WC_REM_INV_REQ_ERR);
		return KEY_STAYS;
	}
	return complete_receive(qp, packet, IBV_WC_SUCCESS) ? SYNDROME_ACK : SYNDROME_NAK_OPERATION;
}

static bool remote_may(const struct queue_pair *qp, unsigned access)
{
	return qp->attr.qp_access_flags & access;
}

/* The RETH of the first packet holds for the whole message; no bytes need no key (IBA C9-88). */
static uint8_t open_write(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;

	if (!remote_may(qp, IBV_ACCESS_REMOTE_WRITE) ||
	        packet->reth.length > QUEUE_PAIR_MAX_MESSAGE)
		return SYNDROME_NAK_INVALID_REQUEST;
	responder->write.address = packet->reth.address;
	responder->write.length = packet->reth.length;
	responder->write.rkey = packet->reth.rkey;
	if (packet->reth.length &&
	        !responder_resolve(qp, qp->responder.pd, packet->reth.rkey, packet->reth.address,
	                packet->reth.length, IBV_ACCESS_REMOTE_WRITE))
		return SYNDROME_NAK_ACCESS;
	return SYNDROME_ACK;
}

uint8_t responder_execute_write(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	uint16_t is = packet_is(packet);
	uint64_t left;
	uint8_t *memory = NULL;
	uint8_t syndrome = is & IS_FIRST ? open_write(qp, packet) : SYNDROME_ACK;

	if (syndrome != SYNDROME_ACK)
		return syndrome;
	left = responder->write.length - responder->received;
	if (packet->payload_length > left || ((is & IS_LAST) && packet->payload_length != left))
		return SYNDROME_NAK_INVALID_REQUEST;
	if (packet->payload_length) {
		memory = responder_resolve(qp, qp->responder.pd, responder->write.rkey,
		        responder->write.address + responder->received, packet->payload_length,
		        IBV_ACCESS_REMOTE_WRITE);
		if (!memory)
			return SYNDROME_NAK_ACCESS;
	}
	/* A UC queue pair may have one left from a message that was given up. */
	if ((is & HAS_IMM) && !responder->has_receive && !responder_take_receive(qp))
		return SYNDROME_RNR_NAK | (qp->attr.min_rnr_timer & SYNDROME_RNR_TIMER);
	if (memory)
		place_payload(memory, packet->payload, packet->payload_length);
	responder->received += packet->payload_length;
	if ((is & HAS_IMM) && !complete_receive(qp, packet, IBV_WC_SUCCESS))
		return SYNDROME_NAK_OPERATION;
	return SYNDROME_ACK;
}

static struct saved_request *save(
        struct queue_pair *qp, const struct packet *packet, uint32_t packets)
{
	struct responder *responder = &qp->responder;
	struct saved_request *saved =
	        &responder->saved[responder->saved_next++ % qp->attr.max_dest_rd_atomic];

	saved->valid = true;
	saved->is_atomic = packet_is(packet) & IS_ATOMIC;
	saved->psn = packet->psn;
	saved->packets = packets;
	return saved;
}

static uint32_t read_packets(const struct queue_pair *qp, const struct packet *packet)
{
	return packet->reth.length ? (packet->reth.length + qp->mtu - 1) / qp->mtu : 1;
}

static bool may_read(const struct queue_pair *qp, const struct packet *packet)
{
	return !packet->reth.length ||
	       responder_resolve(qp, qp->responder.pd, packet->reth.rkey, packet->reth.address,
	               packet->reth.length, IBV_ACCESS_REMOTE_READ);
}

static uint8_t execute_read(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;

	if (!remote_may(qp, IBV_ACCESS_REMOTE_READ) || packet->reth.length > QUEUE_PAIR_MAX_MESSAGE)
		return SYNDROME_NAK_INVALID_REQUEST;
	if (responses_reads_owed(responder) >= qp->attr.max_dest_rd_atomic)
		return SYNDROME_NAK_INVALID_REQUEST;
	if (!may_read(qp, packet))
		return SYNDROME_NAK_ACCESS;
	if (!responses_have_room(responder))
		return NO_ANSWER;
	save(qp, packet, read_packets(qp, packet));
	responder->msn++;
	responses_owe_read(qp, packet, false);
	return SYNDROME_ACK;
}

__attribute__((no_sanitize_thread)) static uint64_t do_atomic(
        uint64_t *word, const struct packet *packet)
{
	uint64_t original = packet->atomic.compare;

	if ((packet->opcode & OP_MASK) == OP_FETCH_ADD)
		return __atomic_fetch_add(word, packet->atomic.swap_or_add, __ATOMIC_SEQ_CST);
	__atomic_compare_exchange_n(word, &original, packet->atomic.swap_or_add, false,
	        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return original;
}

static uint8_t execute_atomic(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	struct saved_request *saved;
	uint8_t *memory;

	if (!remote_may(qp, IBV_ACCESS_REMOTE_ATOMIC) || packet->atomic.address % sizeof(uint64_t))
		return SYNDROME_NAK_INVALID_REQUEST;
	if (responses_reads_owed(responder) >= qp->attr.max_dest_rd_atomic)
		return SYNDROME_NAK_INVALID_REQUEST;
	memory = responder_resolve(qp, qp->responder.pd, packet->atomic.rkey,
	        packet->atomic.address, sizeof(uint64_t), IBV_ACCESS_REMOTE_ATOMIC);
	if (!memory || (uintptr_t)memory % sizeof(uint64_t))
		return SYNDROME_NAK_ACCESS;
	if (!responses_have_room(responder))
		return NO_ANSWER;
	saved = save(qp, packet, 1);
	saved->original = do_atomic((uint64_t *)(void *)memory, packet);
	responder->msn++;
	responses_owe_atomic(qp, saved, false);
	return SYNDROME_ACK;
}

/* IBA 9.7.4.1: may this operation follow the one before? */
static bool is_in_sequence(const struct queue_pair *qp, const struct packet *packet)
{
	uint16_t is = packet_is(packet);
	uint16_t message = qp->responder.message;

	if (!(is & IS_REQUEST))
		return false;
	if (is & IS_FIRST)
		return !message;
	/* All packets of a message are for one SRQ. */
	return message && message == (is & (IS_SEND | IS_WRITE)) &&
	       packet->srqn == qp->responder.srqn;
}

static uint8_t execute(struct queue_pair *qp, const struct packet *packet)
{
	uint16_t is = packet_is(packet);

	if (!qp->responder.queue || !is_in_sequence(qp, packet) ||
	        !responder_payload_fits(qp, packet))
		return SYNDROME_NAK_INVALID_REQUEST;
	if (is & IS_FIRST) {
		qp->responder.received = 0;
		qp->responder.srqn = packet->srqn;
	}
	if (is & IS_SEND)
		return execute_send(qp, packet);
	if (is & IS_WRITE)
		return responder_execute_write(qp, packet);
	return is & IS_READ ? execute_read(qp, packet) : execute_atomic(qp, packet);
}

/* ---- sequence ---- */

static void executed(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	uint16_t is = packet_is(packet);

	if (is & (IS_READ | IS_ATOMIC)) {
		responder->expected_psn =
		        psn_add(packet->psn, is & IS_READ ? read_packets(qp, packet) : 1);
		return;
	}
	responder->expected_psn = psn_add(packet->psn, 1);
	responder->message = is & IS_LAST ? 0 : is & (IS_SEND | IS_WRITE);
	if (is & IS_LAST)
		responder->msn++;
	if (packet->ack_request)
		responses_owe_ack(qp, packet->psn);
}

static void refused(struct queue_pair *qp, uint8_t syndrome)
{
	responses_owe_nak(qp, syndrome);
	if ((syndrome & SYNDROME_KIND) == SYNDROME_RNR_NAK) {
		qp->responder.nak_sent = qp->responder.lacks_receive = true;
		return;
	}
	qp->host->event(qp, syndrome == SYNDROME_NAK_ACCESS      ? IBV_EVENT_QP_ACCESS_ERR
	                    : syndrome == SYNDROME_NAK_OPERATION ? IBV_EVENT_QP_FATAL
	                                                         : IBV_EVENT_QP_REQ_ERR);
	queue_pair_fail(qp);
}

static struct saved_request *find_saved(
        struct queue_pair *qp, const struct packet *packet, uint32_t packets)
{
	bool is_atomic = packet_is(packet) & IS_ATOMIC;

	for (uint32_t i = 0; i < QUEUE_PAIR_MAX_READS; i++) {
		struct saved_request *saved = &qp->responder.saved[i];
		int32_t from = psn_distance(packet->psn, saved->psn);

		if (saved->valid && saved->is_atomic == is_atomic && from >= 0 &&
		        (uint32_t)from + packets == saved->packets)
			return saved;
	}
	return NULL;
}

/* IBA 9.7.1.1 and 9.7.5.1.4: executed before; only the answer is given again. */
static void repeated(struct queue_pair *qp, const struct packet *packet)
{
	uint16_t is = packet_is(packet);
	uint32_t packets = is & IS_READ ? read_packets(qp, packet) : 1;
	struct saved_request *saved;

	if (!(is & (IS_READ | IS_ATOMIC))) {
		responses_owe_ack(qp, psn_add(qp->responder.expected_psn, PACKET_PSN_MASK));
		return;
	}
	saved = find_saved(qp, packet, packets);
	if (!saved || responses_are_owed(qp, packet->psn) || !responses_have_room(&qp->responder))
		return;
	if (is & IS_ATOMIC)
		responses_owe_atomic(qp, saved, true);
	/* A late copy of a READ that ended long ago must not bring the queue pair down. */
	else if (may_read(qp, packet))
		responses_owe_read(qp, packet, true);
}

void responder_hear(struct queue_pair *qp)
{
	bool is_first = !qp->responder.heard;

	qp->responder.heard = true;
	if (is_first && qp->state == IBV_QPS_RTR)
		qp->host->event(qp, IBV_EVENT_COMM_EST);
}

void responder_receive(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;
	int32_t distance = psn_distance(packet->psn, responder->expected_psn);
	uint8_t syndrome;

	responder_hear(qp);
	if (distance > 0) {
		if (!responder->nak_sent)
			responses_owe_nak(qp, SYNDROME_NAK_SEQUENCE);
		responder->nak_sent = true;
		return;
	}
	xrc_use_srq_of_packet(qp, packet);
	if (distance < 0) {
		repeated(qp, packet);
		return;
	}
	responder->nak_sent = responder->lacks_receive = false;
	syndrome = execute(qp, packet);
	if (syndrome == SYNDROME_ACK || syndrome == KEY_STAYS)
		executed(qp, packet);
	else if (syndrome != NO_ANSWER)
		refused(qp, syndrome);
	if (syndrome == KEY_STAYS) {
		qp->host->event(qp, IBV_EVENT_QP_ACCESS_ERR);
		queue_pair_fail(qp);
	}
}
