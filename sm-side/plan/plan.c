/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/compose.h"
#include "sm-side/plan/content_hash.h"
#include "sm-side/plan/count.h"
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

static enum refusal find_moves(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, struct plan *plan)
{
	if (request->move_count == 0)
		return REFUSAL_BAD_REQUEST;
	plan->moves = calloc(request->move_count, sizeof(*plan->moves));
	if (!plan->moves)
		return REFUSAL_NO_MEMORY;
	plan->move_count = request->move_count;
	for (uint32_t i = 0; i < request->move_count; i++) {
		const struct plan_move_request *wanted = &request->moves[i];
		enum refusal refused = wanted->kind == MOVE_SWAP
		                               ? swap_find(view, model, wanted, &plan->moves[i])
		                               : REFUSAL_BAD_REQUEST;

		if (refused)
			return refused;
	}
	return REFUSAL_NONE;
}

enum refusal plan_tables_cover(const struct fabric_view *view, const struct plan *plan)
{
	uint16_t highest =
	        plan->transfer_count ? plan->transfers[plan->transfer_count - 1].identity.lid : 0;

	for (uint32_t i = 0; i < view->switch_count; i++)
		if (highest >= view->switches[i].lft_entries)
			return REFUSAL_NO_LFT;
	return REFUSAL_NONE;
}

/* The tables have to lead to where each identity is, or their exchange would lead elsewhere, too.
 */
static enum refusal routes_lead(const struct fabric_view *view, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];
		bool leads = false;

		if (view_leads_to(view, transfer->identity.lid, transfer->from, &leads))
			return REFUSAL_NO_MEMORY;
		if (!leads)
			return REFUSAL_NOT_ROUTED;
	}
	return REFUSAL_NONE;
}

static enum refusal find_entries(
        const struct fabric_view *view, const struct relabel *relabels, struct plan *plan)
{
	struct entry_list entries = {0};
	enum refusal refused;

	if (plan->reach == PLAN_MINIMUM)
		refused = plan_reach_minimum(view, relabels, plan->transfer_count, &entries);
	else
		refused = error_to_refusal(
		        relabel_entries(view, relabels, plan->transfer_count, &entries));
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
		refused = compose(view, plan, &relabels);
	if (!refused)
		refused = plan_tables_cover(view, plan);
	if (!refused)
		refused = routes_lead(view, plan);
	if (!refused)
		refused = find_entries(view, relabels, plan);
	free(relabels);
	if (!refused)
		refused = plan_make_sets(view, plan, plan->entries, plan->entry_count, &plan->sets);
	if (refused)
		return refused;
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
