/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/swap.h"

enum refusal swap_end_port_movable(const struct view_end_port *port)
{
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

struct plan_identity swap_identity_of(const struct view_end_port *port)
{
	return (struct plan_identity){port->port_guid, port->node_guid, port->lid};
}

enum refusal swap_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct plan_move *move)
{
	uint32_t vm = view_find_end_port(view, request->vm_port_guid);
	uint32_t occupant, other;
	enum refusal refused;

	if (vm == VIEW_NONE)
		return REFUSAL_UNKNOWN_PORT;
	if (request->vm_node_guid && view->end_ports[vm].node_guid != request->vm_node_guid)
		return REFUSAL_UNKNOWN_PORT;
	refused = model->slot(view, view_place_of(view, vm), &occupant);
	if (!refused)
		refused = model->slot(view, request->to, &other);
	if (!refused && other == vm)
		refused = REFUSAL_SAME_PLACE;
	if (!refused)
		refused = swap_end_port_movable(&view->end_ports[vm]);
	if (!refused)
		refused = swap_end_port_movable(&view->end_ports[other]);
	if (refused)
		return refused;
	*move = (struct plan_move){
	        .kind = MOVE_SWAP,
	        .vm = swap_identity_of(&view->end_ports[vm]),
	        .other = swap_identity_of(&view->end_ports[other]),
	        .from = view_place_of(view, vm),
	        .to = request->to,
	        .other_in_use = request->other_in_use,
	};
	return REFUSAL_NONE;
}
