/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Plans that wait are carried out as one, so that a block of a switch that several of them write is
 * written once. Each keeps its own entries: what was said of it, written down of it and undoes it
 * stays true, so nothing is planned anew. Pure.
 */
#ifndef TETHER_PLAN_GROUP_H
#define TETHER_PLAN_GROUP_H

#include "sm-side/plan/plan.h"

/*
 * Who goes now: *@goes of each that waits, by arrival. The first one, and whoever is of its order
 * and of the same fabric, unless it shares an identity, a slot or a LID with one before it, also
 * with one that stays behind. NULL waits for its turn and has it alone.
 */
void plan_group_form(const struct plan *const *waiting, uint32_t count, bool *goes);

/* One plan of all, which has no moves, no Sets and no hash of its own: their transfers and entries,
 * to make Sets of. At least one. NULL: out of memory; plan_destroy it. */
struct plan *plan_group_join(const struct plan *const *plans, uint32_t count);

/* The Sets of what is left of each (plan_left in @view), in the order of @joined. plan_sets_clear
 * them. */
enum refusal plan_group_sets(const struct fabric_view *view, const struct plan *joined,
        const struct plan_left *left, uint32_t count, struct plan_sets *sets);

/*
 * Reach `minimum` was looked at for cycles of channels in the tables that a plan was made of.
 * Others have been carried out since, and some go with it: *@closes of each whose new routes would
 * be in a cycle now, with those of the ones before it that are in none. What is begun is not asked
 * about, since half of it is no better, nor a way back; NULL is nobody. @left is of each in @view.
 * -ENOMEM.
 */
int plan_group_find_cycles(const struct fabric_view *view, const struct plan *const *plans,
        const struct plan_left *left, uint32_t count, bool *closes);

/* Does the plan change an entry in that block? */
bool plan_writes_block(const struct plan *plan, uint64_t switch_guid, uint16_t block);

#endif
