/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Routes to one destination, for every switch, in five ways. */
#include <string.h>

#include "unit/plan_topology_parts.h"

/* Where routes to a LID end: the switch and its port (0: the switch itself). */
struct target {
	uint16_t lid;
	unsigned sw;
	uint8_t port;
};

/* ---- ranks ---- */

void topology_rank(struct topology *topology)
{
	uint16_t queue[TOPOLOGY_SWITCHES];
	bool seen[TOPOLOGY_SWITCHES] = {false};
	bool is_fat_tree =
	        topology->kind == TOPOLOGY_FAT_TREE_2 || topology->kind == TOPOLOGY_FAT_TREE_3;
	unsigned head = 0, tail = 1;

	queue[0] = (uint16_t)topology_random(topology, topology->physical_count);
	seen[queue[0]] = true;
	while (head < tail) {
		struct topology_switch *sw = &topology->switches[queue[head]];

		if (!is_fat_tree)
			sw->rank = (uint16_t)head;
		head++;
		for (unsigned port = 1; port <= sw->ports; port++) {
			unsigned next = sw->peer[port].index;

			if (sw->peer[port].kind != PEER_SWITCH || seen[next])
				continue;
			seen[next] = true;
			queue[tail++] = (uint16_t)next;
			if (topology->switches[next].is_vswitch)
				topology->switches[next].rank = sw->rank + 1;
		}
	}
}

/* ---- growing a tree from its end ---- */

/* May @from send packets to @to, in a tree that is grown so? */
typedef bool (*hop_rule)(const struct topology *topology, unsigned from, unsigned to);

static bool any_hop(const struct topology *topology, unsigned from, unsigned to)
{
	return true;
}

static bool down_hop(const struct topology *topology, unsigned from, unsigned to)
{
	return topology->switches[from].rank < topology->switches[to].rank;
}

static bool up_hop(const struct topology *topology, unsigned from, unsigned to)
{
	return topology->switches[from].rank > topology->switches[to].rank;
}

/* The tree so far: switches that have an entry, in the order of their distances. */
struct tree {
	unsigned queue[TOPOLOGY_SWITCHES], count, depth;
	unsigned distance[TOPOLOGY_SWITCHES];
	bool seen[TOPOLOGY_SWITCHES];
};

static void tree_begin(struct topology *topology, struct tree *tree, const struct target *target)
{
	memset(tree, 0, sizeof(*tree));
	tree->queue[tree->count++] = target->sw;
	tree->seen[target->sw] = true;
	topology->switches[target->sw].lft[target->lid] = target->port;
}

static void tree_take(struct topology *topology, struct tree *tree, uint16_t lid, unsigned sw,
        uint8_t port, unsigned distance)
{
	tree->seen[sw] = true;
	tree->distance[sw] = distance;
	if (distance > tree->depth)
		tree->depth = distance;
	tree->queue[tree->count++] = sw;
	topology->switches[sw].lft[lid] = port;
}

/* A port of @sw that leads into the tree with the fewest hops, random among equals; 0: none. */
static uint8_t nearest_port(struct topology *topology, const struct tree *tree, unsigned sw,
        unsigned distance, hop_rule rule)
{
	const struct topology_switch *at = &topology->switches[sw];
	unsigned turn = topology_random(topology, at->ports);

	for (unsigned i = 0; i < at->ports; i++) {
		uint8_t port = (uint8_t)(1 + (i + turn) % at->ports);
		unsigned next = at->peer[port].index;

		if (at->peer[port].kind == PEER_SWITCH && tree->seen[next] &&
		        tree->distance[next] + 1 == distance && rule(topology, sw, next))
			return port;
	}
	return 0;
}

/* Level by level, until nobody can be added by hops of that @rule. */
static void tree_grow(struct topology *topology, struct tree *tree, uint16_t lid, hop_rule rule)
{
	for (unsigned distance = 1; distance <= tree->depth + 1; distance++) {
		for (unsigned sw = 0; sw < topology->switch_count; sw++) {
			uint8_t port;

			if (tree->seen[sw])
				continue;
			port = nearest_port(topology, tree, sw, distance, rule);
			if (port)
				tree_take(topology, tree, lid, sw, port, distance);
		}
	}
}

/* ---- the ways of routing ---- */

static void route_bfs(struct topology *topology, const struct target *target)
{
	struct tree tree;

	tree_begin(topology, &tree, target);
	tree_grow(topology, &tree, target->lid, any_hop);
}

/* Who can get there downwards does; everybody else goes up until he meets one of them. The root
 * can, so that everybody is served. */
static void route_updn(struct topology *topology, const struct target *target)
{
	struct tree tree;

	tree_begin(topology, &tree, target);
	tree_grow(topology, &tree, target->lid, down_hop);
	tree_grow(topology, &tree, target->lid, up_hop);
}

static void route_tree(struct topology *topology, const struct target *target)
{
	struct tree tree;

	tree_begin(topology, &tree, target);
	while (tree.count < topology->switch_count) {
		unsigned in = tree.queue[topology_random(topology, tree.count)];
		const struct topology_switch *at = &topology->switches[in];
		unsigned port = 1 + topology_random(topology, at->ports);
		struct topology_peer peer = at->peer[port];

		if (peer.kind == PEER_SWITCH && !tree.seen[peer.index])
			tree_take(topology, &tree, target->lid, peer.index, peer.port, 0);
	}
}

/* The next co-ordinate from @from towards @to in a ring: around its end only where that is one hop.
 */
static unsigned ring_step(unsigned from, unsigned to, unsigned side)
{
	if (side == 3)
		return to;
	return from < to ? from + 1 : from - 1;
}

static uint8_t dor_port(struct topology *topology, const struct topology_switch *at,
        const struct topology_switch *to)
{
	uint8_t wanted[3] = {at->at[0], at->at[1], at->at[2]};

	for (unsigned along = 0; along < 3; along++) {
		if (at->at[along] == to->at[along])
			continue;
		wanted[along] =
		        (uint8_t)ring_step(at->at[along], to->at[along], topology->sides[along]);
		break;
	}
	for (uint8_t port = 1; port <= at->ports; port++) {
		const struct topology_switch *next = &topology->switches[at->peer[port].index];

		if (at->peer[port].kind == PEER_SWITCH && !next->is_vswitch &&
		        memcmp(next->at, wanted, sizeof(wanted)) == 0)
			return port;
	}
	return LFT_NO_PORT;
}

/* The port of @sw that its only cable to a switch is in. */
static uint8_t uplink(const struct topology_switch *sw)
{
	uint8_t port = 1;

	while (sw->peer[port].kind != PEER_SWITCH)
		port++;
	return port;
}

static void route_dor(struct topology *topology, const struct target *target)
{
	unsigned last = target->sw;
	uint8_t port = target->port;

	topology->switches[last].lft[target->lid] = port;
	if (topology->switches[last].is_vswitch) {
		struct topology_peer up =
		        topology->switches[last].peer[uplink(&topology->switches[last])];

		last = up.index;
		port = up.port;
		topology->switches[last].lft[target->lid] = port;
	}
	for (unsigned i = 0; i < topology->switch_count; i++) {
		struct topology_switch *sw = &topology->switches[i];

		if (i == target->sw || i == last)
			continue;
		sw->lft[target->lid] = sw->is_vswitch
		                               ? uplink(sw)
		                               : dor_port(topology, sw, &topology->switches[last]);
	}
}

static void route_to(struct topology *topology, const struct target *target)
{
	static void (*const ways[TOPOLOGY_ROUTINGS])(struct topology *, const struct target *) = {
	        route_updn, route_dor, route_bfs, route_tree, route_bfs};

	ways[topology->routing](topology, target);
}

static struct target target_in(const struct topology *topology, unsigned slot)
{
	return (struct target){topology_lid_in(topology, slot), topology->slots[slot].sw,
	        topology->slots[slot].port};
}

/* ---- layers ---- */

static struct channel_graph layers[TOPOLOGY_LAYERS];

/* Tries each lane, then other ways; where none will do, up-down in the last lane, which has
 * nothing else. */
static uint8_t layer_find(struct topology *topology, const struct target *target)
{
	static struct channel_graph tried;

	for (unsigned attempt = 0; attempt < 8; attempt++) {
		for (unsigned layer = 0; layer < TOPOLOGY_LAYERS - 1; layer++) {
			tried = layers[layer];
			channels_add(topology, &tried, target->lid);
			if (channels_cycle(topology, &tried))
				continue;
			layers[layer] = tried;
			return (uint8_t)layer;
		}
		route_bfs(topology, target);
	}
	route_updn(topology, target);
	return TOPOLOGY_LAYERS - 1;
}

/* ---- all ---- */

void topology_sweep(struct topology *topology)
{
	bool layered = topology->routing == TOPOLOGY_LAYERED;

	memset(layers, 0, sizeof(layers));
	for (unsigned i = 0; i < topology->physical_count; i++) {
		struct target target = {topology->switches[i].lid, i, 0};

		route_bfs(topology, &target);
	}
	for (unsigned slot = 0; slot < topology->slot_count; slot++) {
		struct target target = target_in(topology, slot);

		if (!target.lid)
			continue;
		route_to(topology, &target);
		if (layered)
			topology->identities[topology->slots[slot].identity].layer =
			        layer_find(topology, &target);
	}
}

bool topology_promises_no_deadlock(const struct topology *topology)
{
	switch (topology->routing) {
	case TOPOLOGY_UPDN:
	case TOPOLOGY_DOR:
	case TOPOLOGY_LAYERED:
		return true;
	default:
		return false;
	}
}
