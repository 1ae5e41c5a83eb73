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

static enum refusal identity_make(const struct fabric_view *view,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move)
{
	if (!request->vm_node_guid)
		return REFUSAL_BAD_REQUEST;
	if (view_find_end_port(view, request->vm_port_guid) != VIEW_NONE)
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

enum refusal copy_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move)
{
	struct plan_move found = {.kind = request->kind};
	enum refusal refused = REFUSAL_NONE;

	if (request->kind != VM_DESTROY && is_there_already(view, request))
		return REFUSAL_SAME_PLACE;
	if (request->kind != VM_DESTROY)
		refused = slot_find(view, model, request, &found);
	if (!refused && request->kind == VM_CREATE)
		refused = identity_make(view, request, lids, &found);
	else if (!refused)
		refused = vm_find(view, model, request, &found);
	if (!refused)
		*move = found;
	return refused;
}
