/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The way back from a plan over the tables as they are now, also from half of it. Pure.
 */
#ifndef TETHER_PLAN_UNDO_H
#define TETHER_PLAN_UNDO_H

#include "sm-side/plan/plan.h"

/*
 * What undoes @done in @view: its reverse, which writes its own entries and no other, whatever else
 * has been changed beside them since. Where something else has changed these entries, too (a sweep
 * that has seen the VMs at their new places), a new plan of the moves back. STALE_PLAN: an identity
 * of the plan is at neither of its two places. *@back is written where REFUSAL_NONE is returned.
 */
enum refusal plan_undo(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan *done, struct plan **back);

#endif
