/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Subnet management packets on their way (IBA 1.4, 14.2.2): directed routes with or without a
 * LID-routed part before and behind, and plain LID routes. SMPs act at once: the answer goes back
 * before the lock is given away.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "simfabric/fault_points.h"
#include "simfabric/forward.h"
#include "simfabric/mad_delivery.h"
#include "simfabric/mailbox.h"
#include "simfabric/sma.h"

enum { MAX_DR_HOPS = SMP_PATH_BYTES - 1 };

/* Where an SMP has come to. */
struct smp_place {
	uint32_t arrival; /* the port by which it came in */
	unsigned hops;
	uint32_t dr_first; /* a directed route: end port of the node where it begins and ends */
	uint32_t dr_last;
};

static bool is_directed(const uint8_t *mad)
{
	return mad[MAD_CLASS] == CLASS_SUBN_DR;
}

static bool is_returning(const uint8_t *mad)
{
	return is_directed(mad) && mad_get16(mad, MAD_STATUS) & STATUS_DIRECTION;
}

/* SMPs are for a switch's port 0, whichever port they come in by. */
static uint32_t end_port(const struct fabric *fabric, uint32_t port)
{
	const struct node *node = &fabric->nodes[fabric->ports[port].node];

	return node_is_switch(node) ? node->first_port : port;
}

/* One link, out of @at's node by port @number; NO_INDEX: there is none, or it is down. */
static uint32_t step(const struct fabric *fabric, uint32_t at, unsigned number)
{
	uint32_t out = number ? node_port(fabric, fabric->ports[at].node, number) : NO_INDEX;
	const struct port *port = out == NO_INDEX ? NULL : &fabric->ports[out];

	if (!port || port->peer == NO_INDEX || !port_is_up(port) ||
	        !port_is_up(&fabric->ports[port->peer]))
		return NO_INDEX;
	/* A CA does not pass SMPs from one of its ports to another. */
	if (!node_is_switch(&fabric->nodes[port->node]) && out != at)
		return NO_INDEX;
	return port->peer;
}

/* The LID-routed part from @from to @dlid; the place is where it comes out. */
static bool walk_lids(
        const struct fabric *fabric, uint32_t from, uint16_t dlid, struct smp_place *place)
{
	unsigned hops;
	uint32_t to;

	if (forward_smp(fabric, from, dlid, &to, &place->arrival, &hops))
		return false;
	place->hops += hops;
	return true;
}

/* The directed part, from the node that place->arrival is on; notes the way back in the MAD. */
static bool walk_directed(const struct fabric *fabric, uint8_t *mad, struct smp_place *place)
{
	unsigned count = mad[SMP_HOP_COUNT];
	uint32_t at = place->arrival;

	place->dr_first = end_port(fabric, at);
	for (unsigned i = 1; i <= count; i++) {
		if (i > 1 && !node_is_switch(&fabric->nodes[fabric->ports[at].node]))
			return false;
		at = step(fabric, at, mad[SMP_INITIAL_PATH + i]);
		if (at == NO_INDEX)
			return false;
		mad[SMP_RETURN_PATH + i] = fabric->ports[at].number;
	}
	mad[SMP_HOP_POINTER] = count + 1;
	place->dr_last = end_port(fabric, at);
	place->arrival = at;
	place->hops += count;
	return true;
}

static bool walk(const struct fabric *fabric, const struct mad_packet *packet, uint8_t *mad,
        struct smp_place *place)
{
	uint16_t dlid = be16toh(packet->to.lid);

	memset(place, 0, sizeof(*place));
	place->arrival = packet->origin.port;
	if (!is_directed(mad))
		return walk_lids(fabric, packet->origin.port, dlid, place);
	if (mad_get16(mad, SMP_DR_SLID) != LID_PERMISSIVE &&
	        !walk_lids(fabric, packet->origin.port, dlid, place))
		return false;
	if (!walk_directed(fabric, mad, place))
		return false;
	return mad_get16(mad, SMP_DR_DLID) == LID_PERMISSIVE ||
	       walk_lids(fabric, place->dr_last, mad_get16(mad, SMP_DR_DLID), place);
}

/*
 * Can the answer of the SMA at @place come back? The directed part can: it is the way out.
 * LID-routed parts have routes of their own.
 */
static bool can_return(const struct fabric *fabric, const struct mad_packet *packet,
        const uint8_t *mad, const struct smp_place *place)
{
	const struct port *origin = &fabric->ports[packet->origin.port];
	uint32_t end = end_port(fabric, place->arrival), to;

	if (!is_directed(mad))
		return !forward_smp(fabric, end, port_lid(origin), &to, NULL, NULL) &&
		       to == packet->origin.port;
	if (mad_get16(mad, SMP_DR_DLID) != LID_PERMISSIVE &&
	        forward_smp(fabric, end, port_lid(&fabric->ports[place->dr_last]), &to, NULL, NULL))
		return false;
	if (mad_get16(mad, SMP_DR_SLID) == LID_PERMISSIVE)
		return true;
	return !forward_smp(
	               fabric, place->dr_first, mad_get16(mad, SMP_DR_SLID), &to, NULL, NULL) &&
	       to == packet->origin.port;
}

/* @mad is the answer of the SMA at @place. */
static bool send_answer(struct fabric *fabric, const struct mad_packet *packet, uint8_t *mad,
        const struct smp_place *place)
{
	struct ib_mad_addr from = {.lid = htobe16(LID_PERMISSIVE)};
	uint32_t end = end_port(fabric, place->arrival);

	fault_point(smp_answered);
	if (!can_return(fabric, packet, mad, place))
		return false;
	if (is_directed(mad)) {
		mad[SMP_HOP_POINTER] = 0;
		mad_set16(mad, MAD_STATUS, mad_get16(mad, MAD_STATUS) | STATUS_DIRECTION);
	} else {
		from.lid = htobe16(port_lid(&fabric->ports[end]));
	}
	return mad_deliver(fabric, &packet->origin, &from, mad, MAD_BYTES, !packet->is_late);
}

/* To whoever of the clients at @port takes it; false: nobody does. */
static bool deliver_to_agent(struct fabric *fabric, const struct mad_packet *packet,
        const uint8_t *mad, uint32_t port, bool is_response)
{
	struct ib_mad_addr from = {.lid = htobe16(LID_PERMISSIVE)};
	struct mad_origin to = {.port = port};
	bool is_known = is_response ? agent_of_response(fabric, port, mad_get64(mad, MAD_TID),
	                                      &to.mailbox, &to.agent)
	                            : agent_of_request(
	                                      fabric, port, mad, MAD_BYTES, &to.mailbox, &to.agent);

	if (!is_known)
		return false;
	to.generation = mailbox_at(fabric, to.mailbox)->generation;
	if (!is_directed(mad))
		from.lid = htobe16(port_lid(&fabric->ports[packet->origin.port]));
	mad_deliver(fabric, &to, &from, mad, MAD_BYTES, false);
	return true;
}

/* What the host's driver says where no agent takes a request. */
static void refuse(uint8_t *mad)
{
	mad[MAD_METHOD] = METHOD_GET_RESPONSE;
	mad_set16(mad, MAD_STATUS, STATUS_BAD_METHOD_ATTRIBUTE);
}

/* @mad, now at @place, and what its SMA or its clients make of it. True: answered. */
static bool handle(struct fabric *fabric, const struct mad_packet *packet, uint8_t *mad,
        const struct smp_place *place)
{
	uint32_t end = end_port(fabric, place->arrival);
	uint32_t node = fabric->ports[end].node;
	uint16_t slid =
	        is_directed(mad) ? LID_PERMISSIVE : port_lid(&fabric->ports[packet->origin.port]);
	uint8_t request[MAD_HEADER_BYTES];
	enum sma_verdict verdict;

	memcpy(request, mad, sizeof(request));
	verdict = sma_handle(fabric, place->arrival, slid, mad);
	if (verdict == SMA_SILENT)
		return false;
	if (verdict == SMA_NOT_MINE) {
		counters_smp(fabric, node, mad_get16(mad, MAD_ATTRIBUTE), mad[MAD_METHOD],
		        (struct smp_effect){0});
		if (deliver_to_agent(fabric, packet, mad, end, mad_is_response(mad)) ||
		        !mad_is_get_or_set(mad))
			return false;
		refuse(mad);
	}
	if (mad_is_dropped(fabric, request, node, MAD_RESPONSE)) {
		counters_smp_dropped(fabric, node, mad_get16(mad, MAD_ATTRIBUTE));
		return false;
	}
	return send_answer(fabric, packet, mad, place);
}

bool smi_arrive(struct fabric *fabric, const struct mad_packet *packet)
{
	uint8_t mad[MAD_BYTES];
	struct smp_place place;
	uint32_t node;

	memcpy(mad, packet->mad, sizeof(mad));
	if (!walk(fabric, packet, mad, &place))
		return false;
	node = fabric->ports[place.arrival].node;
	if (mad_is_dropped(fabric, mad, node, MAD_REQUEST)) {
		counters_smp_dropped(fabric, node, mad_get16(mad, MAD_ATTRIBUTE));
		return false;
	}
	return handle(fabric, packet, mad, &place);
}

/* A client's own answer to a directed request goes the noted way back. */
static void send_back(struct fabric *fabric, const struct mad_packet *packet)
{
	uint8_t mad[MAD_BYTES];
	uint32_t at = packet->origin.port;

	memcpy(mad, packet->mad, sizeof(mad));
	/* Mixed routes back from a client would need the LID that the request came from. */
	if (mad_get16(mad, SMP_DR_DLID) != LID_PERMISSIVE)
		return;
	for (unsigned i = mad[SMP_HOP_COUNT]; i; i--) {
		if (i < mad[SMP_HOP_COUNT] &&
		        !node_is_switch(&fabric->nodes[fabric->ports[at].node]))
			return;
		at = step(fabric, at, mad[SMP_RETURN_PATH + i]);
		if (at == NO_INDEX)
			return;
	}
	mad[SMP_HOP_POINTER] = 0;
	at = end_port(fabric, at);
	if (mad_get16(mad, SMP_DR_SLID) != LID_PERMISSIVE &&
	        forward_smp(fabric, at, mad_get16(mad, SMP_DR_SLID), &at, NULL, NULL))
		return;
	deliver_to_agent(fabric, packet, mad, at, true);
}

/* As the kernel's SMI checks what a client wants to send. */
static int check(const struct fabric *fabric, const struct mad_packet *packet)
{
	const uint8_t *mad = packet->mad;
	uint8_t number = fabric->ports[packet->origin.port].number;

	if (packet->bytes != MAD_BYTES)
		return -EINVAL;
	if (!is_directed(mad))
		return 0;
	if (mad[SMP_HOP_COUNT] > MAX_DR_HOPS)
		return -EINVAL;
	if (is_returning(mad))
		return mad[SMP_HOP_POINTER] == mad[SMP_HOP_COUNT] + 1 ? 0 : -EINVAL;
	if (mad[SMP_HOP_POINTER])
		return -EINVAL;
	if (mad[SMP_HOP_COUNT] && mad_get16(mad, SMP_DR_SLID) == LID_PERMISSIVE &&
	        mad[SMP_INITIAL_PATH + 1] != number)
		return -EINVAL;
	return 0;
}

int smi_send(struct fabric *fabric, const struct mad_packet *packet, bool *is_answered)
{
	uint8_t mad[MAD_BYTES];
	struct smp_place place;
	int r = check(fabric, packet);

	if (r)
		return r;
	if (is_returning(packet->mad)) {
		send_back(fabric, packet);
		return 0;
	}
	if (mad_fault_row(fabric, 0)) {
		memcpy(mad, packet->mad, sizeof(mad));
		if (walk(fabric, packet, mad, &place) &&
		        mad_is_delayed(
		                fabric, packet, fabric->ports[place.arrival].node, place.hops))
			return 0;
	}
	*is_answered = smi_arrive(fabric, packet);
	return 0;
}
