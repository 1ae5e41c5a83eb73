/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "simfabric/responder.h"
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
	responder->skips = false;
	responder->received = 0;
	responder->saved_next = 0;
	memset(responder->saved, 0, sizeof(responder->saved));
	responder->response_head = responder->response_tail = 0;
}

/* ---- answers owed ---- */

static struct response *response_at(struct responder *responder, uint32_t counter)
{
	return &responder->responses[counter % RESPONSE_QUEUE_SIZE];
}

static bool can_owe(const struct responder *responder)
{
	/* One place stays free for a NAK, which must not be lost: it is sent once. */
	return responder->response_tail - responder->response_head < RESPONSE_QUEUE_SIZE - 1;
}

static struct response *owe(struct queue_pair *qp, enum response_kind kind, uint32_t psn)
{
	struct responder *responder = &qp->responder;
	struct response *response = response_at(responder, responder->response_tail++);

	memset(response, 0, sizeof(*response));
	response->kind = (uint8_t)kind;
	response->psn = psn;
	response->msn = responder->msn;
	response->syndrome = SYNDROME_ACK;
	qp->host->ready(qp);
	return response;
}

/* One acknowledgement covers all before it (IBA 9.7.5.1.2), so the youngest one grows. */
static void owe_ack(struct queue_pair *qp, uint32_t psn)
{
	struct responder *responder = &qp->responder;
	struct response *last = response_at(responder, responder->response_tail - 1);

	if (responder->response_head != responder->response_tail && last->kind == RESPONSE_ACK &&
	        last->syndrome == SYNDROME_ACK) {
		last->psn = psn;
		last->msn = responder->msn;
	} else if (can_owe(responder)) {
		owe(qp, RESPONSE_ACK, psn);
	}
}

static void owe_nak(struct queue_pair *qp, uint8_t syndrome)
{
	struct responder *responder = &qp->responder;

	if (responder->response_tail - responder->response_head < RESPONSE_QUEUE_SIZE)
		owe(qp, RESPONSE_ACK, responder->expected_psn)->syndrome = syndrome;
}

static uint32_t reads_owed(struct responder *responder)
{
	uint32_t n = 0;

	for (uint32_t i = responder->response_head; i != responder->response_tail; i++) {
		const struct response *response = response_at(responder, i);

		n += response->kind != RESPONSE_ACK && !response->is_repeat;
	}
	return n;
}

/* ---- receives ---- */

bool responder_take_receive(struct queue_pair *qp)
{
	struct responder *responder = &qp->responder;

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

/* An rkey is good in the PD, or if a window of type 2 has it for this queue pair. */
static uint8_t *resolve(const struct queue_pair *qp, const void *pd, uint32_t rkey,
        uint64_t address, uint64_t length, unsigned access)
{
	struct memory_keys *keys = qp->host->keys;
	uint8_t *memory = memory_keys_resolve(keys, pd, rkey, address, length, access);

	return memory ? memory
	              : memory_keys_resolve(keys, &qp->windows, rkey, address, length, access);
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
	        !resolve(qp, qp->responder.pd, packet->reth.rkey, packet->reth.address,
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
		memory = resolve(qp, qp->responder.pd, responder->write.rkey,
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

static void owe_read(struct queue_pair *qp, const struct packet *packet, bool is_repeat)
{
	struct response *response = owe(qp, RESPONSE_READ, packet->psn);

	response->is_repeat = is_repeat;
	response->rkey = packet->reth.rkey;
	response->address = packet->reth.address;
	response->length = packet->reth.length;
	response->pd = qp->responder.pd;
}

static void owe_atomic(struct queue_pair *qp, const struct saved_request *saved, bool is_repeat)
{
	struct response *response = owe(qp, RESPONSE_ATOMIC, saved->psn);

	response->is_repeat = is_repeat;
	response->original = saved->original;
}

static uint32_t read_packets(const struct queue_pair *qp, const struct packet *packet)
{
	return packet->reth.length ? (packet->reth.length + qp->mtu - 1) / qp->mtu : 1;
}

static bool may_read(const struct queue_pair *qp, const struct packet *packet)
{
	return !packet->reth.length ||
	       resolve(qp, qp->responder.pd, packet->reth.rkey, packet->reth.address,
	               packet->reth.length, IBV_ACCESS_REMOTE_READ);
}

static uint8_t execute_read(struct queue_pair *qp, const struct packet *packet)
{
	struct responder *responder = &qp->responder;

	if (!remote_may(qp, IBV_ACCESS_REMOTE_READ) || packet->reth.length > QUEUE_PAIR_MAX_MESSAGE)
		return SYNDROME_NAK_INVALID_REQUEST;
	if (reads_owed(responder) >= qp->attr.max_dest_rd_atomic)
		return SYNDROME_NAK_INVALID_REQUEST;
	if (!may_read(qp, packet))
		return SYNDROME_NAK_ACCESS;
	if (!can_owe(responder))
		return NO_ANSWER;
	save(qp, packet, read_packets(qp, packet));
	responder->msn++;
	owe_read(qp, packet, false);
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
	if (reads_owed(responder) >= qp->attr.max_dest_rd_atomic)
		return SYNDROME_NAK_INVALID_REQUEST;
	memory = resolve(qp, qp->responder.pd, packet->atomic.rkey, packet->atomic.address,
	        sizeof(uint64_t), IBV_ACCESS_REMOTE_ATOMIC);
	if (!memory || (uintptr_t)memory % sizeof(uint64_t))
		return SYNDROME_NAK_ACCESS;
	if (!can_owe(responder))
		return NO_ANSWER;
	saved = save(qp, packet, 1);
	saved->original = do_atomic((uint64_t *)(void *)memory, packet);
	responder->msn++;
	owe_atomic(qp, saved, false);
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
		owe_ack(qp, packet->psn);
}

static void refused(struct queue_pair *qp, uint8_t syndrome)
{
	owe_nak(qp, syndrome);
	if ((syndrome & SYNDROME_KIND) == SYNDROME_RNR_NAK) {
		qp->responder.nak_sent = true;
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

/* An answer from @psn on is owed anyhow: the request was repeated on the wire or too early. */
static bool is_owed(struct queue_pair *qp, uint32_t psn)
{
	struct responder *responder = &qp->responder;

	for (uint32_t i = responder->response_head; i != responder->response_tail; i++) {
		const struct response *response = response_at(responder, i);
		uint32_t next = psn_add(response->psn, (uint32_t)(response->sent / qp->mtu));
		uint64_t left = response->length - response->sent;
		uint32_t packets = left ? (uint32_t)((left + qp->mtu - 1) / qp->mtu) : 1;

		if (response->kind != RESPONSE_ACK && psn_distance(psn, next) >= 0 &&
		        psn_distance(psn, psn_add(next, packets)) < 0)
			return true;
	}
	return false;
}

/* IBA 9.7.1.1 and 9.7.5.1.4: executed before; only the answer is given again. */
static void repeated(struct queue_pair *qp, const struct packet *packet)
{
	uint16_t is = packet_is(packet);
	uint32_t packets = is & IS_READ ? read_packets(qp, packet) : 1;
	struct saved_request *saved;

	if (!(is & (IS_READ | IS_ATOMIC))) {
		owe_ack(qp, psn_add(qp->responder.expected_psn, PACKET_PSN_MASK));
		return;
	}
	saved = find_saved(qp, packet, packets);
	if (!saved || is_owed(qp, packet->psn) || !can_owe(&qp->responder))
		return;
	if (is & IS_ATOMIC)
		owe_atomic(qp, saved, true);
	/* A late copy of a READ that ended long ago must not bring the queue pair down. */
	else if (may_read(qp, packet))
		owe_read(qp, packet, true);
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
			owe_nak(qp, SYNDROME_NAK_SEQUENCE);
		responder->nak_sent = true;
		return;
	}
	xrc_use_srq_of_packet(qp, packet);
	if (distance < 0) {
		repeated(qp, packet);
		return;
	}
	responder->nak_sent = false;
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

/* ---- sending ---- */

static void write_header(struct queue_pair *qp, const struct response *response,
        struct packet *packet, uint8_t op, uint32_t psn)
{
	packet->opcode = qp->transport | op;
	packet->psn = psn;
	packet->message_index = (uint32_t)psn_distance(psn, response->psn);
	packet->solicited = packet->ack_request = 0;
	packet->payload_length = 0;
	packet->aeth.syndrome = response->syndrome;
	packet->aeth.msn = response->msn;
	packet->aeth.original = response->original;
}

static bool send_read_data(struct queue_pair *qp, struct response *response, struct packet *packet)
{
	static const uint8_t op[2][2] = {
	        {OP_READ_RESPONSE_MIDDLE, OP_READ_RESPONSE_LAST},
	        {OP_READ_RESPONSE_FIRST, OP_READ_RESPONSE_ONLY},
	};
	uint64_t left = response->length - response->sent;
	uint32_t bytes = (uint32_t)(left < qp->mtu ? left : qp->mtu);
	uint32_t psn = psn_add(response->psn, (uint32_t)(response->sent / qp->mtu));
	const uint8_t *memory;

	write_header(qp, response, packet, op[!response->sent][bytes == left], psn);
	packet->payload_length = (uint16_t)bytes;
	if (bytes) {
		memory = resolve(qp, response->pd, response->rkey,
		        response->address + response->sent, bytes, IBV_ACCESS_REMOTE_READ);
		if (!memory)
			return false;
		dma_copy(packet->payload, memory, bytes);
	}
	response->sent += bytes;
	return true;
}

/* The memory of a READ that was accepted has been taken away since. */
static void give_up_read(struct queue_pair *qp, struct response *response)
{
	struct responder *responder = &qp->responder;

	if (response->is_repeat) {
		responder->response_head++;
		return;
	}
	response->psn = psn_add(response->psn, (uint32_t)(response->sent / qp->mtu));
	response->kind = RESPONSE_ACK;
	response->syndrome = SYNDROME_NAK_ACCESS;
	responder->response_tail = responder->response_head + 1;
	qp->host->event(qp, IBV_EVENT_QP_ACCESS_ERR);
	queue_pair_fail(qp);
}

enum sent responder_send(struct queue_pair *qp)
{
	struct responder *responder = &qp->responder;
	struct response *response;
	struct packet *packet;

	if (responder->response_head == responder->response_tail)
		return NOTHING_TO_SEND;
	packet = qp->host->reserve(qp, qp->attr.ah_attr.dlid, qp->attr.dest_qp_num);
	if (!packet)
		return NO_ROOM;
	response = response_at(responder, responder->response_head);
	if (response->kind != RESPONSE_READ) {
		write_header(qp, response, packet,
		        response->kind == RESPONSE_ACK ? OP_ACKNOWLEDGE : OP_ATOMIC_ACKNOWLEDGE,
		        response->psn);
	} else if (!send_read_data(qp, response, packet)) {
		qp->host->discard(qp, packet);
		give_up_read(qp, response);
		return responder_send(qp);
	}
	qp->host->send(qp, packet);
	if (response->kind != RESPONSE_READ || response->sent == response->length)
		responder->response_head++;
	return SENT;
}
