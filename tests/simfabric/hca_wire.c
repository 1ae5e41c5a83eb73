/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_wire.h"

#include <stdlib.h>
#include <string.h>

#include "simfabric/address_handle.h"
#include "simfabric/forward.h"
#include "simfabric/hca_port.h"
#include "simfabric/hca_process.h"
#include "simfabric/qpn_table.h"

enum {
	DELAYED_MAX = 4096,
	MULTICAST_DELAYED_MAX = 64,    /* then the sender waits */
	FULL_RING_CHECK_NS = 10000000, /* is anybody reading it? */
};

struct delayed {
	uint64_t due_ns;
	uint32_t ring;
	struct fabric *fabric;
	struct packet *packet;
};

static struct {
	struct packet sink; /* packets that will be lost */
	uint32_t ring;      /* where the reserved place is; NO_INDEX: in the sink */
	bool is_multicast;  /* what is in the sink goes to all that listen */
	struct fault_dice dice;
	struct delayed delayed[DELAYED_MAX]; /* a heap, the first due in front */
	uint32_t delayed_count;
	uint64_t full_checked_ns;
} wire;

/* The ring of whoever has (@dlid, @qpn) now; NO_INDEX: no way or nobody there. */
static uint32_t ring_for(const struct hca *hca, uint16_t dlid, uint32_t qpn)
{
	uint32_t to;

	if (hca->is_gone || forward_unicast(hca->fabric, hca->place.port, dlid, &to, NULL))
		return NO_INDEX;
	return qpn_find(hca->fabric, to, qpn);
}

/* A ring that stays full may belong to a dead process; asking costs, so not for each packet. */
static void check_full_ring(struct hca *hca, uint32_t ring)
{
	uint64_t now_ns = hca->host.now_ns;

	if (now_ns - wire.full_checked_ns < FULL_RING_CHECK_NS)
		return;
	if (wire.full_checked_ns)
		packet_ring_is_read(hca->fabric, ring);
	wire.full_checked_ns = now_ns;
}

/* A datagram names its own. */
static void write_grh(struct hca *hca, const struct queue_pair *qp, struct packet *packet)
{
	const struct ibv_ah_attr *path = &qp->attr.ah_attr;
	union ibv_gid sgid;

	packet->has_grh = qp->transport != TRANSPORT_UD && path->is_global &&
	                  hca_gid(hca, path->grh.sgid_index, &sgid);
	if (packet->has_grh)
		address_write_grh(&packet->grh, path, &sgid, 0);
}

static void write_header(struct hca *hca, const struct queue_pair *qp, struct packet *packet,
        uint16_t dlid, uint32_t dest_qpn)
{
	packet->sl = qp->attr.ah_attr.sl;
	packet->slid = port_lid(hca->port);
	packet->dlid = dlid;
	packet->pkey = hca_pkey(hca, qp->attr.pkey_index);
	write_grh(hca, qp, packet);
	packet->dest_qpn = dest_qpn;
	packet->src_qpn = qp->qpn;
}

struct packet *hca_wire_reserve(struct queue_pair *qp, uint16_t dlid, uint32_t dest_qpn)
{
	struct hca *hca = hca_of(qp);
	struct packet *packet = &wire.sink;

	wire.is_multicast = qp->transport == TRANSPORT_UD && forward_is_multicast(dlid);
	wire.ring = wire.is_multicast ? NO_INDEX : ring_for(hca, dlid, dest_qpn);
	if (wire.is_multicast && wire.delayed_count >= MULTICAST_DELAYED_MAX)
		return NULL;
	if (wire.ring != NO_INDEX)
		packet = packet_ring_reserve(packet_ring_at(hca->fabric, wire.ring));
	if (packet)
		write_header(hca, qp, packet, dlid, dest_qpn);
	else
		check_full_ring(hca, wire.ring);
	return packet;
}

static size_t packet_bytes(const struct packet *packet)
{
	return offsetof(struct packet, payload) + packet->payload_length;
}

/* ---- late packets ---- */

static void swap_delayed(uint32_t a, uint32_t b)
{
	struct delayed d = wire.delayed[a];

	wire.delayed[a] = wire.delayed[b];
	wire.delayed[b] = d;
}

static void push_delayed(const struct delayed *delayed)
{
	uint32_t i = wire.delayed_count++;

	wire.delayed[i] = *delayed;
	for (; i && wire.delayed[i].due_ns < wire.delayed[(i - 1) / 2].due_ns; i = (i - 1) / 2)
		swap_delayed(i, (i - 1) / 2);
}

static void pop_delayed(void)
{
	uint32_t i = 0, child;

	free(wire.delayed[0].packet);
	wire.delayed[0] = wire.delayed[--wire.delayed_count];
	for (; (child = 2 * i + 1) < wire.delayed_count; i = child) {
		if (child + 1 < wire.delayed_count &&
		        wire.delayed[child + 1].due_ns < wire.delayed[child].due_ns)
			child++;
		if (wire.delayed[i].due_ns <= wire.delayed[child].due_ns)
			return;
		swap_delayed(i, child);
	}
}

/* False: too many already, or no memory. */
static bool delay(struct hca *hca, const struct packet *packet, uint64_t delay_ns)
{
	struct delayed delayed = {
	        .due_ns = hca->host.now_ns + delay_ns, .ring = wire.ring, .fabric = hca->fabric};

	if (wire.delayed_count == DELAYED_MAX)
		return false;
	delayed.packet = malloc(sizeof(*packet));
	if (!delayed.packet)
		return false;
	memcpy(delayed.packet, packet, packet_bytes(packet));
	push_delayed(&delayed);
	return true;
}

/* False: the ring is full. */
static bool put(struct fabric *fabric, uint32_t index, const struct packet *packet)
{
	struct packet_ring *ring = packet_ring_at(fabric, index);
	struct packet *slot = packet_ring_reserve(ring);

	if (!slot)
		return false;
	memcpy(slot, packet, packet_bytes(packet));
	packet_ring_publish(ring);
	return true;
}

void hca_wire_turn(uint64_t now_ns)
{
	while (wire.delayed_count && wire.delayed[0].due_ns <= now_ns) {
		const struct delayed *first = &wire.delayed[0];

		/* Who had the number when it was sent gets it, as a packet that waited in a buffer
		 * on the way. A full ring makes it later still. */
		if (!put(first->fabric, first->ring, first->packet))
			return;
		pop_delayed();
	}
}

uint64_t hca_wire_next_due_ns(void)
{
	return wire.delayed_count ? wire.delayed[0].due_ns : UINT64_MAX;
}

void hca_wire_clear(void)
{
	while (wire.delayed_count)
		pop_delayed();
}

/* ---- sending ---- */

static void publish(struct queue_pair *qp, const struct packet *packet)
{
	struct hca_queue_pair *owner = hca_owner_of(qp);

	hca_count_sent(hca_of(qp), packet);
	owner->last_ring = wire.ring;
	owner->last_packet = packet_ring_publish(packet_ring_at(hca_of(qp)->fabric, wire.ring));
	owner->has_sent = true;
}

static void send_with_faults(struct queue_pair *qp, struct packet *packet)
{
	struct hca *hca = hca_of(qp);
	struct packet_ring *ring = packet_ring_at(hca->fabric, wire.ring);
	struct fault_fate fate =
	        data_faults_decide(hca->faults, &wire.dice, &hca_owner_of(qp)->cut, packet);

	if (fate.drop) {
		hca_count_sent(hca, packet);
		packet_ring_abandon(ring);
		return;
	}
	/* The copy travels on its own, a moment later. */
	if (fate.duplicate)
		delay(hca, packet, 1000);
	if (fate.delay_ns && delay(hca, packet, fate.delay_ns)) {
		hca_count_sent(hca, packet);
		packet_ring_abandon(ring);
	} else {
		publish(qp, packet);
	}
}

/* ---- multicast ---- */

/* One copy, with a fate of its own. A full ring makes it late. */
static void put_copy(struct queue_pair *qp, const struct packet *packet)
{
	struct hca *hca = hca_of(qp);
	struct fault_fate fate = {0};

	if (__atomic_load_n(&hca->faults->is_active, __ATOMIC_RELAXED))
		fate = data_faults_decide(hca->faults, &wire.dice, &hca_owner_of(qp)->cut, packet);
	if (fate.drop)
		return;
	if (fate.duplicate)
		delay(hca, packet, 1000);
	if (fate.delay_ns || !put(hca->fabric, wire.ring, packet))
		delay(hca, packet, fate.delay_ns);
}

static void reach_port(void *arg, uint32_t port)
{
	struct queue_pair *qp = arg;

	for (uint32_t ring = 0; ring < PACKET_RINGS_MAX; ring++) {
		if (!packet_ring_listens(hca_of(qp)->fabric, ring, port))
			continue;
		wire.ring = ring;
		put_copy(qp, &wire.sink);
	}
}

/* Queue pairs at the sender's own port are reached by its HCA, not by the fabric. */
static void send_to_all(struct queue_pair *qp)
{
	struct hca *hca = hca_of(qp);

	if (hca->is_gone || port_state(hca->port) != PORT_ACTIVE)
		return;
	reach_port(qp, hca->place.port);
	forward_multicast(hca->fabric, hca->place.port, wire.sink.dlid, reach_port, qp);
}

void hca_wire_send(struct queue_pair *qp, struct packet *packet)
{
	if (packet == &wire.sink) {
		hca_count_sent(hca_of(qp), packet);
		if (wire.is_multicast)
			send_to_all(qp);
		return;
	}
	if (__builtin_expect(__atomic_load_n(&hca_of(qp)->faults->is_active, __ATOMIC_RELAXED), 0))
		send_with_faults(qp, packet);
	else
		publish(qp, packet);
}

void hca_wire_discard(struct queue_pair *qp, struct packet *packet)
{
	if (packet != &wire.sink)
		packet_ring_abandon(packet_ring_at(hca_of(qp)->fabric, wire.ring));
}

/*
 * What lies in the peer's ring unanswered is still on the wire: where CPUs are scarce the peer's
 * process may not have run for long, which is no loss. If the peer is dead or gone, it is one.
 */
bool hca_wire_is_under_way(struct queue_pair *qp)
{
	struct hca_queue_pair *owner = hca_owner_of(qp);
	struct hca *hca = hca_of(qp);

	if (!owner->has_sent)
		return false;
	if (ring_for(hca, qp->attr.ah_attr.dlid, qp->attr.dest_qp_num) != owner->last_ring)
		return false;
	return !packet_ring_has_answered(
	               packet_ring_at(hca->fabric, owner->last_ring), owner->last_packet) &&
	       packet_ring_is_read(hca->fabric, owner->last_ring);
}

uint64_t hca_wire_hold_ns(const struct hca *hca, bool is_receive)
{
	return data_faults_hold_ns(hca->faults, &wire.dice, is_receive);
}
