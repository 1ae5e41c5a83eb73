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

/* The entry that a switch shall have for each of the two LIDs. */
struct entries {
	uint16_t lids[2];
	uint8_t ports[2];
};

static void change_add(struct plan_change **next, const struct view_switch *sw, uint16_t block,
        const struct entries *wanted)
{
	const uint8_t *now = sw->lft + (size_t)block * LFT_BLOCK_LIDS;
	struct plan_change *change = *next;

	*change = (struct plan_change){
	        .switch_guid = sw->guid, .block = block, .is_vswitch = sw->is_vswitch};
	memcpy(change->before, now, LFT_BLOCK_LIDS);
	memcpy(change->after, now, LFT_BLOCK_LIDS);
	for (int i = 0; i < 2; i++)
		if (wanted->lids[i] / LFT_BLOCK_LIDS == block)
			change->after[wanted->lids[i] % LFT_BLOCK_LIDS] = wanted->ports[i];
	if (memcmp(change->before, change->after, LFT_BLOCK_LIDS))
		*next = change + 1;
}

/* The Sets that give @sw the entries @wanted, lower block first. */
static void changes_add(
        struct plan_change **next, const struct view_switch *sw, const struct entries *wanted)
{
	uint16_t a = wanted->lids[0] / LFT_BLOCK_LIDS, b = wanted->lids[1] / LFT_BLOCK_LIDS;

	change_add(next, sw, a < b ? a : b, wanted);
	if (a != b)
		change_add(next, sw, a < b ? b : a, wanted);
}

static enum refusal swap_changes(const struct fabric_view *view, struct plan *plan)
{
	uint16_t vm = plan->vm.lid, other = plan->other.lid;
	struct plan_change *next = calloc(view->switch_count * 2 + 1, sizeof(*next));

	if (!next)
		return REFUSAL_NO_MEMORY;
	plan->changes = next;
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[view->switches_by_guid[i]];

		changes_add(
		        &next, sw, &(struct entries){{vm, other}, {sw->lft[other], sw->lft[vm]}});
	}
	plan->change_count = (uint32_t)(next - plan->changes);
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

static void counts_add(const struct fabric_view *view, const struct pair *pair, struct plan *plan)
{
	struct plan_counts *counts = &plan->counts;

	for (uint32_t i = 0; i < plan->change_count; i++) {
		if (plan->changes[i].is_vswitch)
			counts->lft_vswitch++;
		else
			counts->lft_physical++;
	}
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
	refused = swap_changes(view, plan);
	if (refused)
		return refused;
	counts_add(view, pair, plan);
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

struct plan *plan_reverse(const struct plan *plan)
{
	struct plan *back = calloc(1, sizeof(*back));

	if (!back)
		return NULL;
	*back = *plan;
	back->from = plan->to;
	back->to = plan->from;
	back->changes = calloc(plan->change_count + 1, sizeof(*back->changes));
	if (!back->changes) {
		free(back);
		return NULL;
	}
	for (uint32_t i = 0; i < plan->change_count; i++) {
		const struct plan_change *change = &plan->changes[i];

		back->changes[i] = *change;
		memcpy(back->changes[i].before, change->after, LFT_BLOCK_LIDS);
		memcpy(back->changes[i].after, change->before, LFT_BLOCK_LIDS);
	}
	back->hash = plan_hash(back);
	return back;
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

/* The plan's first change of a switch; a second one follows it. */
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

/* What the plan found for @lid in a switch that it changes. */
static uint8_t entry_before(const struct plan *plan, const struct plan_change *change, uint16_t lid)
{
	if (change->block != lid / LFT_BLOCK_LIDS)
		change++;
	return change < plan->changes + plan->change_count ? change->before[lid % LFT_BLOCK_LIDS]
	                                                   : LFT_NO_PORT;
}

/* Are the two entries of @sw what the plan found or what it wants? If so, *@wanted is the latter.
 */
static bool entries_are_the_plans(
        const struct plan *plan, const struct view_switch *sw, struct entries *wanted)
{
	const struct plan_change *change = change_find(plan, sw->guid);
	uint8_t vm_now = sw->lft[plan->vm.lid], other_now = sw->lft[plan->other.lid];
	uint8_t vm, other;

	vm = change ? entry_before(plan, change, plan->vm.lid) : vm_now;
	other = change ? entry_before(plan, change, plan->other.lid) : vm_now;
	*wanted = (struct entries){{plan->vm.lid, plan->other.lid}, {other, vm}};
	return (vm_now == vm || vm_now == other) && (other_now == vm || other_now == other);
}

static enum refusal changes_left(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	struct plan_change *next = calloc(view->switch_count * 2 + 1, sizeof(*next));

	if (!next)
		return REFUSAL_NO_MEMORY;
	left->changes = next;
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[view->switches_by_guid[i]];
		struct entries wanted;

		if (!entries_are_the_plans(plan, sw, &wanted))
			return REFUSAL_STALE_PLAN;
		changes_add(&next, sw, &wanted);
	}
	left->change_count = (uint32_t)(next - left->changes);
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
	return changes_left(view, plan, left);
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
	free(left->changes);
	*left = (struct plan_left){0};
}
