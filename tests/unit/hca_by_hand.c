/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hca_by_hand.h"

int hand_open(void **state)
{
	struct pair_options options = pair_default;
	struct pair *pair;

	options.first_psn = FIRST_PSN;
	options.reads = 2;
	pair = pair_open(&options);
	*state = pair;
	return 0;
}

int hand_close(void **state)
{
	pair_close(*state);
	return 0;
}

struct packet hand_request(struct pair *pair, uint8_t op, uint32_t psn)
{
	struct packet packet = {.opcode = op,
	        .slid = pair_lid(0),
	        .dlid = pair_lid(1),
	        .dest_qpn = 0x101,
	        .psn = psn,
	        .ack_request = 1};

	if (packet_traits[op] & IS_WRITE)
		packet.reth.length = 3 * BYTES;
	packet.reth.address = pair->end[1].region.address + FAR;
	packet.reth.rkey = pair->end[1].region.key;
	if (!(packet_traits[op] & (IS_LAST | IS_READ | IS_ATOMIC)))
		packet.payload_length = BYTES;
	return packet;
}

struct packet hand_response(uint8_t op, uint32_t psn, uint8_t syndrome)
{
	return (struct packet){.opcode = op,
	        .slid = pair_lid(1),
	        .dlid = pair_lid(0),
	        .dest_qpn = 0x100,
	        .psn = psn,
	        .aeth = {.syndrome = syndrome}};
}

void hand_give(struct pair *pair, int end, const struct packet *packet)
{
	queue_pair_receive(&pair->end[end].qp, packet);
}

void hand_give_request(struct pair *pair, uint8_t op, uint32_t psn)
{
	struct packet packet = hand_request(pair, op, psn);

	hand_give(pair, 1, &packet);
}

void hand_give_response(struct pair *pair, uint8_t op, uint32_t psn, uint8_t syndrome)
{
	struct packet packet = hand_response(op, psn, syndrome);

	hand_give(pair, 0, &packet);
}

struct packet *hand_next(struct pair *pair)
{
	static struct packet packet;

	pair_transmit(pair);
	assert_true(pair->on_wire > 0);
	packet = *pair->wire[0].packet;
	free(pair->wire[0].packet);
	memmove(pair->wire, pair->wire + 1, --pair->on_wire * sizeof(pair->wire[0]));
	return &packet;
}

void hand_assert_silent(struct pair *pair)
{
	pair_transmit(pair);
	assert_int_equal(pair->on_wire, 0);
}

void hand_assert_answered(struct pair *pair, uint32_t psn, uint8_t syndrome)
{
	const struct packet *packet = hand_next(pair);

	assert_int_equal(packet->opcode, OP_ACKNOWLEDGE);
	assert_int_equal(packet->psn, psn);
	assert_int_equal(packet->aeth.syndrome, syndrome);
}
