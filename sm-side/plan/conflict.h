/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which plans may be carried out at the same time. A Set writes 64 entries, so two plans that have
 * a block of a switch in common would take each other's entries back, though their LIDs are
 * different: these wait for each other, or are one plan (their requests' moves in one request,
 * where it is planned who goes first). Plans that have an identity, a slot or a LID in common wait
 * in any case; the second one is then planned anew. Pure.
 */
#ifndef TETHER_PLAN_CONFLICT_H
#define TETHER_PLAN_CONFLICT_H

#include "sm-side/plan/plan.h"

enum plan_conflict {
	PLANS_APART,        /* at the same time */
	PLANS_SHARE_BLOCKS, /* one after the other, or merged */
	PLANS_SHARE_MOVERS, /* one after the other, the second one planned anew */
};

/* Linear in the plans' entries, in their transfers by pairs. */
enum plan_conflict plans_conflict(const struct plan *a, const struct plan *b);

/*
 * The moves of both requests in one, which must be in the same order and reach: *@merged, whose
 * moves are to be freed. BAD_REQUEST: they are not. NO_MEMORY.
 */
enum refusal plan_requests_merge(
        const struct plan_request *a, const struct plan_request *b, struct plan_request *merged);

#endif
