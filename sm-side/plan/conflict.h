/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which plans may be carried out at the same time. A Set writes 64 entries, so of two plans that
 * have a block of a switch in common each would take the other's entries back, though their LIDs
 * are different: these become one (group.h), or wait for each other. Plans that have an identity, a
 * slot or a LID in common wait in any case; the second one is then planned anew. Pure.
 */
#ifndef TETHER_PLAN_CONFLICT_H
#define TETHER_PLAN_CONFLICT_H

#include "sm-side/plan/plan.h"

enum plan_conflict {
	PLANS_APART,        /* at the same time */
	PLANS_SHARE_BLOCKS, /* one after the other, or as one */
	PLANS_SHARE_MOVERS, /* one after the other, the second one planned anew */
};

/* Who changes places by a plan, and which; ascending by LID. */
struct plan_movers {
	uint32_t count;
	const struct plan_transfer *at;
};

static inline struct plan_movers plan_movers_of(const struct plan *plan)
{
	return (struct plan_movers){plan->transfer_count, plan->transfers};
}

/* Do they have an identity, a slot or a LID in common? By pairs. */
bool plan_movers_meet(const struct plan_movers *a, const struct plan_movers *b);

/* Linear in the plans' entries, in their transfers by pairs. */
enum plan_conflict plans_conflict(const struct plan *a, const struct plan *b);

#endif
