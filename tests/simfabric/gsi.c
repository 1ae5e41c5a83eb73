/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * General management packets: along the LFTs, as data, to the PerfMgt agent or to the client that
 * takes their class and method. An RMPP message goes as a whole, as agents that leave RMPP to the
 * kernel send and expect it.
 */
#include <endian.h>
#include <string.h>

#include "simfabric/counters.h"
#include "simfabric/forward.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/mailbox.h"
#include "simfabric/perf_agent.h"
#include "simfabric/topology.h"

enum { QP1 = 1, LOCAL_AND_MAD_BYTES = 288, RMPP_TYPE_DATA = 1 };

static uint32_t packets_of(const struct mad_packet *packet)
{
	unsigned header = rmpp_header_bytes(packet->mad[MAD_CLASS]);

	if (packet->bytes <= MAD_BYTES)
		return 1;
	return (packet->bytes - header + MAD_BYTES - header - 1) / (MAD_BYTES - header);
}

/* The first segment's header, as the receiver's kernel would have put the message together. */
static void complete_rmpp_header(const struct mad_packet *packet)
{
	unsigned header = rmpp_header_bytes(packet->mad[MAD_CLASS]);
	uint32_t segments = packets_of(packet), data = packet->bytes - header;
	uint8_t *mad = (uint8_t *)packet->mad;

	mad[RMPP_VERSION] = 1;
	mad[RMPP_TYPE] = RMPP_TYPE_DATA;
	mad[RMPP_FLAGS] |= RMPP_ACTIVE | RMPP_FIRST | (segments == 1 ? RMPP_LAST : 0);
	mad_set32(mad, RMPP_SEGMENT, 1);
	mad_set32(mad, RMPP_PAYLOAD_LENGTH, data + segments * (header - RMPP_HEADER_END));
}

static bool answer(struct fabric *fabric, const struct mad_packet *packet, uint32_t port,
        const uint8_t mad[MAD_BYTES])
{
	struct ib_mad_addr from = mad_address_of(fabric, port, &packet->to);
	uint16_t lid = port_lid(&fabric->ports[packet->origin.port]);
	uint32_t to;

	if (mad_is_dropped(fabric, packet->mad, fabric->ports[port].node, MAD_RESPONSE))
		return false;
	if (forward_data(fabric, port, lid, 1, LOCAL_AND_MAD_BYTES, &to, NULL) ||
	        to != packet->origin.port)
		return false;
	return mad_deliver(fabric, &packet->origin, &from, mad, MAD_BYTES, !packet->is_late);
}

static bool perf_answers(struct fabric *fabric, const struct mad_packet *packet, uint32_t port)
{
	uint8_t mad[MAD_BYTES];

	memcpy(mad, packet->mad, sizeof(mad));
	return perf_agent_handle(fabric, port, mad) && answer(fabric, packet, port, mad);
}

/* What a host's driver says where no agent takes a Get or Set; a switch says nothing. */
static bool refuse(struct fabric *fabric, const struct mad_packet *packet, uint32_t port)
{
	uint8_t mad[MAD_BYTES];

	if (!mad_is_get_or_set(packet->mad) || packet->is_rmpp ||
	        node_is_switch(&fabric->nodes[fabric->ports[port].node]))
		return false;
	memcpy(mad, packet->mad, sizeof(mad));
	mad[MAD_METHOD] = METHOD_GET_RESPONSE;
	mad_set16(mad, MAD_STATUS, STATUS_BAD_METHOD_ATTRIBUTE);
	return answer(fabric, packet, port, mad);
}

/* True: somebody at @port has it. */
static bool deliver(struct fabric *fabric, const struct mad_packet *packet, uint32_t port)
{
	struct ib_mad_addr from = mad_address_of(fabric, packet->origin.port, &packet->to);
	struct mad_origin to = {.port = port};
	const uint8_t *mad = packet->mad;
	bool is_known = mad_is_response(mad)
	                        ? agent_of_response(fabric, port, mad_get64(mad, MAD_TID),
	                                  &to.mailbox, &to.agent)
	                        : agent_of_request(
	                                  fabric, port, mad, packet->bytes, &to.mailbox, &to.agent);

	if (!is_known)
		return false;
	to.generation = mailbox_at(fabric, to.mailbox)->generation;
	/* An agent that does RMPP itself would get segments, and they are not made here. */
	if (packet->is_rmpp && !mailbox_at(fabric, to.mailbox)->agents[to.agent].rmpp_version)
		return false;
	return mad_deliver(fabric, &to, &from, mad, packet->bytes, false);
}

static bool is_dropped(struct fabric *fabric, const struct mad_packet *packet, uint32_t port)
{
	struct gmp_counts *counts = counters_of_gmp(fabric, packet->mad);
	bool is_lost = mad_is_dropped(fabric, packet->mad, fabric->ports[port].node, MAD_REQUEST);

	if (counts)
		counts->dropped += is_lost;
	return is_lost;
}

bool gsi_arrive(struct fabric *fabric, const struct mad_packet *packet)
{
	uint32_t packets = packets_of(packet), port;
	bool is_answered, is_delivered;

	if (be32toh(packet->to.qpn) != QP1 ||
	        forward_data(fabric, packet->origin.port, be16toh(packet->to.lid), packets,
	                (uint64_t)packets * LOCAL_AND_MAD_BYTES, &port, NULL) ||
	        is_dropped(fabric, packet, port)) {
		counters_gmp(fabric, packet->mad, false);
		return false;
	}
	if (packet->mad[MAD_CLASS] == CLASS_PERF && mad_is_get_or_set(packet->mad)) {
		counters_gmp(fabric, packet->mad, true);
		return perf_answers(fabric, packet, port);
	}
	is_delivered = deliver(fabric, packet, port);
	counters_gmp(fabric, packet->mad, is_delivered);
	is_answered = !is_delivered && refuse(fabric, packet, port);
	return is_answered;
}

/* True: it arrives later. */
static bool is_kept_back(
        struct fabric *fabric, const struct mad_packet *packet, uint32_t node, unsigned hops)
{
	struct gmp_counts *counts = counters_of_gmp(fabric, packet->mad);
	bool is_doubled = mad_is_duplicated(fabric, packet, node, hops);
	bool is_delayed = mad_is_delayed(fabric, packet, node, hops);

	if (counts) {
		counts->duplicated += is_doubled;
		counts->delayed += is_delayed;
	}
	return is_delayed;
}

int gsi_send(struct fabric *fabric, const struct mad_packet *packet, bool *is_answered)
{
	uint16_t dlid = be16toh(packet->to.lid);
	unsigned hops;
	uint32_t to;

	if (packet->is_rmpp)
		complete_rmpp_header(packet);
	if (mad_fault_row(fabric, 0) &&
	        !forward_unicast(fabric, packet->origin.port, dlid, &to, &hops) &&
	        is_kept_back(fabric, packet, fabric->ports[to].node, hops))
		return 0;
	*is_answered = gsi_arrive(fabric, packet);
	return 0;
}
