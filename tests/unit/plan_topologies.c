/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "unit/plan_topologies.h"
#include "unit/plan_topology_parts.h"

unsigned topology_random(struct topology *topology, unsigned below)
{
	/* xorshift64* (Vigna) */
	topology->random ^= topology->random >> 12;
	topology->random ^= topology->random << 25;
	topology->random ^= topology->random >> 27;
	return (unsigned)((topology->random * UINT64_C(0x2545f4914f6cdd1d) >> 33) % below);
}

static unsigned between(struct topology *topology, unsigned low, unsigned high)
{
	return low + topology_random(topology, high - low + 1);
}

static unsigned add_switch(struct topology *topology, bool takes_hosts)
{
	struct topology_switch *sw = &topology->switches[topology->switch_count];

	/* Not in the order of their indices. */
	sw->guid = UINT64_C(0x100000) + (topology->switch_count + 1) * 7919u % 65521u;
	sw->takes_hosts = takes_hosts;
	memset(sw->lft, LFT_NO_PORT, sizeof(sw->lft));
	return topology->switch_count++;
}

static bool cable(struct topology *topology, unsigned a, unsigned b)
{
	struct topology_switch *x = &topology->switches[a], *y = &topology->switches[b];

	if (a == b || x->ports == TOPOLOGY_PORTS || y->ports == TOPOLOGY_PORTS)
		return false;
	x->ports++;
	y->ports++;
	x->peer[x->ports] = (struct topology_peer){PEER_SWITCH, y->ports, (uint16_t)b};
	y->peer[y->ports] = (struct topology_peer){PEER_SWITCH, x->ports, (uint16_t)a};
	return true;
}

/* ---- kinds ---- */

static void make_fat_tree_2(struct topology *topology)
{
	unsigned spines = between(topology, 1, 4), leaves = between(topology, 2, 6);
	unsigned cables = between(topology, 1, 2);

	for (unsigned spine = 0; spine < spines; spine++)
		add_switch(topology, false);
	for (unsigned leaf = 0; leaf < leaves; leaf++) {
		unsigned sw = add_switch(topology, true);

		topology->switches[sw].rank = 1;
		for (unsigned i = 0; i < spines * cables; i++)
			cable(topology, sw, i % spines);
	}
}

/* Core switch i is cabled to the i-th middle switch of each pod (modulo their number). */
static void make_fat_tree_3(struct topology *topology)
{
	unsigned middles = between(topology, 1, 3), cores = middles * between(topology, 1, 2);
	unsigned pods = between(topology, 2, 3), leaves = between(topology, 1, 3);

	for (unsigned core = 0; core < cores; core++)
		add_switch(topology, false);
	for (unsigned pod = 0; pod < pods; pod++) {
		unsigned first = topology->switch_count;

		for (unsigned i = 0; i < middles; i++) {
			unsigned middle = add_switch(topology, false);

			topology->switches[middle].rank = 1;
			for (unsigned core = i; core < cores; core += middles)
				cable(topology, middle, core);
		}
		for (unsigned i = 0; i < leaves; i++) {
			unsigned leaf = add_switch(topology, true);

			topology->switches[leaf].rank = 2;
			for (unsigned middle = 0; middle < middles; middle++)
				cable(topology, leaf, first + middle);
		}
	}
}

static unsigned torus_index(const struct topology *topology, const unsigned at[3])
{
	return (at[2] * topology->sides[1] + at[1]) * topology->sides[0] + at[0];
}

static void make_torus(struct topology *topology, unsigned dimensions)
{
	unsigned longest = dimensions == 2 ? 5 : 3, count = 1;

	for (unsigned i = 0; i < 3; i++) {
		topology->sides[i] =
		        i < dimensions ? (uint8_t)between(topology, 2, longest) : (uint8_t)1;
		count *= topology->sides[i];
	}
	for (unsigned i = 0; i < count; i++) {
		struct topology_switch *sw = &topology->switches[add_switch(topology, true)];

		sw->at[0] = (uint8_t)(i % topology->sides[0]);
		sw->at[1] = (uint8_t)(i / topology->sides[0] % topology->sides[1]);
		sw->at[2] = (uint8_t)(i / topology->sides[0] / topology->sides[1]);
	}
	for (unsigned i = 0; i < count; i++) {
		for (unsigned along = 0; along < dimensions; along++) {
			const struct topology_switch *sw = &topology->switches[i];
			unsigned at[3] = {sw->at[0], sw->at[1], sw->at[2]};

			at[along] = (at[along] + 1) % topology->sides[along];
			/* A ring of two is one cable. */
			if (topology->sides[along] > 2 || at[along])
				cable(topology, i, torus_index(topology, at));
		}
	}
}

static void make_torus_2d(struct topology *topology)
{
	make_torus(topology, 2);
}

static void make_torus_3d(struct topology *topology)
{
	make_torus(topology, 3);
}

/* Groups, within which everybody is cabled to everybody; between each two of them one or two
 * cables. */
static void make_dragonfly(struct topology *topology)
{
	unsigned groups = between(topology, 2, 5), size = between(topology, 2, 4);

	for (unsigned i = 0; i < groups * size; i++) {
		add_switch(topology, true);
		for (unsigned other = i - i % size; other < i; other++)
			cable(topology, i, other);
	}
	for (unsigned a = 0; a < groups; a++)
		for (unsigned b = 0; b < a; b++)
			for (unsigned i = between(topology, 1, 2); i; i--)
				cable(topology, a * size + topology_random(topology, size),
				        b * size + topology_random(topology, size));
}

/* Ends of cables paired at random; a cable that cannot be is left out, so some have one less. */
static void make_random_regular(struct topology *topology)
{
	unsigned count = between(topology, 4, 20), degree = between(topology, 2, 4);
	unsigned ends[80], left = count * degree;

	for (unsigned i = 0; i < left; i++)
		ends[i] = i / degree;
	for (unsigned i = 0; i < count; i++)
		add_switch(topology, true);
	while (left > 1) {
		unsigned a = topology_random(topology, left), x = ends[a], b, y;

		ends[a] = ends[--left];
		b = topology_random(topology, left);
		y = ends[b];
		ends[b] = ends[--left];
		cable(topology, x, y);
	}
}

/* In their order in enum topology_kind. */
static const struct {
	const char *name;
	void (*make)(struct topology *topology);
} kinds[TOPOLOGY_KINDS] = {
        {"fat-tree of 2 levels", make_fat_tree_2},
        {"fat-tree of 3 levels", make_fat_tree_3},
        {"torus in 2D", make_torus_2d},
        {"torus in 3D", make_torus_3d},
        {"dragonfly", make_dragonfly},
        {"random regular graph", make_random_regular},
};

/* ---- hosts ---- */

static void add_slot(struct topology *topology, unsigned sw, bool is_pf)
{
	struct topology_switch *at = &topology->switches[sw];
	unsigned slot = topology->slot_count++;

	at->ports++;
	at->peer[at->ports] = (struct topology_peer){PEER_END_PORT, 1, (uint16_t)slot};
	topology->slots[slot] = (struct topology_slot){(uint16_t)sw, at->ports, is_pf, (int)slot};
	topology->identities[slot].port_guid =
	        UINT64_C(0x900001) + (slot + 1) * 104729u % 65521u * 2;
	topology->identities[slot].node_guid = topology->identities[slot].port_guid - 1;
	topology->identity_count++;
}

static unsigned random_host_switch(struct topology *topology)
{
	unsigned sw;

	do
		sw = topology_random(topology, topology->physical_count);
	while (!topology->switches[sw].takes_hosts ||
	        topology->switches[sw].ports == TOPOLOGY_PORTS);
	return sw;
}

static void add_hypervisor(struct topology *topology)
{
	unsigned under = random_host_switch(topology);
	unsigned vswitch = add_switch(topology, false);

	topology->switches[vswitch].is_vswitch = true;
	cable(topology, vswitch, under);
	add_slot(topology, vswitch, true);
	for (unsigned vfs = between(topology, 1, 5); vfs; vfs--)
		add_slot(topology, vswitch, false);
}

static void add_hosts(struct topology *topology)
{
	unsigned count =
	        topology->has_vswitches ? between(topology, 2, 12) : between(topology, 3, 40);

	topology->physical_count = topology->switch_count;
	for (unsigned i = 0; i < count; i++) {
		if (topology->has_vswitches)
			add_hypervisor(topology);
		else
			add_slot(topology, random_host_switch(topology), false);
	}
}

/* One after the other, as OpenSM gives them, or anywhere. */
static void give_lids(struct topology *topology)
{
	bool taken[TOPOLOGY_LIDS] = {true}, scattered = topology_random(topology, 2);
	unsigned next = between(topology, 1, 64);

	for (unsigned i = 0; i < topology->physical_count + topology->identity_count; i++) {
		do
			next = scattered ? topology_random(topology, TOPOLOGY_LIDS) : next + 1;
		while (taken[next]);
		taken[next] = true;
		if (i < topology->physical_count)
			topology->switches[i].lid = (uint16_t)next;
		else
			topology->identities[i - topology->physical_count].lid = (uint16_t)next;
	}
}

/* ---- a topology ---- */

static bool is_connected(const struct topology *topology)
{
	uint16_t queue[TOPOLOGY_SWITCHES] = {0};
	bool seen[TOPOLOGY_SWITCHES] = {true};
	unsigned head = 0, tail = 1;

	while (head < tail) {
		const struct topology_switch *sw = &topology->switches[queue[head++]];

		for (unsigned port = 1; port <= sw->ports; port++) {
			if (sw->peer[port].kind != PEER_SWITCH || seen[sw->peer[port].index])
				continue;
			seen[sw->peer[port].index] = true;
			queue[tail++] = sw->peer[port].index;
		}
	}
	return tail == topology->switch_count;
}

static enum topology_routing choose_routing(struct topology *topology, int wish)
{
	bool is_torus = topology->kind == TOPOLOGY_TORUS_2D || topology->kind == TOPOLOGY_TORUS_3D;
	enum topology_routing routing = wish >= 0 ? (enum topology_routing)wish : TOPOLOGY_DOR;

	while (wish < 0 && (routing == TOPOLOGY_DOR && (!is_torus || topology_random(topology, 2))))
		routing = topology_random(topology, TOPOLOGY_ROUTINGS);
	return routing == TOPOLOGY_DOR && !is_torus ? TOPOLOGY_UPDN : routing;
}

static void make_unrouted(struct topology *topology, struct topology_wish wish)
{
	uint64_t random = topology->random;

	memset(topology, 0, sizeof(*topology));
	topology->random = random;
	topology->kind = wish.kind >= 0 ? (enum topology_kind)wish.kind
	                                : topology_random(topology, TOPOLOGY_KINDS);
	topology->routing = choose_routing(topology, wish.routing);
	topology->has_vswitches =
	        wish.vswitches >= 0 ? wish.vswitches : topology_random(topology, 4) > 0;
	kinds[topology->kind].make(topology);
	add_hosts(topology);
	give_lids(topology);
}

void topology_make(struct topology *topology, struct topology_wish wish, uint64_t seed)
{
	topology->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	do
		make_unrouted(topology, wish);
	while (!is_connected(topology));
	topology_rank(topology);
	topology_sweep(topology);
}

const char *topology_name(const struct topology *topology)
{
	static const char *const routings[TOPOLOGY_ROUTINGS] = {
	        "up*/down*", "DOR", "BFS", "random trees", "BFS in layers"};
	static char name[96];

	snprintf(name, sizeof(name), "%s, %s, %s", kinds[topology->kind].name,
	        routings[topology->routing], topology->has_vswitches ? "hypervisors" : "plain CAs");
	return name;
}

/* ---- changing and looking ---- */

void topology_exchange(struct topology *topology, unsigned a, unsigned b)
{
	int identity = topology->slots[a].identity;

	topology->slots[a].identity = topology->slots[b].identity;
	topology->slots[b].identity = identity;
}

void topology_empty(struct topology *topology, unsigned slot)
{
	uint16_t lid = topology_lid_in(topology, slot);

	for (unsigned sw = 0; sw < topology->switch_count; sw++)
		topology->switches[sw].lft[lid] = LFT_NO_PORT;
	topology->slots[slot].identity = -1;
}

int topology_find_switch(const struct topology *topology, uint64_t guid)
{
	for (unsigned sw = 0; sw < topology->switch_count; sw++)
		if (topology->switches[sw].guid == guid)
			return (int)sw;
	return -1;
}

bool topology_write(
        struct topology *topology, uint64_t switch_guid, uint16_t block, const uint8_t *entries)
{
	int sw = topology_find_switch(topology, switch_guid);

	if (sw < 0 || block >= TOPOLOGY_LIDS / LFT_BLOCK_LIDS)
		return false;
	memcpy(&topology->switches[sw].lft[block * LFT_BLOCK_LIDS], entries, LFT_BLOCK_LIDS);
	return true;
}

struct view_place topology_place(const struct topology *topology, unsigned slot)
{
	return (struct view_place){
	        topology->switches[topology->slots[slot].sw].guid, topology->slots[slot].port};
}

uint16_t topology_lid_in(const struct topology *topology, unsigned slot)
{
	int identity = topology->slots[slot].identity;

	return identity < 0 ? 0 : topology->identities[identity].lid;
}

uint64_t topology_port_guid_in(const struct topology *topology, unsigned slot)
{
	int identity = topology->slots[slot].identity;

	return identity < 0 ? 0 : topology->identities[identity].port_guid;
}

int topology_slot_of_lid(const struct topology *topology, uint16_t lid)
{
	for (unsigned slot = 0; slot < topology->slot_count; slot++)
		if (lid && topology_lid_in(topology, slot) == lid)
			return (int)slot;
	return -1;
}

static bool is_somewhere(const struct topology *topology, int identity)
{
	for (unsigned slot = 0; slot < topology->slot_count; slot++)
		if (topology->slots[slot].identity == identity)
			return true;
	return false;
}

/* Those that are in a slot; @indices: the view's, by identity. */
static void view_add_identities(
        struct fabric_view *view, const struct topology *topology, uint32_t *indices)
{
	for (unsigned i = 0; i < topology->identity_count; i++) {
		struct view_end_port end_port = {
		        .port_guid = topology->identities[i].port_guid,
		        .node_guid = topology->identities[i].node_guid,
		        .lid = topology->identities[i].lid,
		        .node_ports = 1,
		        .groups = 1,
		        .lane = topology->routing == TOPOLOGY_LAYERED
		                        ? topology->identities[i].layer
		                        : 0,
		        .source = &topology->identities[i],
		};

		if (is_somewhere(topology, (int)i))
			indices[i] = fabric_view_add_end_port(view, &end_port);
	}
}

static void view_add_links(struct fabric_view *view, const struct topology *topology, unsigned sw,
        const uint32_t *indices)
{
	for (uint8_t port = 1; port <= topology->switches[sw].ports; port++) {
		struct topology_peer peer = topology->switches[sw].peer[port];
		struct view_peer linked = {peer.index, peer.port, peer.kind};

		if (peer.kind == PEER_END_PORT) {
			if (topology->slots[peer.index].identity < 0)
				continue;
			linked.index = indices[topology->slots[peer.index].identity];
		}
		fabric_view_link(view, sw, port, linked);
	}
}

struct fabric_view *topology_view(const struct topology *topology)
{
	struct fabric_view *view = fabric_view_create();
	uint32_t indices[TOPOLOGY_SLOTS] = {0};

	for (unsigned i = 0; i < topology->switch_count; i++) {
		const struct topology_switch *sw = &topology->switches[i];

		fabric_view_add_switch(view, sw->guid, sw->ports, sw->lft, TOPOLOGY_LIDS);
		view->switches[i].lid = sw->lid;
	}
	view_add_identities(view, topology, indices);
	for (unsigned i = 0; i < topology->switch_count; i++)
		view_add_links(view, topology, i, indices);
	if (fabric_view_finish(view))
		abort();
	return view;
}
