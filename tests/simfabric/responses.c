/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/responses.h"

#include <string.h>

#include "simfabric/responder.h"
#include "simfabric/scatter_gather.h"

uint8_t *responder_resolve(const struct queue_pair *qp, const void *pd, uint32_t rkey,
        uint64_t address, uint64_t length, unsigned access)
{
	struct memory_keys *keys = qp->host->keys;
	uint8_t *memory = memory_keys_resolve(keys, pd, rkey, address, length, access);

	return memory ? memory
	              : memory_keys_resolve(keys, &qp->windows, rkey, address, length, access);
}

/* ---- owed ---- */

static struct response *response_at(struct responder *responder, uint32_t counter)
{
	return &responder->responses[counter % RESPONSE_QUEUE_SIZE];
}

bool responses_have_room(const struct responder *responder)
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
void responses_owe_ack(struct queue_pair *qp, uint32_t psn)
{
	struct responder *responder = &qp->responder;
	struct response *last = response_at(responder, responder->response_tail - 1);

	if (responder->response_head != responder->response_tail && last->kind == RESPONSE_ACK &&
	        last->syndrome == SYNDROME_ACK) {
		last->psn = psn;
		last->msn = responder->msn;
	} else if (responses_have_room(responder)) {
		owe(qp, RESPONSE_ACK, psn);
	}
}

void responses_owe_nak(struct queue_pair *qp, uint8_t syndrome)
{
	struct responder *responder = &qp->responder;

	if (responder->response_tail - responder->response_head < RESPONSE_QUEUE_SIZE)
		owe(qp, RESPONSE_ACK, responder->expected_psn)->syndrome = syndrome;
}

uint32_t responses_reads_owed(struct responder *responder)
{
	uint32_t n = 0;

	for (uint32_t i = responder->response_head; i != responder->response_tail; i++) {
		const struct response *response = response_at(responder, i);

		n += response->kind != RESPONSE_ACK && !response->is_repeat;
	}
	return n;
}

void responses_owe_read(struct queue_pair *qp, const struct packet *packet, bool is_repeat)
{
	struct response *response = owe(qp, RESPONSE_READ, packet->psn);

	response->is_repeat = is_repeat;
	response->rkey = packet->reth.rkey;
	response->address = packet->reth.address;
	response->length = packet->reth.length;
	response->pd = qp->responder.pd;
}

void responses_owe_atomic(struct queue_pair *qp, const struct saved_request *saved, bool is_repeat)
{
	struct response *response = owe(qp, RESPONSE_ATOMIC, saved->psn);

	response->is_repeat = is_repeat;
	response->original = saved->original;
}

bool responses_are_owed(struct queue_pair *qp, uint32_t psn)
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

/* ---- sent ---- */

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
		memory = responder_resolve(qp, response->pd, response->rkey,
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
