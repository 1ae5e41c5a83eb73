/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/copy.h"
#include "sm-side/plan/swap.h"

/* The VM of the request, which the view knows. */
static enum refusal vm_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct plan_move *move)
{
	uint32_t vm = view_find_end_port(view, request->vm_port_guid);
	enum refusal refused;
	uint32_t occupant;

	if (vm == VIEW_NONE)
		return REFUSAL_UNKNOWN_PORT;
	if (request->vm_node_guid && view->end_ports[vm].node_guid != request->vm_node_guid)
		return REFUSAL_UNKNOWN_PORT;
	refused = model->slot(view, view_place_of(view, vm), &occupant);
	if (!refused)
		refused = swap_end_port_movable(&view->end_ports[vm]);
	if (refused)
		return refused;
	move->vm = swap_identity_of(&view->end_ports[vm]);
	move->from = view_place_of(view, vm);
	return REFUSAL_NONE;
}

/* The empty slot of the request, and the PF beside it. */
static enum refusal slot_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct plan_move *move)
{
	enum refusal refused;
	uint32_t pf;

	if (!model->empty_slot)
		return REFUSAL_NOT_A_VSWITCH_SLOT;
	refused = model->empty_slot(view, request->to, &pf);
	if (refused)
		return refused;
	if (view->end_ports[pf].lid == 0 || view->end_ports[pf].lid > LID_UNICAST_MAX)
		return REFUSAL_NO_LID;
	move->other = swap_identity_of(&view->end_ports[pf]);
	move->to = request->to;
	return REFUSAL_NONE;
}

/* An SM takes two ports of one NodeGUID for one node's, and a GUID that two have for a fault. */
static bool guid_is_known(const struct fabric_view *view, uint64_t guid)
{
	for (uint32_t i = 0; i < view->end_port_count; i++)
		if (view->end_ports[i].node_guid == guid || view->end_ports[i].port_guid == guid)
			return true;
	return view_find_switch(view, guid) != VIEW_NONE;
}

static enum refusal identity_make(const struct fabric_view *view,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move)
{
	if (!request->vm_node_guid)
		return REFUSAL_BAD_REQUEST;
	if (guid_is_known(view, request->vm_port_guid) ||
	        guid_is_known(view, request->vm_node_guid))
		return REFUSAL_GUID_IN_USE;
	move->vm =
	        (struct plan_identity){request->vm_port_guid, request->vm_node_guid, request->lid};
	if (!request->lid)
		return lid_pool_take(lids, &move->vm.lid);
	if (!lid_pool_is_free(lids, request->lid))
		return REFUSAL_LID_IN_USE;
	lid_pool_hold(lids, request->lid);
	return REFUSAL_NONE;
}

/* By an earlier attempt, or since a sweep has seen it come. */
static bool is_there_already(
        const struct fabric_view *view, const struct plan_move_request *request)
{
	uint32_t vm = view_find_end_port(view, request->vm_port_guid);

	return vm != VIEW_NONE && view_place_equal(view_place_of(view, vm), request->to);
}

bool copy_slot_is_promised(const struct fabric_view *view, struct view_place place, uint16_t lid)
{
	uint32_t index = view_find_switch(view, place.switch_guid);
	const struct view_switch *sw = index == VIEW_NONE ? NULL : &view->switches[index];

	for (uint32_t other = 1; sw && other < sw->lft_entries; other++)
		if (other != lid && view_lft_entry(sw, (uint16_t)other) == place.port)
			return true;
	return false;
}

/* One that does not come after all: what is left of it are its LID and perhaps its routes. */
static enum refusal promised_find(const struct fabric_view *view,
        const struct plan_move_request *request, struct plan_move *move)
{
	if (!request->lid || view_holds_lid(view, request->lid))
		return REFUSAL_UNKNOWN_PORT;
	move->vm =
	        (struct plan_identity){request->vm_port_guid, request->vm_node_guid, request->lid};
	return REFUSAL_NONE;
}

static enum refusal destroy_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct plan_move *move)
{
	if (view_find_end_port(view, request->vm_port_guid) == VIEW_NONE)
		return promised_find(view, request, move);
	return vm_find(view, model, request, move);
}

/* Somebody comes to an empty slot. */
static enum refusal arrival_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move)
{
	enum refusal refused;

	if (is_there_already(view, request))
		return REFUSAL_SAME_PLACE;
	refused = slot_find(view, model, request, move);
	if (refused)
		return refused;
	refused = request->kind == VM_CREATE ? identity_make(view, request, lids, move)
	                                     : vm_find(view, model, request, move);
	if (!refused && copy_slot_is_promised(view, move->to, move->vm.lid))
		refused = REFUSAL_SLOT_IN_USE;
	return refused;
}

enum refusal copy_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move)
{
	struct plan_move found = {.kind = request->kind};
	enum refusal refused;

	if (request->kind == VM_DESTROY)
		refused = destroy_find(view, model, request, &found);
	else
		refused = arrival_find(view, model, request, lids, &found);
	if (!refused)
		*move = found;
	return refused;
}
