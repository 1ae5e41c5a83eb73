/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Entries into Sets where their order matters (PLAN_CONSISTENT, PLAN_DROP_FIRST). Pure.
 */
#ifndef TETHER_PLAN_ORDER_H
#define TETHER_PLAN_ORDER_H

#include "sm-side/plan/plan.h"

/*
 * @entries: what changes of the view's tables, ascending by switch GUID, then LID; those of @plan,
 * or what is left of them. @plan: its order, and its transfers: which LIDs may have traffic.
 * *@sets is written on success. -ENOMEM.
 *
 * PLAN_CONSISTENT: while the Sets are written wave by wave, in any order within a wave, a packet
 * comes out at its old or its new place. This holds from whatever tables on that have no loop and
 * no dead end themselves, so also for the rest of such a plan, and for its way back.
 *
 * PLAN_DROP_FIRST: what changes for LIDs with traffic leads nowhere first (but where it does so
 * already), then comes all the rest. No packet for such a LID uses an old entry and a new one.
 */
int plan_order_sets(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct plan_sets *sets);

#endif
