/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>

#include <stdlib.h>
#include <string.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/monotonic.h"
#include "sm-side/identity/identity_move.h"
#include "sm-side/plugin/osm_lids.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/plan/undo.h"
#include "sm-side/plugin/plan_maker.h"
#include "sm-side/plugin/plan_store.h"
#include "sm-side/plugin/plugin_ops.h"
#include "sm-side/plugin/sweep_lease.h"

/* Whether plans may be made at all now. */
static enum refusal may_plan(struct plugin *plugin, bool has_sl)
{
	if (!sweep_lease_is_master(plugin->lease))
		return REFUSAL_NOT_MASTER;
	return !has_sl && plugin_engine_chooses_sl(plugin) ? REFUSAL_SL_BY_PATH : REFUSAL_NONE;
}

static enum refusal take_over(struct plan *plan, struct identity_move **move)
{
	*move = identity_move_create(plan);
	return *move ? REFUSAL_NONE : REFUSAL_NO_MEMORY;
}

static enum stability stability_of(struct plugin *plugin, const struct fabric_view *view,
        const struct plan_request *request, const struct plan *plan)
{
	char engine[ENGINE_NAME_BYTES];

	plugin_engine_name(plugin, engine);
	return plan_stability(view, plugin->options.model, request, plan, engine);
}

static bool has_kind(const struct plan_request *request, enum plan_move_kind kind)
{
	for (uint32_t i = 0; i < request->move_count; i++)
		if (request->moves[i].kind == kind)
			return true;
	return false;
}

/*
 * Who has been promised a LID gets it: whoever asks again has died before the VM came, or has seen
 * OpenSM die. Who does not come after all leaves it.
 */
static enum refusal lid_as_promised(
        const struct plugin *plugin, struct plan_move_request *move, struct lid_pool *lids)
{
	uint16_t promised = osm_lids_promised(plugin->lids, move->vm_port_guid);

	/* Whose end has been applied OpenSM knows until a sweep has come by. */
	if (move->kind == VM_DESTROY && !promised)
		return REFUSAL_UNKNOWN_PORT;
	if (move->kind == VM_DESTROY)
		move->lid = promised;
	if (move->kind != VM_CREATE || !promised)
		return REFUSAL_NONE;
	if (move->lid && move->lid != promised)
		return REFUSAL_LID_IN_USE;
	move->lid = promised;
	return lid_pool_give_back(lids, promised, 0) ? REFUSAL_NO_MEMORY : REFUSAL_NONE;
}

static enum refusal moves_as_promised(const struct plugin *plugin, struct plan_move_request *moves,
        uint32_t count, struct lid_pool *lids)
{
	enum refusal refused = REFUSAL_NONE;

	for (uint32_t i = 0; i < count && !refused; i++)
		refused = lid_as_promised(plugin, &moves[i], lids);
	if (lids)
		lid_pool_wake(lids, monotonic_ns());
	return refused;
}

static enum refusal make_with_lids(const struct plugin *plugin, const struct fabric_view *view,
        const struct plan_request *request, struct plan **plan)
{
	/* They are looked for only where somebody needs one: there are many. */
	bool creates = has_kind(request, VM_CREATE);
	struct lid_pool *lids = creates ? osm_lids_free_ones(plugin->lids) : NULL;
	struct plan_move_request *moves = calloc(request->move_count, sizeof(*moves));
	struct plan_request with_lids = *request;
	enum refusal refused = REFUSAL_NO_MEMORY;

	if (moves && (lids || !creates)) {
		memcpy(moves, request->moves, request->move_count * sizeof(*moves));
		with_lids.lids = lids;
		with_lids.moves = moves;
		refused = moves_as_promised(plugin, moves, request->move_count, lids);
		if (!refused)
			refused = plan_make(view, plugin->options.model, &with_lids, plan);
	}
	free(moves);
	lid_pool_destroy(lids);
	return refused;
}

static enum refusal make_one(const struct plugin *plugin, const struct fabric_view *view,
        const struct plan_request *request, struct plan **plan)
{
	if (has_kind(request, VM_CREATE) || has_kind(request, VM_DESTROY))
		return make_with_lids(plugin, view, request, plan);
	return plan_make(view, plugin->options.model, request, plan);
}

static enum refusal plan_locked(struct plugin *plugin, const struct plan_request *request,
        struct plan **plan, struct plan_note *note)
{
	uint64_t start = monotonic_ns(), viewed;
	struct fabric_view *view;
	enum refusal refused;

	*note = (struct plan_note){0};
	view = osm_model_view(plugin->osm);
	if (!view)
		return REFUSAL_NO_MEMORY;
	viewed = monotonic_ns();
	refused = make_one(plugin, view, request, plan);
	if (!refused)
		note->stability = stability_of(plugin, view, request, *plan);
	note->view_ns = viewed - start;
	note->plan_ns = monotonic_ns() - viewed;
	fabric_view_destroy(view);
	return refused;
}

enum refusal plan_maker_plan(struct plugin *plugin, const struct plan_request *request, bool has_sl,
        struct identity_move **move, struct plan_note *note)
{
	struct plan *plan = NULL;
	enum refusal refused = may_plan(plugin, has_sl);

	if (refused)
		return refused;
	CL_PLOCK_ACQUIRE(&plugin->osm->lock);
	refused = plan_locked(plugin, request, &plan, note);
	CL_PLOCK_RELEASE(&plugin->osm->lock);
	return refused ? refused : take_over(plan, move);
}

int plan_maker_paths(struct plugin *plugin, const struct plan *plan, const uint16_t *peers,
        uint32_t peer_count, struct plan_path **paths, uint32_t *count)
{
	struct fabric_view *view;
	int error = -ENOMEM;

	CL_PLOCK_ACQUIRE(&plugin->osm->lock);
	view = osm_model_view(plugin->osm);
	if (view)
		error = plan_paths(view, plan, peers, peer_count, paths, count);
	CL_PLOCK_RELEASE(&plugin->osm->lock);
	fabric_view_destroy(view);
	return error;
}

/* Is nothing of @plan left but what a sweep does not do? */
static bool is_done_by_sweep(osm_opensm_t *osm, const struct plan *plan)
{
	struct plan_left left = {0};
	struct fabric_view *view;
	bool is_done = false;

	CL_PLOCK_ACQUIRE(&osm->lock);
	view = osm_model_view(osm);
	if (view && plan_left(view, plan, &left) == REFUSAL_NONE) {
		is_done = left.links_done && left.routes_done;
		plan_left_clear(&left);
	}
	CL_PLOCK_RELEASE(&osm->lock);
	fabric_view_destroy(view);
	return is_done;
}

struct identity_move *plan_maker_unfinished(
        struct plugin *plugin, const struct plan_request *request)
{
	struct identity_move *move = plan_store_take_unfinished(plugin->plans, request);

	if (!move || is_done_by_sweep(plugin->osm, identity_move_plan(move)))
		return move;
	plan_store_put(plugin->plans, move);
	return NULL;
}

/* Of one that had not come there is nowhere to come back to. */
static bool was_somewhere(const struct plan_move *move)
{
	return move->from.switch_guid || move->to.switch_guid;
}

/* Do the moves of @request lead back where those of @plan came from? */
static bool leads_back(const struct plan_request *request, const struct plan *plan)
{
	if (request->move_count != plan->move_count)
		return false;
	for (uint32_t i = 0; i < plan->move_count; i++)
		if (request->moves[i].vm_port_guid != plan->moves[i].vm.port_guid ||
		        !was_somewhere(&plan->moves[i]) ||
		        !view_place_equal(request->moves[i].to, plan->moves[i].from))
			return false;
	return true;
}

static enum refusal undo_locked(
        const struct plugin *plugin, const struct plan *done, struct plan **back)
{
	struct fabric_view *view = osm_model_view(plugin->osm);
	enum refusal refused;

	if (!view)
		return REFUSAL_NO_MEMORY;
	refused = plan_undo(view, plugin->options.model, done, back);
	fabric_view_destroy(view);
	return refused;
}

static enum refusal undo_of(struct plugin *plugin, const struct plan *done, struct plan **back)
{
	enum refusal refused;

	CL_PLOCK_ACQUIRE(&plugin->osm->lock);
	refused = undo_locked(plugin, done, back);
	CL_PLOCK_RELEASE(&plugin->osm->lock);
	return refused;
}

enum refusal plan_maker_undo(struct plugin *plugin, const struct plan_request *request,
        const uint64_t *done, struct identity_move **undo)
{
	struct identity_move *move = done ? plan_store_take(plugin->plans, *done) : NULL;
	enum refusal refused = REFUSAL_UNKNOWN_PLAN;
	struct plan *back = NULL;
	struct plan_note note;

	if (move && leads_back(request, identity_move_plan(move)))
		refused = undo_of(plugin, identity_move_plan(move), &back);
	if (move)
		plan_store_put(plugin->plans, move);
	if (refused == REFUSAL_UNKNOWN_PLAN)
		return plan_maker_plan(plugin, request, true, undo, &note);
	return refused ? refused : take_over(back, undo);
}
