/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Random fabrics for the planner's tests: switches at random, vSwitch hypervisors on them, LIDs
 * scattered, routes by breadth-first search with random choices. It knows nothing of the planner:
 * walks its own tables, compares them itself, and carries out a plan as the fabric would.
 */
#ifndef TETHER_TEST_PLAN_FABRIC_H
#define TETHER_TEST_PLAN_FABRIC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/fabric_view.h"

enum {
	TEST_SWITCHES_MAX = 64,
	TEST_PORTS_MAX = 40,
	TEST_VFS_MAX = 128,
	TEST_LFT = 512,
};

struct test_switch {
	uint64_t guid;
	bool is_vswitch;
	uint8_t ports;
	struct {
		enum view_peer_kind kind;
		unsigned index; /* of a switch, or of a slot */
		uint8_t port;
	} peer[TEST_PORTS_MAX + 1];
	uint8_t lft[TEST_LFT];
};

/* A slot stays where it is; the identity in it changes. */
struct test_slot {
	unsigned sw;
	uint8_t port;
	unsigned identity;
};

struct test_identity {
	uint64_t port_guid, node_guid;
	uint16_t lid;
	uint8_t pkeys[PKEY_BLOCK_BYTES];
};

struct test_fabric {
	unsigned seed;
	unsigned switch_count, slot_count;
	struct test_switch switches[TEST_SWITCHES_MAX];
	struct test_slot slots[TEST_VFS_MAX];
	struct test_identity identities[TEST_VFS_MAX];
};

static inline unsigned test_random(struct test_fabric *fabric, unsigned below)
{
	fabric->seed = fabric->seed * 1103515245u + 12345u;
	return (fabric->seed >> 16) % below;
}

static inline bool test_cable(struct test_fabric *fabric, unsigned a, unsigned b)
{
	struct test_switch *x = &fabric->switches[a], *y = &fabric->switches[b];

	if (x->ports == TEST_PORTS_MAX || y->ports == TEST_PORTS_MAX)
		return false;
	x->ports++;
	y->ports++;
	x->peer[x->ports].kind = y->peer[y->ports].kind = PEER_SWITCH;
	x->peer[x->ports].index = b;
	x->peer[x->ports].port = y->ports;
	y->peer[y->ports].index = a;
	y->peer[y->ports].port = x->ports;
	return true;
}

static inline unsigned test_add_switch(struct test_fabric *fabric, bool is_vswitch)
{
	struct test_switch *sw = &fabric->switches[fabric->switch_count];

	/* Not in the order of their indices. */
	sw->guid = UINT64_C(0x100000) + (fabric->switch_count * 7919u) % 65521u;
	sw->is_vswitch = is_vswitch;
	memset(sw->lft, LFT_NO_PORT, sizeof(sw->lft));
	return fabric->switch_count++;
}

static inline void test_add_slot(struct test_fabric *fabric, unsigned vswitch)
{
	struct test_switch *sw = &fabric->switches[vswitch];
	unsigned slot = fabric->slot_count++;
	struct test_identity *identity = &fabric->identities[slot];

	sw->ports++;
	sw->peer[sw->ports].kind = PEER_END_PORT;
	sw->peer[sw->ports].index = slot;
	fabric->slots[slot] = (struct test_slot){vswitch, sw->ports, slot};
	identity->port_guid = UINT64_C(0x900001) + (slot * 104729u) % 65521u * 2;
	identity->node_guid = identity->port_guid - 1;
	identity->pkeys[0] = 0xff;
	identity->pkeys[1] = 0xff;
	identity->pkeys[3] = (uint8_t)test_random(fabric, 3);
}

static inline void test_scatter_lids(struct test_fabric *fabric)
{
	bool taken[TEST_LFT] = {true};

	for (unsigned i = 0; i < fabric->slot_count; i++) {
		unsigned lid;

		do
			lid = 1 + test_random(fabric, TEST_LFT - 1);
		while (taken[lid]);
		taken[lid] = true;
		fabric->identities[i].lid = (uint16_t)lid;
	}
}

static inline void test_route(struct test_fabric *fabric, const struct test_slot *slot)
{
	unsigned queue[TEST_SWITCHES_MAX], head = 0, tail = 0;
	bool seen[TEST_SWITCHES_MAX] = {false};
	uint16_t lid = fabric->identities[slot->identity].lid;

	fabric->switches[slot->sw].lft[lid] = slot->port;
	seen[slot->sw] = true;
	queue[tail++] = slot->sw;
	while (head < tail) {
		struct test_switch *at = &fabric->switches[queue[head++]];
		unsigned turn = test_random(fabric, at->ports);

		for (unsigned i = 0; i < at->ports; i++) {
			unsigned port = 1 + (i + turn) % at->ports;
			unsigned next = at->peer[port].index;

			if (at->peer[port].kind != PEER_SWITCH || seen[next])
				continue;
			seen[next] = true;
			fabric->switches[next].lft[lid] = at->peer[port].port;
			queue[tail++] = next;
		}
	}
}

static inline void test_fabric_make(struct test_fabric *fabric, unsigned seed)
{
	unsigned switches, hypervisors;

	memset(fabric, 0, sizeof(*fabric));
	fabric->seed = seed;
	switches = 2 + test_random(fabric, 14);
	hypervisors = 2 + test_random(fabric, 12);
	for (unsigned i = 0; i < switches; i++) {
		test_add_switch(fabric, false);
		if (i)
			test_cable(fabric, i, test_random(fabric, i));
	}
	for (unsigned i = 0; i < switches; i++)
		test_cable(fabric, test_random(fabric, switches), test_random(fabric, switches));
	for (unsigned i = 0; i < hypervisors; i++) {
		unsigned vswitch = test_add_switch(fabric, true);
		unsigned vfs = 1 + test_random(fabric, 6);

		test_cable(fabric, vswitch, test_random(fabric, switches));
		for (unsigned vf = 0; vf < vfs; vf++)
			test_add_slot(fabric, vswitch);
	}
	test_scatter_lids(fabric);
	for (unsigned i = 0; i < fabric->slot_count; i++)
		test_route(fabric, &fabric->slots[i]);
}

static inline const uint8_t *test_pkey_block(
        const struct view_end_port *end_port, enum pkey_holder holder, unsigned block)
{
	const struct test_identity *identity = end_port->source;

	(void)holder;
	return block ? NULL : identity->pkeys;
}

static inline struct fabric_view *test_view(struct test_fabric *fabric)
{
	struct fabric_view *view = fabric_view_create();

	for (unsigned i = 0; i < fabric->switch_count; i++) {
		const struct test_switch *sw = &fabric->switches[i];

		fabric_view_add_switch(view, sw->guid, sw->ports, sw->lft, TEST_LFT);
	}
	for (unsigned i = 0; i < fabric->slot_count; i++) {
		const struct test_identity *identity =
		        &fabric->identities[fabric->slots[i].identity];
		struct view_end_port end_port = {
		        .port_guid = identity->port_guid,
		        .node_guid = identity->node_guid,
		        .lid = identity->lid,
		        .node_ports = 1,
		        .groups = 1,
		        .source = identity,
		};

		fabric_view_add_end_port(view, &end_port);
	}
	for (unsigned i = 0; i < fabric->switch_count; i++) {
		const struct test_switch *sw = &fabric->switches[i];

		for (uint8_t port = 1; port <= sw->ports; port++)
			fabric_view_link(view, i, port,
			        (struct view_peer){sw->peer[port].index, sw->peer[port].port,
			                sw->peer[port].kind});
	}
	view->pkey_block = test_pkey_block;
	if (fabric_view_finish(view))
		abort();
	return view;
}

/* From switch @sw, where does @lid come out? -1: nowhere. */
static inline int test_walk(const struct test_fabric *fabric, unsigned sw, uint16_t lid)
{
	for (unsigned hops = 0; hops <= fabric->switch_count; hops++) {
		const struct test_switch *at = &fabric->switches[sw];
		uint8_t port = at->lft[lid];

		if (port == 0 || port > at->ports || at->peer[port].kind == PEER_NONE)
			return -1;
		if (at->peer[port].kind == PEER_END_PORT)
			return (int)at->peer[port].index;
		sw = at->peer[port].index;
	}
	return -1;
}

/* Every identity is reached from every switch at the slot that it sits in. */
static inline bool test_all_reachable(const struct test_fabric *fabric)
{
	for (unsigned slot = 0; slot < fabric->slot_count; slot++) {
		uint16_t lid = fabric->identities[fabric->slots[slot].identity].lid;

		for (unsigned sw = 0; sw < fabric->switch_count; sw++)
			if (test_walk(fabric, sw, lid) != (int)slot)
				return false;
	}
	return true;
}

static inline unsigned test_blocks_differing(
        const struct test_fabric *a, const struct test_fabric *b, bool vswitch)
{
	unsigned count = 0;

	for (unsigned sw = 0; sw < a->switch_count; sw++)
		for (unsigned at = 0; at < TEST_LFT; at += LFT_BLOCK_LIDS)
			if (a->switches[sw].is_vswitch == vswitch &&
			        memcmp(a->switches[sw].lft + at, b->switches[sw].lft + at,
			                LFT_BLOCK_LIDS))
				count++;
	return count;
}

static inline struct view_place test_place(const struct test_fabric *fabric, unsigned slot)
{
	return (struct view_place){
	        fabric->switches[fabric->slots[slot].sw].guid, fabric->slots[slot].port};
}

#endif
