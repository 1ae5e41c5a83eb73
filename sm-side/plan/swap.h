/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The move of a VM's identity to another slot where every slot has a LID already (prepopulated
 * LIDs): the identity there comes back in exchange, and each switch exchanges its entries for the
 * two LIDs where they differ. One Set where both LIDs are in one block of 64, else two (vSwitch
 * paper, section VI). Pure.
 */
#ifndef TETHER_PLAN_SWAP_H
#define TETHER_PLAN_SWAP_H

#include "sm-side/plan/plan.h"

/* Who moves where in exchange for whom. *@move is written where REFUSAL_NONE is returned. */
enum refusal swap_find(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_move_request *request, struct plan_move *move);

/* Can this port's identity move at all? */
enum refusal swap_end_port_movable(const struct view_end_port *port);
struct plan_identity swap_identity_of(const struct view_end_port *port);

#endif
