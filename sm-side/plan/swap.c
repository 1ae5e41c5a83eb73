/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/content_hash.h"
#include "sm-side/plan/swap.h"

/* The two that change places, as indices in the view. */
struct pair {
	uint32_t vm, other;
};

static enum refusal end_port_movable(const struct fabric_view *view, uint32_t end_port)
{
	const struct view_end_port *port = &view->end_ports[end_port];

	if (port->is_sm)
		return REFUSAL_SM_OWN_PORT;
	if (port->node_ports != 1)
		return REFUSAL_MORE_PORTS;
	if (port->lmc)
		return REFUSAL_LMC;
	if (port->lid == 0 || port->lid > LID_UNICAST_MAX)
		return REFUSAL_NO_LID;
	return REFUSAL_NONE;
}

static enum refusal pair_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct swap_request *request, struct pair *pair)
{
	uint32_t vm = view_find_end_port(view, request->vm_port_guid);
	uint32_t occupant;
	enum refusal refused;

	if (vm == VIEW_NONE)
		return REFUSAL_UNKNOWN_PORT;
	if (request->vm_node_guid && view->end_ports[vm].node_guid != request->vm_node_guid)
		return REFUSAL_UNKNOWN_PORT;
	pair->vm = vm;
	refused = model->slot(view, view_place_of(view, vm), &occupant);
	if (!refused)
		refused = model->slot(view, request->to, &pair->other);
	if (!refused && pair->other == vm)
		refused = REFUSAL_SAME_PLACE;
	if (!refused)
		refused = end_port_movable(view, pair->vm);
	if (!refused)
		refused = end_port_movable(view, pair->other);
	return refused;
}

static enum refusal tables_cover(const struct fabric_view *view, uint16_t a, uint16_t b)
{
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];

		if (!sw->lft || a >= sw->lft_entries || b >= sw->lft_entries)
			return REFUSAL_NO_LFT;
	}
	return REFUSAL_NONE;
}

/* Do the tables lead to @a_at for @a and to @b_at for @b? */
static enum refusal routes_lead(const struct fabric_view *view, uint16_t a, struct view_place a_at,
        uint16_t b, struct view_place b_at, bool *lead)
{
	bool a_leads = false, b_leads = false;

	if (view_leads_to(view, a, a_at, &a_leads) || view_leads_to(view, b, b_at, &b_leads))
		return REFUSAL_NO_MEMORY;
	*lead = a_leads && b_leads;
	return REFUSAL_NONE;
}

static struct plan_identity identity_of(const struct view_end_port *port)
{
	return (struct plan_identity){port->port_guid, port->node_guid, port->lid};
}

static void change_add(struct plan *plan, const struct view_switch *sw, uint16_t block)
{
	struct plan_change *change = &plan->changes[plan->change_count++];
	uint32_t first = block * LFT_BLOCK_LIDS;
	uint16_t a = plan->vm.lid, b = plan->other.lid;

	*change = (struct plan_change){
	        .switch_guid = sw->guid, .block = block, .is_vswitch = sw->is_vswitch};
	memcpy(change->before, sw->lft + first, LFT_BLOCK_LIDS);
	memcpy(change->after, sw->lft + first, LFT_BLOCK_LIDS);
	if (a / LFT_BLOCK_LIDS == block)
		change->after[a - first] = sw->lft[b];
	if (b / LFT_BLOCK_LIDS == block)
		change->after[b - first] = sw->lft[a];
	if (sw->is_vswitch)
		plan->counts.lft_vswitch++;
	else
		plan->counts.lft_physical++;
}

static enum refusal changes_add(const struct fabric_view *view, struct plan *plan)
{
	uint16_t a = plan->vm.lid / LFT_BLOCK_LIDS, b = plan->other.lid / LFT_BLOCK_LIDS;

	plan->changes = calloc(view->switch_count * 2 + 1, sizeof(*plan->changes));
	if (!plan->changes)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[view->switches_by_guid[i]];

		if (sw->lft[plan->vm.lid] == sw->lft[plan->other.lid])
			continue;
		change_add(plan, sw, a < b ? a : b);
		if (a != b)
			change_add(plan, sw, a < b ? b : a);
	}
	return REFUSAL_NONE;
}

/* Blocks in which the tables at the two places differ: each is written at both. */
static uint32_t pkey_sets_count(
        const struct fabric_view *view, const struct pair *pair, enum pkey_holder holder)
{
	static const uint8_t empty[PKEY_BLOCK_BYTES];
	uint32_t count = 0;

	if (!view->pkey_block)
		return 0;
	for (unsigned block = 0;; block++) {
		const uint8_t *a = view->pkey_block(&view->end_ports[pair->vm], holder, block);
		const uint8_t *b = view->pkey_block(&view->end_ports[pair->other], holder, block);

		if (!a && !b)
			return count;
		if (memcmp(a ? a : empty, b ? b : empty, PKEY_BLOCK_BYTES))
			count += 2;
	}
}

static void counts_add(
        const struct fabric_view *view, const struct pair *pair, struct plan_counts *counts)
{
	counts->pkey = pkey_sets_count(view, pair, PKEYS_OF_CA) +
	               pkey_sets_count(view, pair, PKEYS_OF_SWITCH_PORT);
	counts->portinfo = 2;
	counts->groups = view->end_ports[pair->vm].groups + view->end_ports[pair->other].groups;
}

static uint64_t identity_hash(
        uint64_t hash, const struct plan_identity *identity, struct view_place place)
{
	hash = content_hash_number(hash, identity->port_guid);
	hash = content_hash_number(hash, identity->node_guid);
	hash = content_hash_number(hash, identity->lid);
	hash = content_hash_number(hash, place.switch_guid);
	return content_hash_number(hash, place.port);
}

static uint64_t plan_hash(const struct plan *plan)
{
	uint64_t hash = content_hash_number(CONTENT_HASH_START, plan->generation);

	hash = identity_hash(hash, &plan->vm, plan->from);
	hash = identity_hash(hash, &plan->other, plan->to);
	for (uint32_t i = 0; i < plan->change_count; i++) {
		const struct plan_change *change = &plan->changes[i];

		hash = content_hash_number(hash, change->switch_guid);
		hash = content_hash_number(hash, change->block);
		hash = content_hash(hash, change->before, LFT_BLOCK_LIDS);
		hash = content_hash(hash, change->after, LFT_BLOCK_LIDS);
	}
	return hash;
}

static enum refusal plan_fill(
        const struct fabric_view *view, const struct pair *pair, struct plan *plan)
{
	enum refusal refused;
	bool lead;

	plan->generation = view_generation(view);
	plan->vm = identity_of(&view->end_ports[pair->vm]);
	plan->other = identity_of(&view->end_ports[pair->other]);
	plan->from = view_place_of(view, pair->vm);
	plan->to = view_place_of(view, pair->other);
	refused = tables_cover(view, plan->vm.lid, plan->other.lid);
	if (refused)
		return refused;
	refused = routes_lead(view, plan->vm.lid, plan->from, plan->other.lid, plan->to, &lead);
	if (refused)
		return refused;
	if (!lead)
		return REFUSAL_NOT_ROUTED;
	refused = changes_add(view, plan);
	if (refused)
		return refused;
	counts_add(view, pair, &plan->counts);
	plan->hash = plan_hash(plan);
	return REFUSAL_NONE;
}

enum refusal plan_swap(const struct fabric_view *view, const struct endpoint_model *model,
        const struct swap_request *request, struct plan **plan)
{
	struct pair pair;
	struct plan *made;
	enum refusal refused = pair_find(view, model, request, &pair);

	if (refused)
		return refused;
	made = calloc(1, sizeof(*made));
	if (!made)
		return REFUSAL_NO_MEMORY;
	refused = plan_fill(view, &pair, made);
	if (refused) {
		plan_destroy(made);
		return refused;
	}
	*plan = made;
	return REFUSAL_NONE;
}

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	free(plan->changes);
	free(plan);
}

/* Is the identity known as the plan has it, at its old place, its new one, or nowhere just now? */
static bool identity_stands(const struct fabric_view *view, const struct plan_identity *identity,
        struct view_place from, struct view_place to, bool *arrived)
{
	uint32_t index = view_find_end_port(view, identity->port_guid);
	struct view_place at;

	if (index == VIEW_NONE || view->end_ports[index].node_guid != identity->node_guid ||
	        view->end_ports[index].lid != identity->lid || view->end_ports[index].lmc)
		return false;
	at = view_place_of(view, index);
	*arrived = view_place_equal(at, to);
	return *arrived || at.switch_guid == 0 || view_place_equal(at, from);
}

/* The plan's first change of a switch: the two entries can be read from it and its neighbour. */
static const struct plan_change *change_find(const struct plan *plan, uint64_t switch_guid)
{
	uint32_t low = 0, high = plan->change_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (plan->changes[middle].switch_guid < switch_guid)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == plan->change_count || plan->changes[low].switch_guid != switch_guid)
		return NULL;
	return &plan->changes[low];
}

static uint8_t change_entry_before(
        const struct plan *plan, const struct plan_change *change, uint16_t lid)
{
	if (change->block != lid / LFT_BLOCK_LIDS)
		change++;
	return change < plan->changes + plan->change_count ? change->before[lid % LFT_BLOCK_LIDS]
	                                                   : LFT_NO_PORT;
}

enum entries { ENTRIES_DONE, ENTRIES_TO_EXCHANGE, ENTRIES_FOREIGN };

static enum entries entries_of(const struct plan *plan, const struct view_switch *sw)
{
	const struct plan_change *change = change_find(plan, sw->guid);
	uint8_t vm_now = sw->lft[plan->vm.lid], other_now = sw->lft[plan->other.lid];
	uint8_t vm_before, other_before;

	if (!change)
		return vm_now == other_now ? ENTRIES_DONE : ENTRIES_FOREIGN;
	vm_before = change_entry_before(plan, change, plan->vm.lid);
	other_before = change_entry_before(plan, change, plan->other.lid);
	if (vm_now == vm_before && other_now == other_before)
		return ENTRIES_TO_EXCHANGE;
	if (vm_now == other_before && other_now == vm_before)
		return ENTRIES_DONE;
	return ENTRIES_FOREIGN;
}

static enum refusal switches_left(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	left->switches = calloc(view->switch_count + 1, sizeof(*left->switches));
	if (!left->switches)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < view->switch_count; i++) {
		uint32_t sw = view->switches_by_guid[i];

		switch (entries_of(plan, &view->switches[sw])) {
		case ENTRIES_TO_EXCHANGE:
			left->switches[left->switch_count++] = sw;
			break;
		case ENTRIES_FOREIGN:
			return REFUSAL_STALE_PLAN;
		case ENTRIES_DONE:
			break;
		}
	}
	return REFUSAL_NONE;
}

static enum refusal left_find(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	bool vm_arrived, other_arrived;
	enum refusal refused;

	if (!identity_stands(view, &plan->vm, plan->from, plan->to, &vm_arrived) ||
	        !identity_stands(view, &plan->other, plan->to, plan->from, &other_arrived))
		return REFUSAL_STALE_PLAN;
	refused = tables_cover(view, plan->vm.lid, plan->other.lid);
	if (refused)
		return refused;
	left->links_done = vm_arrived && other_arrived;
	refused = routes_lead(
	        view, plan->vm.lid, plan->to, plan->other.lid, plan->from, &left->routes_done);
	if (refused || left->routes_done)
		return refused;
	if (view_generation(view) != plan->generation)
		return REFUSAL_STALE_PLAN;
	return switches_left(view, plan, left);
}

enum refusal plan_left(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	enum refusal refused;

	*left = (struct plan_left){0};
	refused = left_find(view, plan, left);
	if (refused)
		plan_left_clear(left);
	return refused;
}

void plan_left_clear(struct plan_left *left)
{
	free(left->switches);
	*left = (struct plan_left){0};
}
