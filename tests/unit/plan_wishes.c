/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "unit/plan_wishes.h"

const struct endpoint_model *wish_model(const struct topology *topology)
{
	return topology->has_vswitches ? &endpoint_vswitch : &endpoint_plain_ca;
}

void wish_move(struct wishes *wishes, struct topology *topology, unsigned from, unsigned to)
{
	wishes->moves[wishes->count++] = (struct plan_move_request){
	        .kind = MOVE_SWAP,
	        .vm_port_guid = topology_port_guid_in(topology, from),
	        .to = topology_place(topology, to),
	        .other_in_use = topology_random(topology, 2),
	};
}

/* A slot with somebody in it, who is not a PF, and that @taken does not have; -1: none was found.
 */
static int random_vf(struct topology *topology, const bool *taken)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned slot = topology_random(topology, topology->slot_count);

		if (!topology->slots[slot].is_pf && topology_lid_in(topology, slot) && !taken[slot])
			return (int)slot;
	}
	return -1;
}

static void wish_some(struct wishes *wishes, struct topology *topology, unsigned count)
{
	bool leaves[TOPOLOGY_SLOTS] = {false}, comes[TOPOLOGY_SLOTS] = {false};

	while (count--) {
		int from = random_vf(topology, leaves), to = random_vf(topology, comes);

		if (from < 0 || to < 0 || from == to)
			continue;
		leaves[from] = comes[to] = true;
		wish_move(wishes, topology, (unsigned)from, (unsigned)to);
	}
}

bool wish_evacuation(struct wishes *wishes, struct topology *topology)
{
	bool taken[TOPOLOGY_SLOTS] = {false};
	int any = random_vf(topology, taken);
	unsigned sw = any < 0 ? 0 : topology->slots[any].sw;

	for (unsigned slot = 0; slot < topology->slot_count; slot++)
		taken[slot] = topology->slots[slot].sw == sw;
	for (unsigned slot = 0; slot < topology->slot_count && any >= 0; slot++) {
		int to = random_vf(topology, taken);

		if (topology->slots[slot].sw != sw || topology->slots[slot].is_pf || to < 0 ||
		        wishes->count == WISH_MOVES)
			continue;
		taken[to] = true;
		wish_move(wishes, topology, slot, (unsigned)to);
	}
	return wishes->count > 0;
}

void wish_moves(struct wishes *wishes, struct topology *topology)
{
	wishes->count = 0;
	switch (topology_random(topology, 3)) {
	case 0:
		wish_some(wishes, topology, 1);
		break;
	case 1:
		wish_some(wishes, topology, 2 + topology_random(topology, 7));
		break;
	default:
		wish_evacuation(wishes, topology);
	}
}

enum refusal wish_plan(const struct wishes *wishes, const struct topology *topology,
        enum plan_order order, enum plan_reach reach, struct plan **plan)
{
	struct fabric_view *view = topology_view(topology);
	struct plan_request request = {
	        .order = order,
	        .reach = reach,
	        .move_count = wishes->count,
	        .moves = wishes->moves,
	};
	enum refusal refused = plan_make(view, wish_model(topology), &request, plan);

	fabric_view_destroy(view);
	return refused;
}

static int slot_at(const struct topology *topology, struct view_place place)
{
	for (unsigned slot = 0; slot < topology->slot_count; slot++)
		if (view_place_equal(topology_place(topology, slot), place))
			return (int)slot;
	return -1;
}

static int identity_of(const struct topology *topology, uint64_t port_guid)
{
	for (unsigned i = 0; i < topology->identity_count; i++)
		if (topology->identities[i].port_guid == port_guid)
			return (int)i;
	return -1;
}

void wish_arrive(struct topology *topology, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		int from = slot_at(topology, plan->transfers[i].from);

		if (from >= 0 &&
		        topology->slots[from].identity ==
		                identity_of(topology, plan->transfers[i].identity.port_guid))
			topology->slots[from].identity = -1;
	}
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		int to = slot_at(topology, plan->transfers[i].to);

		if (to >= 0)
			topology->slots[to].identity =
			        identity_of(topology, plan->transfers[i].identity.port_guid);
	}
}

void wish_lanes(struct topology *topology, const struct topology *before, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		int me = identity_of(topology, plan->transfers[i].identity.port_guid);
		int there = slot_at(before, plan->transfers[i].to);
		int was = there < 0 ? -1 : before->slots[there].identity;

		if (me >= 0 && was >= 0)
			topology->identities[me].layer = before->identities[was].layer;
	}
}

void wish_write(struct topology *topology, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->entry_count; i++) {
		const struct plan_entry *entry = &plan->entries[i];
		int sw = topology_find_switch(topology, entry->switch_guid);

		if (sw >= 0)
			topology->switches[sw].lft[entry->lid] = entry->after;
	}
}
