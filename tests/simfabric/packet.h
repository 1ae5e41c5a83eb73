/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A data packet of the simulated fabric: the fields of LRH, BTH and the extended headers that
 * InfiniBand carries (IBA 9.2 to 9.3), decoded, and up to one MTU of payload. It lies in shared
 * memory, in the packet ring of the process that receives it. Whoever reserved its place writes it,
 * whoever owns the ring reads it, and never both at once.
 */
#ifndef SIMFABRIC_PACKET_H
#define SIMFABRIC_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include <infiniband/verbs.h>

enum {
	PACKET_MTU_MAX = 4096,
	PACKET_PSN_MASK = 0xffffff,
};

/* BTH opcode (IBA table 38): transport in the upper three bits, operation in the lower five. */
enum packet_transport {
	TRANSPORT_RC = 0x00,
	TRANSPORT_UC = 0x20,
	TRANSPORT_UD = 0x60,
	TRANSPORT_XRC = 0xa0,
	TRANSPORT_MASK = 0xe0,
};

enum packet_operation {
	OP_SEND_FIRST = 0x00,
	OP_SEND_MIDDLE = 0x01,
	OP_SEND_LAST = 0x02,
	OP_SEND_LAST_IMM = 0x03,
	OP_SEND_ONLY = 0x04,
	OP_SEND_ONLY_IMM = 0x05,
	OP_WRITE_FIRST = 0x06,
	OP_WRITE_MIDDLE = 0x07,
	OP_WRITE_LAST = 0x08,
	OP_WRITE_LAST_IMM = 0x09,
	OP_WRITE_ONLY = 0x0a,
	OP_WRITE_ONLY_IMM = 0x0b,
	OP_READ_REQUEST = 0x0c,
	OP_READ_RESPONSE_FIRST = 0x0d,
	OP_READ_RESPONSE_MIDDLE = 0x0e,
	OP_READ_RESPONSE_LAST = 0x0f,
	OP_READ_RESPONSE_ONLY = 0x10,
	OP_ACKNOWLEDGE = 0x11,
	OP_ATOMIC_ACKNOWLEDGE = 0x12,
	OP_COMPARE_SWAP = 0x13,
	OP_FETCH_ADD = 0x14,
	OP_SEND_LAST_INVALIDATE = 0x16,
	OP_SEND_ONLY_INVALIDATE = 0x17,
	OP_MASK = 0x1f,
};

/* AETH syndrome (IBA 9.7.5.1, table 45). */
enum packet_syndrome {
	SYNDROME_ACK = 0x1f, /* without end-to-end credits */
	SYNDROME_RNR_NAK = 0x20,
	SYNDROME_NAK_SEQUENCE = 0x60,
	SYNDROME_NAK_INVALID_REQUEST = 0x61,
	SYNDROME_NAK_ACCESS = 0x62,
	SYNDROME_NAK_OPERATION = 0x63,
	SYNDROME_KIND = 0xe0,
	SYNDROME_RNR_TIMER = 0x1f,
};

struct packet {
	uint8_t opcode;
	uint8_t sl;
	uint8_t solicited;
	uint8_t ack_request;
	uint16_t slid, dlid;
	uint16_t pkey;
	uint16_t payload_length;
	uint32_t dest_qpn;
	uint32_t src_qpn; /* on the wire only in UD's DETH; here always, for the fault injector */
	uint8_t has_grh;
	uint32_t psn;
	uint32_t srqn;          /* XRCETH: the SRQ that a request of XRC is for */
	uint32_t message_index; /* packets of this message before this one; not on a real wire */
	union {
		__be32 imm_data;
		uint32_t invalidate_rkey;
	};
	union {
		struct {
			uint64_t address;
			uint32_t rkey;
			uint32_t length;
		} reth;
		struct {
			uint64_t address;
			uint32_t rkey;
			uint64_t swap_or_add;
			uint64_t compare;
		} atomic;
		struct {
			uint64_t original;
			uint32_t msn;
			uint8_t syndrome;
		} aeth;
		struct {
			uint32_t qkey;
		} deth;
	};
	struct ibv_grh grh;
	uint8_t payload[PACKET_MTU_MAX] __attribute__((aligned(64)));
};

/* What an operation is, by bits: OP_IS[opcode & OP_MASK]. */
enum packet_trait {
	IS_REQUEST = 1 << 0,
	IS_SEND = 1 << 1,
	IS_WRITE = 1 << 2,
	IS_READ = 1 << 3, /* request or response */
	IS_ATOMIC = 1 << 4,
	IS_FIRST = 1 << 5, /* begins a message ("only" begins and ends it) */
	IS_LAST = 1 << 6,
	HAS_IMM = 1 << 7,
	HAS_INVALIDATE = 1 << 8,
	IS_RESPONSE = 1 << 9,
};

extern const uint16_t packet_traits[OP_MASK + 1];

static inline uint16_t packet_is(const struct packet *packet)
{
	return packet_traits[packet->opcode & OP_MASK];
}

/* The distance from @b to @a on the circle of 24-bit numbers: negative where @a is before @b. */
static inline int32_t psn_distance(uint32_t a, uint32_t b)
{
	return (int32_t)((a - b) << 8) >> 8;
}

static inline uint32_t psn_add(uint32_t psn, uint32_t n)
{
	return (psn + n) & PACKET_PSN_MASK;
}

#endif
