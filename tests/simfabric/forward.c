/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/forward.h"

#include <errno.h>
#include <stdbool.h>

#include "simfabric/counters.h"
#include "simfabric/switch_info.h"
#include "simfabric/topology.h"

enum { PKEY_FULL_MEMBER = 0x8000, PKEY_BASE = 0x7fff };

/* Data needs both ends of a link Active; management (VL15) only needs the link. */
static bool can_pass(const struct fabric *fabric, uint32_t out, bool is_data)
{
	const struct port *port = &fabric->ports[out];

	if (port->peer == NO_INDEX || !port_is_up(port) || !port_is_up(&fabric->ports[port->peer]))
		return false;
	return !is_data || (port_state(port) == PORT_ACTIVE &&
	                           port_state(&fabric->ports[port->peer]) == PORT_ACTIVE);
}

static uint16_t linear_top(const struct fabric_switch *sw)
{
	return be16toh(
	        __atomic_load_n((const uint16_t *)(const void *)&sw->info[6], __ATOMIC_RELAXED));
}

/* The port that switch @node sends @dlid to, its port 0 included; NO_INDEX: none. */
static uint32_t route(const struct fabric *fabric, const struct node *node, uint16_t dlid)
{
	const struct fabric_switch *sw = &fabric->switches[node->switch_index];
	uint8_t out;

	if (dlid >= LFT_CAPACITY || dlid > linear_top(sw))
		return NO_INDEX;
	out = lft_port(switch_lft(fabric, node->switch_index), dlid);
	return out <= node->ports ? node->first_port + out : NO_INDEX;
}

/* A packet on its way. */
struct walk {
	const struct fabric *fabric;
	uint16_t dlid;
	bool is_data;
	uint32_t at;      /* the port that it is at: leaving by it, or arrived */
	uint32_t arrival; /* the port by which it came into the node */
	unsigned hops;
	/* To count traffic. NULL: not counted. */
	struct fabric *counted;
	uint32_t packets;
	uint64_t bytes;
};

static int arrive(struct walk *w)
{
	return port_has_lid(&w->fabric->ports[w->at], w->dlid) ? 0 : -EHOSTUNREACH;
}

static int pass_link(struct walk *w)
{
	if (!can_pass(w->fabric, w->at, w->is_data)) {
		if (w->counted)
			counters_port_discard(w->counted, w->at);
		return -ENETDOWN;
	}
	if (w->counted)
		counters_port_data(w->counted, w->at, w->packets, w->bytes);
	w->at = w->arrival = w->fabric->ports[w->at].peer;
	w->hops++;
	return 0;
}

static int walk(struct walk *w)
{
	w->arrival = w->at;
	if (!w->dlid)
		return -ENETUNREACH;
	if (port_has_lid(&w->fabric->ports[w->at], w->dlid))
		return 0;
	while (w->hops < FORWARD_MAX_HOPS) {
		const struct node *node = &w->fabric->nodes[w->fabric->ports[w->at].node];
		int r;

		if (node_is_switch(node)) {
			uint32_t out = route(w->fabric, node, w->dlid);

			if (out == NO_INDEX)
				return -ENETUNREACH;
			w->at = out;
			if (w->fabric->ports[out].number == 0)
				return arrive(w);
		} else if (w->hops) {
			return arrive(w);
		}
		r = pass_link(w);
		if (r)
			return r;
	}
	return -ELOOP;
}

int forward_unicast(
        const struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t *to, unsigned *hops)
{
	struct walk w = {.fabric = fabric, .dlid = dlid, .is_data = true, .at = from};
	int r = walk(&w);

	if (!r)
		*to = w.at;
	if (hops)
		*hops = w.hops;
	return r;
}

int forward_data(struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t packets,
        uint64_t bytes, uint32_t *to, unsigned *hops)
{
	struct walk w = {
	        .fabric = fabric,
	        .dlid = dlid,
	        .is_data = true,
	        .at = from,
	        .counted = fabric,
	        .packets = packets,
	        .bytes = bytes,
	};
	int r = walk(&w);

	if (!r)
		*to = w.at;
	if (hops)
		*hops = w.hops;
	return r;
}

int forward_smp(const struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t *to,
        uint32_t *arrival, unsigned *hops)
{
	struct walk w = {.fabric = fabric, .dlid = dlid, .at = from};
	int r = walk(&w);

	if (r)
		return r;
	*to = w.at;
	if (arrival)
		*arrival = w.arrival;
	if (hops)
		*hops = w.hops;
	return 0;
}

/* ---- multicast ---- */

enum { SPREAD_SWITCHES_MAX = 1 << 15 };

struct spread {
	const struct fabric *fabric;
	uint16_t mlid;
	void (*reach)(void *arg, uint32_t port);
	void *arg;
	uint64_t visited[SPREAD_SWITCHES_MAX / 64]; /* switches */
};

static bool visit(struct spread *s, uint32_t sw)
{
	uint64_t bit = 1ull << sw % 64;

	if (sw >= SPREAD_SWITCHES_MAX || (s->visited[sw / 64] & bit))
		return false;
	s->visited[sw / 64] |= bit;
	return true;
}

static uint16_t multicast_top(const struct fabric_switch *sw)
{
	return switch_info_multicast_top(sw->info);
}

/* Ports 16 * @position and on, a bit each. */
static uint16_t multicast_ports(const struct spread *s, uint32_t sw, unsigned position)
{
	unsigned index = s->mlid - MFT_FIRST_LID;
	const uint8_t *block = switch_mft_block(s->fabric, sw, position, index / MFT_BLOCK);

	return be16toh(__atomic_load_n(
	        (const uint16_t *)(const void *)block + index % MFT_BLOCK, __ATOMIC_RELAXED));
}

static void spread_over_link(struct spread *s, uint32_t out);

static void spread_by_switch(struct spread *s, const struct node *node, uint32_t arrival)
{
	const struct fabric_switch *sw = &s->fabric->switches[node->switch_index];
	uint16_t top = multicast_top(sw);

	/* A top of 0: the subnet manager does not use it (IBA 14.2.5.4). */
	if (s->mlid >= MFT_FIRST_LID + MFT_CAPACITY || (top && s->mlid > top) ||
	        !visit(s, node->switch_index))
		return;
	for (unsigned position = 0; position < sw->mft_positions; position++) {
		uint16_t ports = multicast_ports(s, node->switch_index, position);

		for (unsigned bit = 0; bit < 16; bit++) {
			unsigned number = 16 * position + bit;
			uint32_t out = node->first_port + number;

			/* Port 0 is the switch's own; nobody listens there. */
			if ((ports & 1u << bit) && number && number <= node->ports &&
			        out != arrival)
				spread_over_link(s, out);
		}
	}
}

static void spread_over_link(struct spread *s, uint32_t out)
{
	const struct node *node;
	uint32_t arrival;

	if (!can_pass(s->fabric, out, true))
		return;
	arrival = s->fabric->ports[out].peer;
	node = &s->fabric->nodes[s->fabric->ports[arrival].node];
	if (node_is_switch(node))
		spread_by_switch(s, node, arrival);
	else
		s->reach(s->arg, arrival);
}

void forward_multicast(const struct fabric *fabric, uint32_t from, uint16_t mlid,
        void (*reach)(void *arg, uint32_t port), void *arg)
{
	struct spread s = {.fabric = fabric, .mlid = mlid, .reach = reach, .arg = arg};

	spread_over_link(&s, from);
}

int forward_pkey_matches(uint16_t a, uint16_t b)
{
	return (a & PKEY_BASE) && (a & PKEY_BASE) == (b & PKEY_BASE) &&
	       ((a | b) & PKEY_FULL_MEMBER);
}
