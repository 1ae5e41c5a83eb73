/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Steps of making a plan that are taken again where a plan is gone on with or turned round. Pure;
 * for the planner's own rooms.
 */
#ifndef TETHER_PLAN_STEPS_H
#define TETHER_PLAN_STEPS_H

#include "sm-side/plan/plan.h"

/* Does each switch have a table that goes up to the plan's highest LID? NO_LFT. */
enum refusal plan_tables_cover(const struct fabric_view *view, const struct plan *plan);

/* Is each identity at its old place, at its new one, or nowhere just now? *@arrived: all that move
 * are at the new ones. */
bool plan_identities_stand(const struct fabric_view *view, const struct plan *plan, bool *arrived);

/* Entries into Sets, in the plan's order. @entries as in struct plan. */
enum refusal plan_make_sets(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct plan_sets *sets);

uint64_t plan_hash(const struct plan *plan);

#endif
