/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/channel_dependencies.h"
#include "sm-side/plan/compose.h"
#include "sm-side/plan/content_hash.h"
#include "sm-side/plan/copy.h"
#include "sm-side/plan/count.h"
#include "sm-side/plan/elsewhere.h"
#include "sm-side/plan/explain.h"
#include "sm-side/plan/merge.h"
#include "sm-side/plan/order.h"
#include "sm-side/plan/plan.h"
#include "sm-side/plan/reach.h"
#include "sm-side/plan/route.h"
#include "sm-side/plan/steps.h"
#include "sm-side/plan/swap.h"

static enum refusal error_to_refusal(int error)
{
	return error == 0         ? REFUSAL_NONE
	       : error == -ENOMEM ? REFUSAL_NO_MEMORY
	                          : REFUSAL_BAD_REQUEST;
}

static enum refusal find_one(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move)
{
	switch (request->kind) {
	case MOVE_SWAP:
		return swap_find(view, model, request, move);
	case MOVE_COPY:
	case VM_CREATE:
	case VM_DESTROY:
		return copy_find(view, model, request, lids, move);
	}
	return REFUSAL_BAD_REQUEST;
}

static bool creates(const struct plan_request *request)
{
	for (uint32_t i = 0; i < request->move_count; i++)
		if (request->moves[i].kind == VM_CREATE)
			return true;
	return false;
}

/* What is free. Only creations ask, so that other plans cost nothing by the number of LIDs. */
static struct lid_pool *free_lids(
        const struct fabric_view *view, const struct plan_request *request)
{
	struct lid_pool *lids =
	        request->lids ? lid_pool_copy(request->lids) : lid_pool_create(LID_LOWEST);

	if (lids)
		lid_pool_hold_view(lids, view);
	return lids;
}

static bool names_its_lid(const struct plan_move_request *request)
{
	return request->kind == VM_CREATE && request->lid;
}

/* LIDs that are asked for are taken before any is chosen, so that the moves' order does not matter.
 */
static enum refusal find_each(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, struct plan *plan)
{
	struct lid_pool *lids = creates(request) ? free_lids(view, request) : NULL;
	enum refusal refused = creates(request) && !lids ? REFUSAL_NO_MEMORY : REFUSAL_NONE;

	for (unsigned chosen = 0; chosen < 2; chosen++)
		for (uint32_t i = 0; i < request->move_count && !refused; i++)
			if (names_its_lid(&request->moves[i]) == !chosen)
				refused = find_one(
				        view, model, &request->moves[i], lids, &plan->moves[i]);
	lid_pool_destroy(lids);
	return refused;
}

static enum refusal find_moves(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, struct plan *plan)
{
	if (request->move_count == 0)
		return REFUSAL_BAD_REQUEST;
	plan->moves = calloc(request->move_count, sizeof(*plan->moves));
	if (!plan->moves)
		return REFUSAL_NO_MEMORY;
	plan->move_count = request->move_count;
	return find_each(view, model, request, plan);
}

/* Or one that should have come and does not. */
static bool is_created(const struct plan_transfer *transfer)
{
	return transfer->from.switch_guid == 0;
}

/* The highest LID of those that are created by the plan, or of those that are not; 0: none is. */
static uint16_t highest_lid(const struct plan *plan, bool created)
{
	for (uint32_t i = plan->transfer_count; i-- > 0;)
		if (is_created(&plan->transfers[i]) == created)
			return plan->transfers[i].identity.lid;
	return 0;
}

enum refusal plan_tables_cover(const struct fabric_view *view, const struct plan *plan)
{
	uint16_t known = highest_lid(plan, false), created = highest_lid(plan, true);

	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];

		if (!view_has_lft(sw) || known >= sw->lft_entries ||
		        (sw->linear_cap && created >= sw->linear_cap))
			return REFUSAL_NO_LFT;
	}
	return REFUSAL_NONE;
}

uint16_t plan_highest_lid_that_comes(const struct plan *plan)
{
	for (uint32_t i = plan->transfer_count; i-- > 0;)
		if (is_created(&plan->transfers[i]) && plan->transfers[i].to.switch_guid)
			return plan->transfers[i].identity.lid;
	return 0;
}

/* How high LinearFDBTop shall be where it is too low for what is created: some way ahead. */
static uint16_t find_top(const struct fabric_view *view, const struct plan *plan)
{
	uint16_t lid = plan_highest_lid_that_comes(plan), top = 0;

	for (uint32_t i = 0; lid && i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[i];
		uint16_t wanted = lid_pool_top(lid, sw->linear_cap);

		if (sw->linear_top && sw->linear_top < lid && (!top || wanted < top))
			top = wanted;
	}
	return top;
}

/* The tables have to lead to where each identity is, or their exchange would lead elsewhere, too.
 */
static enum refusal routes_lead(const struct fabric_view *view, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];
		bool leads = false;

		if (is_created(transfer))
			continue;
		if (view_leads_to(view, transfer->identity.lid, transfer->from, &leads))
			return REFUSAL_NO_MEMORY;
		if (!leads)
			return REFUSAL_NOT_ROUTED;
	}
	return REFUSAL_NONE;
}

/* Whoever is not there yet takes the lane with the routes. */
static bool changes_lane(const struct fabric_view *view, const struct relabel *relabel)
{
	uint32_t port = view_find_lid(view, relabel->lid);
	uint32_t like = view_find_lid(view, relabel->like);

	return port != VIEW_NONE && like != VIEW_NONE &&
	       view->end_ports[port].lane != view->end_ports[like].lane;
}

/* Routes that are another LID's wait for nothing new, unless that one is on another lane. */
static enum refusal lanes_stay_free(const struct fabric_view *view, const struct relabel *relabels,
        uint32_t count, const struct entry_list *entries)
{
	bool is_changed = false, cycle = false;

	for (uint32_t i = 0; i < count; i++)
		is_changed |= changes_lane(view, &relabels[i]);
	if (is_changed && entries_close_cycle(view, entries->at, entries->count, &cycle))
		return REFUSAL_NO_MEMORY;
	return cycle ? REFUSAL_DEADLOCK : REFUSAL_NONE;
}

static enum refusal entries_everywhere(const struct fabric_view *view,
        const struct relabel *relabels, uint32_t count, struct entry_list *entries)
{
	if (relabel_entries(view, relabels, count, entries))
		return REFUSAL_NO_MEMORY;
	return lanes_stay_free(view, relabels, count, entries);
}

static enum refusal find_entries(
        const struct fabric_view *view, const struct relabel *relabels, struct plan *plan)
{
	struct entry_list entries = {0};
	enum refusal refused;

	if (plan->reach == PLAN_MINIMUM)
		refused = plan_reach_minimum(view, relabels, plan->transfer_count, &entries);
	else
		refused = entries_everywhere(view, relabels, plan->transfer_count, &entries);
	if (refused) {
		entries_clear(&entries);
		return refused;
	}
	if (plan->reach == PLAN_MINIMUM)
		entries_sort(&entries);
	plan->entries = entries.at;
	plan->entry_count = entries.count;
	return REFUSAL_NONE;
}

static enum refusal note_elsewhere(const struct fabric_view *view, struct plan *plan)
{
	uint64_t *names = elsewhere_names(view, plan);

	if (!names)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		plan->transfers[i].elsewhere = names[i];
	free(names);
	return REFUSAL_NONE;
}

enum refusal plan_make_sets(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct plan_sets *sets)
{
	if (plan->order == PLAN_FAST)
		return error_to_refusal(plan_merge_sets(view, entries, count, sets));
	return error_to_refusal(plan_order_sets(view, plan, entries, count, sets));
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

uint64_t plan_hash(const struct plan *plan)
{
	uint64_t hash = content_hash_number(CONTENT_HASH_START, plan->generation);

	hash = content_hash_number(hash, (uint64_t)plan->order << 8 | plan->reach);
	for (uint32_t i = 0; i < plan->move_count; i++) {
		const struct plan_move *move = &plan->moves[i];

		hash = content_hash_number(hash, move->kind);
		hash = identity_hash(hash, &move->vm, move->from);
		hash = identity_hash(hash, &move->other, move->to);
	}
	for (uint32_t i = 0; i < plan->sets.change_count; i++) {
		const struct plan_change *change = &plan->sets.changes[i];

		hash = content_hash_number(hash, change->switch_guid);
		hash = content_hash_number(hash, (uint64_t)change->wave << 16 | change->block);
		hash = content_hash(hash, change->before, LFT_BLOCK_LIDS);
		hash = content_hash(hash, change->after, LFT_BLOCK_LIDS);
	}
	return hash;
}

static enum refusal fill(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, struct plan *plan)
{
	struct relabel *relabels = NULL;
	enum refusal refused = view->fault.kind ? REFUSAL_BAD_VIEW : REFUSAL_NONE;

	if (!refused)
		refused = find_moves(view, model, request, plan);
	if (!refused)
		refused = compose(plan, &relabels);
	if (!refused)
		refused = plan_tables_cover(view, plan);
	if (!refused)
		refused = routes_lead(view, plan);
	if (!refused)
		refused = find_entries(view, relabels, plan);
	free(relabels);
	if (!refused)
		refused = note_elsewhere(view, plan);
	if (!refused)
		refused = plan_make_sets(view, plan, plan->entries, plan->entry_count, &plan->sets);
	if (refused)
		return refused;
	plan->linear_top = find_top(view, plan);
	plan->counts = count_sets(view, plan);
	plan->hash = plan_hash(plan);
	return REFUSAL_NONE;
}

enum refusal plan_make(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, struct plan **plan)
{
	struct plan *made = calloc(1, sizeof(*made));
	enum refusal refused;

	if (!made)
		return REFUSAL_NO_MEMORY;
	made->generation = view_generation(view);
	made->order = request->order;
	made->reach = request->reach;
	refused = fill(view, model, request, made);
	if (refused) {
		if (request->fault)
			*request->fault = explain_refusal(view, made, refused);
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
	free(plan->moves);
	free(plan->transfers);
	free(plan->entries);
	plan_sets_clear(&plan->sets);
	free(plan);
}
