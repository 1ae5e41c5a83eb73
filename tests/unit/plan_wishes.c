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

void wish_swaps(struct wishes *wishes, struct topology *topology, unsigned count)
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

/* ---- dynamic LIDs ---- */

/* Half of the VFs hold no VM. */
static void slots_empty(struct topology *topology)
{
	for (unsigned slot = 0; slot < topology->slot_count; slot++)
		if (!topology->slots[slot].is_pf && topology_random(topology, 2))
			topology_empty(topology, slot);
}

static bool is_somewhere(const struct topology *topology, int identity)
{
	for (unsigned slot = 0; slot < topology->slot_count; slot++)
		if (topology->slots[slot].identity == identity)
			return true;
	return false;
}

static int random_empty(struct topology *topology, const bool *taken)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned slot = topology_random(topology, topology->slot_count);

		if (topology->slots[slot].identity < 0 && !taken[slot])
			return (int)slot;
	}
	return -1;
}

static void wish_creation(struct wishes *wishes, struct topology *topology, unsigned to)
{
	const struct topology_identity *created;
	unsigned identity = topology_random(topology, topology->identity_count);

	if (is_somewhere(topology, (int)identity))
		return;
	created = &topology->identities[identity];
	for (unsigned i = 0; i < wishes->count; i++)
		if (wishes->moves[i].vm_port_guid == created->port_guid)
			return;
	wishes->moves[wishes->count++] = (struct plan_move_request){
	        .kind = VM_CREATE,
	        .vm_port_guid = created->port_guid,
	        .vm_node_guid = created->node_guid,
	        .to = topology_place(topology, to),
	        .lid = topology_random(topology, 2) ? created->lid : 0,
	};
}

/* VMs come, go to empty slots and end. */
static void wish_dynamic(struct wishes *wishes, struct topology *topology, unsigned count)
{
	bool leaves[TOPOLOGY_SLOTS] = {false}, comes[TOPOLOGY_SLOTS] = {false};

	slots_empty(topology);
	while (count--) {
		int from = random_vf(topology, leaves), to = random_empty(topology, comes);
		unsigned kind = topology_random(topology, 3);

		if (from < 0 || to < 0)
			continue;
		comes[to] = true;
		if (kind == 0) {
			wish_creation(wishes, topology, (unsigned)to);
			continue;
		}
		leaves[from] = true;
		wish_move(wishes, topology, (unsigned)from, (unsigned)to);
		wishes->moves[wishes->count - 1].kind = kind == 1 ? MOVE_COPY : VM_DESTROY;
		if (kind == 2)
			wishes->moves[wishes->count - 1].to = (struct view_place){0};
	}
}

void wish_moves(struct wishes *wishes, struct topology *topology)
{
	wishes->count = 0;
	switch (topology_random(topology, 4)) {
	case 0:
		wish_swaps(wishes, topology, 1);
		break;
	case 1:
		wish_swaps(wishes, topology, 2 + topology_random(topology, 7));
		break;
	case 2:
		wish_evacuation(wishes, topology);
		break;
	default:
		if (topology->has_vswitches)
			wish_dynamic(wishes, topology, 1 + topology_random(topology, 6));
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

		int identity = identity_of(topology, plan->transfers[i].identity.port_guid);

		if (to < 0)
			continue;
		topology->slots[to].identity = identity;
		topology->identities[identity].lid = plan->transfers[i].identity.lid;
	}
}

void wish_lanes(struct topology *topology, const struct topology *before, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		int me = identity_of(topology, plan->transfers[i].identity.port_guid);
		int there = slot_at(before, plan->transfers[i].to);
		int was = there < 0 ? -1 : before->slots[there].identity;

		for (int pf = there; pf >= 0 && was < 0; pf--)
			if (before->slots[pf].is_pf)
				was = before->slots[pf].identity;

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
