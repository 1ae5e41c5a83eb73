/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Where packets come out, and what they wait for on their way. */
#include <stdio.h>
#include <string.h>

#include "unit/plan_topology_parts.h"

enum { WALK_ON = -100, WALK_UNKNOWN = -101 };

/* One hop: where it ends, or WALK_ON and the next switch. */
static int walk_step(const struct topology *topology, unsigned sw, uint16_t lid, unsigned *next)
{
	const struct topology_switch *at = &topology->switches[sw];
	uint8_t port = at->lft[lid];

	if (port == LFT_NO_PORT)
		return WALK_DROPPED;
	if (port == 0)
		return at->lid == lid ? WALK_SWITCH : WALK_DEAD_END;
	if (port > at->ports || at->peer[port].kind == PEER_NONE)
		return WALK_DEAD_END;
	if (at->peer[port].kind == PEER_END_PORT)
		return at->peer[port].index;
	*next = at->peer[port].index;
	return WALK_ON;
}

int topology_walk(const struct topology *topology, unsigned sw, uint16_t lid)
{
	for (unsigned hops = 0; hops <= topology->switch_count; hops++) {
		int end = walk_step(topology, sw, lid, &sw);

		if (end != WALK_ON)
			return end;
	}
	return WALK_LOOP;
}

void topology_walk_all(const struct topology *topology, uint16_t lid, int *ends)
{
	unsigned way[TOPOLOGY_SWITCHES];

	for (unsigned sw = 0; sw < topology->switch_count; sw++)
		ends[sw] = WALK_UNKNOWN;
	for (unsigned first = 0; first < topology->switch_count; first++) {
		unsigned length = 0, sw = first;
		int end = WALK_ON;

		while (end == WALK_ON && ends[sw] == WALK_UNKNOWN) {
			ends[sw] = WALK_LOOP; /* until it is known better */
			way[length++] = sw;
			end = walk_step(topology, sw, lid, &sw);
		}
		if (end == WALK_ON)
			end = ends[sw];
		while (length)
			ends[way[--length]] = end;
	}
}

static bool lid_is_right(const struct topology *topology, uint16_t lid, char *why)
{
	int ends[TOPOLOGY_SWITCHES], slot = topology_slot_of_lid(topology, lid);

	topology_walk_all(topology, lid, ends);
	for (unsigned sw = 0; sw < topology->switch_count; sw++) {
		int wanted = slot >= 0 ? slot : WALK_DROPPED;

		for (unsigned i = 0; i < topology->physical_count; i++)
			if (topology->switches[i].lid == lid)
				wanted = WALK_SWITCH;
		if (ends[sw] == wanted)
			continue;
		snprintf(why, 128, "%s: LID %u from switch %u comes out at %d, not %d",
		        topology_name(topology), lid, sw, ends[sw], wanted);
		return false;
	}
	return true;
}

bool topology_all_reachable(const struct topology *topology, char *why)
{
	for (unsigned lid = 1; lid < TOPOLOGY_LIDS; lid++)
		if (!lid_is_right(topology, (uint16_t)lid, why))
			return false;
	return true;
}

/* ---- channels ---- */

static unsigned channel_of(unsigned sw, unsigned port)
{
	return sw * (TOPOLOGY_PORTS + 1) + port;
}

static bool packets_enter_at(const struct topology *topology, unsigned sw)
{
	const struct topology_switch *at = &topology->switches[sw];

	for (unsigned port = 1; port <= at->ports; port++)
		if (at->peer[port].kind == PEER_END_PORT)
			return true;
	return false;
}

void channels_add(const struct topology *topology, struct channel_graph *graph, uint16_t lid)
{
	bool seen[TOPOLOGY_SWITCHES] = {false};

	for (unsigned first = 0; first < topology->switch_count; first++) {
		unsigned sw = first, held = CHANNELS;

		if (!packets_enter_at(topology, first))
			continue;
		for (;;) {
			unsigned next, port = topology->switches[sw].lft[lid];
			bool known = seen[sw];

			seen[sw] = true;
			if (walk_step(topology, sw, lid, &next) != WALK_ON)
				break;
			if (held != CHANNELS)
				graph->next[held] |= UINT64_C(1) << port;
			if (known)
				break;
			held = channel_of(sw, port);
			sw = next;
		}
	}
}

enum colour { WHITE, GREY, BLACK };

static bool reaches_grey(const struct topology *topology, const struct channel_graph *graph,
        uint8_t *colour, unsigned sw, unsigned port)
{
	unsigned channel = channel_of(sw, port), next = topology->switches[sw].peer[port].index;

	if (colour[channel] != WHITE)
		return colour[channel] == GREY;
	colour[channel] = GREY;
	for (unsigned on = 1; on <= topology->switches[next].ports; on++)
		if (graph->next[channel] >> on & 1 &&
		        reaches_grey(topology, graph, colour, next, on))
			return true;
	colour[channel] = BLACK;
	return false;
}

bool channels_cycle(const struct topology *topology, const struct channel_graph *graph)
{
	uint8_t colour[CHANNELS] = {WHITE};

	for (unsigned sw = 0; sw < topology->switch_count; sw++)
		for (unsigned port = 1; port <= topology->switches[sw].ports; port++)
			if (topology->switches[sw].peer[port].kind == PEER_SWITCH &&
			        reaches_grey(topology, graph, colour, sw, port))
				return true;
	return false;
}

bool topology_channels_cycle(const struct topology *topology)
{
	static struct channel_graph graph[TOPOLOGY_LAYERS];
	unsigned layers = topology->routing == TOPOLOGY_LAYERED ? TOPOLOGY_LAYERS : 1;

	memset(graph, 0, sizeof(graph));
	for (unsigned slot = 0; slot < topology->slot_count; slot++) {
		int identity = topology->slots[slot].identity;

		if (identity >= 0)
			channels_add(topology,
			        &graph[layers > 1 ? topology->identities[identity].layer : 0],
			        topology->identities[identity].lid);
	}
	for (unsigned layer = 0; layer < layers; layer++)
		if (channels_cycle(topology, &graph[layer]))
			return true;
	return false;
}
