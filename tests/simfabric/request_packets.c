/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/request_packets.h"

#include <string.h>

#include "simfabric/scatter_gather.h"

static const struct {
	uint8_t completion; /* enum ibv_wc_opcode */
	uint16_t is;        /* traits that its packets have */
} operations[] = {
        [IBV_WR_SEND] = {IBV_WC_SEND, IS_SEND},
        [IBV_WR_SEND_WITH_IMM] = {IBV_WC_SEND, IS_SEND | HAS_IMM},
        [IBV_WR_SEND_WITH_INV] = {IBV_WC_SEND, IS_SEND | HAS_INVALIDATE},
        [IBV_WR_RDMA_WRITE] = {IBV_WC_RDMA_WRITE, IS_WRITE},
        [IBV_WR_RDMA_WRITE_WITH_IMM] = {IBV_WC_RDMA_WRITE, IS_WRITE | HAS_IMM},
        [IBV_WR_RDMA_READ] = {IBV_WC_RDMA_READ, IS_READ},
        [IBV_WR_ATOMIC_CMP_AND_SWP] = {IBV_WC_COMP_SWAP, IS_ATOMIC},
        [IBV_WR_ATOMIC_FETCH_AND_ADD] = {IBV_WC_FETCH_ADD, IS_ATOMIC},
        [IBV_WR_LOCAL_INV] = {IBV_WC_LOCAL_INV, 0},
        [IBV_WR_BIND_MW] = {IBV_WC_BIND_MW, 0},
};

uint16_t work_is(const struct send_work *work)
{
	return operations[work->opcode].is;
}

enum ibv_wc_opcode work_completes_as(const struct send_work *work)
{
	return (enum ibv_wc_opcode)operations[work->opcode].completion;
}

static void write_header(
        struct queue_pair *qp, const struct send_work *work, struct packet *packet, uint8_t op)
{
	packet->opcode = qp->transport | op;
	packet->srqn = work->remote_srqn;
	packet->psn = qp->requester.next_psn;
	packet->message_index = (uint32_t)psn_distance(packet->psn, work->first_psn);
	packet->solicited = 0;
	packet->ack_request = 1;
	packet->payload_length = 0;
}

static void write_read(struct queue_pair *qp, const struct send_work *work, struct packet *packet)
{
	uint64_t done;

	write_header(qp, work, packet, OP_READ_REQUEST);
	done = (uint64_t)packet->message_index * qp->mtu;
	packet->reth.address = work->remote_address + done;
	packet->reth.rkey = work->rkey;
	packet->reth.length = (uint32_t)(work->length - done);
}

static void write_atomic(struct queue_pair *qp, const struct send_work *work, struct packet *packet)
{
	bool is_swap = work->opcode == IBV_WR_ATOMIC_CMP_AND_SWP;

	write_header(qp, work, packet, is_swap ? OP_COMPARE_SWAP : OP_FETCH_ADD);
	packet->atomic.address = work->remote_address;
	packet->atomic.rkey = work->rkey;
	packet->atomic.swap_or_add = is_swap ? work->swap : work->compare_add;
	packet->atomic.compare = work->compare_add;
}

static uint8_t message_operation(uint16_t is, bool first, bool last)
{
	static const uint8_t op[2][2][2] = {
	        /* write, first, last */
	        {{OP_SEND_MIDDLE, OP_SEND_LAST}, {OP_SEND_FIRST, OP_SEND_ONLY}},
	        {{OP_WRITE_MIDDLE, OP_WRITE_LAST}, {OP_WRITE_FIRST, OP_WRITE_ONLY}},
	};
	uint8_t plain = op[!!(is & IS_WRITE)][first][last];

	if (!last)
		return plain;
	if (is & HAS_INVALIDATE)
		return first ? OP_SEND_ONLY_INVALIDATE : OP_SEND_LAST_INVALIDATE;
	/* "with immediate" follows the plain opcode in both families. */
	return is & HAS_IMM ? plain + 1 : plain;
}

bool request_copy_payload(
        struct queue_pair *qp, const struct send_work *work, uint64_t offset, struct packet *packet)
{
	const struct buffer_list list = {qp->host->keys, qp->pd, work->sge, work->sge_count};

	if (!(work->flags & IBV_SEND_INLINE))
		return gather(&list, offset, packet->payload, packet->payload_length);
	memcpy(packet->payload, work->inline_data + offset, packet->payload_length);
	return true;
}

static bool write_message(
        struct queue_pair *qp, const struct send_work *work, struct packet *packet)
{
	uint32_t index = (uint32_t)psn_distance(qp->requester.next_psn, work->first_psn);
	bool last = index + 1 == work->packets;
	uint64_t offset = (uint64_t)index * qp->mtu;

	write_header(qp, work, packet, message_operation(work_is(work), index == 0, last));
	packet->ack_request = last || index % ACK_EVERY == ACK_EVERY - 1;
	packet->solicited = last && (work->flags & IBV_SEND_SOLICITED);
	packet->imm_data = work->imm_data;
	packet->payload_length = (uint16_t)(last ? work->length - offset : qp->mtu);
	if (!request_copy_payload(qp, work, offset, packet))
		return false;
	if (work_is(work) & IS_WRITE) {
		packet->reth.address = work->remote_address;
		packet->reth.rkey = work->rkey;
		packet->reth.length = (uint32_t)work->length;
	}
	return true;
}

bool request_write(struct queue_pair *qp, const struct send_work *work, struct packet *packet)
{
	if (work_is(work) & IS_READ)
		write_read(qp, work, packet);
	else if (work_is(work) & IS_ATOMIC)
		write_atomic(qp, work, packet);
	else
		return write_message(qp, work, packet);
	return true;
}
