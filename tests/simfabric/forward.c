/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/forward.h"

#include <errno.h>
#include <stdbool.h>

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

static int deliver(const struct fabric *fabric, uint32_t port, uint16_t dlid, uint32_t *to)
{
	if (!port_has_lid(&fabric->ports[port], dlid))
		return -EHOSTUNREACH;
	*to = port;
	return 0;
}

static int walk(const struct fabric *fabric, uint32_t from, uint16_t dlid, bool is_data,
        uint32_t *to, unsigned *hops)
{
	const struct node *node = &fabric->nodes[fabric->ports[from].node];
	uint32_t at = from;

	*hops = 0;
	if (!dlid)
		return -ENETUNREACH;
	if (port_has_lid(&fabric->ports[from], dlid))
		return deliver(fabric, from, dlid, to);
	for (; *hops < FORWARD_MAX_HOPS; (*hops)++) {
		if (node_is_switch(node)) {
			at = route(fabric, node, dlid);
			if (at == NO_INDEX)
				return -ENETUNREACH;
			if (fabric->ports[at].number == 0)
				return deliver(fabric, at, dlid, to);
		} else if (*hops) {
			return deliver(fabric, at, dlid, to);
		}
		if (!can_pass(fabric, at, is_data))
			return -ENETDOWN;
		at = fabric->ports[at].peer;
		node = &fabric->nodes[fabric->ports[at].node];
	}
	return -ELOOP;
}

int forward_unicast(
        const struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t *to, unsigned *hops)
{
	unsigned unused = 0;

	return walk(fabric, from, dlid, true, to, hops ? hops : &unused);
}

int forward_smp(
        const struct fabric *fabric, uint32_t from, uint16_t dlid, uint32_t *to, unsigned *hops)
{
	unsigned unused = 0;

	return walk(fabric, from, dlid, false, to, hops ? hops : &unused);
}

int forward_pkey_matches(uint16_t a, uint16_t b)
{
	return (a & PKEY_BASE) && (a & PKEY_BASE) == (b & PKEY_BASE) &&
	       ((a | b) & PKEY_FULL_MEMBER);
}
