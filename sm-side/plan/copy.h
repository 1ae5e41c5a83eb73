/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Dynamic LIDs (vSwitch paper, section V): only slots with a VM have a LID, and their VFs' links
 * are up. A VM that comes to an empty slot takes the routes of the PF there: on every switch its
 * entry becomes what the PF's is, but at the vSwitch, where it is the slot's port. One Set for each
 * switch that changes, whatever the LIDs. A VM that ends leaves no entry behind.
 *
 * The PF is the end port at the lowest port of the vSwitch that has one. That is a matter of
 * balance alone: the routes of any end port behind the same vSwitch lead there. Pure.
 */
#ifndef TETHER_PLAN_COPY_H
#define TETHER_PLAN_COPY_H

#include "sm-side/plan/lid_pool.h"
#include "sm-side/plan/plan.h"

/*
 * MOVE_COPY, VM_CREATE, VM_DESTROY. @lids: what is free, also of the moves of this plan that were
 * found before; VM_CREATE takes from it, the others may have NULL. *@move is written where
 * REFUSAL_NONE is returned.
 */
enum refusal copy_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct lid_pool *lids, struct plan_move *move);

/* Is a LID other than @lid led to @place by the switch there? Whoever has it is to come: the slot
 * is no longer empty. */
bool copy_slot_is_promised(const struct fabric_view *view, struct view_place place, uint16_t lid);

#endif
