/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>

#include "sm-side/plan/steps.h"
#include "sm-side/plan/undo.h"

static struct plan_move_request request_of(const struct plan_move *move)
{
	return (struct plan_move_request){
	        .kind = move->kind,
	        .vm_port_guid = move->vm.port_guid,
	        .vm_node_guid = move->vm.node_guid,
	        .to = move->to,
	        .lid = move->vm.lid,
	        .other_in_use = move->other_in_use,
	};
}

/* The moves of @plan, asked for anew. */
static enum refusal plan_again(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan *plan, struct plan **again)
{
	struct plan_move_request *moves = calloc(plan->move_count, sizeof(*moves));
	struct plan_request request = {
	        .order = plan->order,
	        .reach = plan->reach,
	        .move_count = plan->move_count,
	        .moves = moves,
	};
	enum refusal refused;

	if (!moves)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < plan->move_count; i++)
		moves[i] = request_of(&plan->moves[i]);
	refused = plan_make(view, model, &request, again);
	free(moves);
	return refused;
}

/* Is everybody who moves where they came from? Then there is no move back to plan. */
static bool have_gone_back(const struct plan *reverse, bool arrived)
{
	for (uint32_t i = 0; i < reverse->transfer_count; i++)
		if (plan_transfer_moves(&reverse->transfers[i]))
			return arrived;
	return false;
}

static enum refusal undo_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan *done, struct plan **back)
{
	struct plan *reverse = plan_reverse(done);
	struct plan_left left;
	enum refusal refused;
	bool arrived;

	if (!reverse)
		return REFUSAL_NO_MEMORY;
	refused = plan_left(view, reverse, &left);
	if (!refused) {
		plan_left_clear(&left);
		*back = reverse;
		return REFUSAL_NONE;
	}
	if (refused == REFUSAL_STALE_PLAN && plan_identities_stand(view, reverse, &arrived) &&
	        !have_gone_back(reverse, arrived))
		refused = plan_again(view, model, reverse, back);
	plan_destroy(reverse);
	return refused;
}

enum refusal plan_undo(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan *done, struct plan **back)
{
	enum refusal refused = undo_find(view, model, done, back);

	if (!refused)
		(*back)->leads_back = true;
	return refused;
}
