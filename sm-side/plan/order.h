/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Entries into Sets where their order matters (PLAN_CONSISTENT, PLAN_DROP_FIRST). Pure.
 */
#ifndef TETHER_PLAN_ORDER_H
#define TETHER_PLAN_ORDER_H

#include "sm-side/plan/plan.h"

/*
 * @entries: what changes of the view's tables, ascending by switch GUID, then LID; those of @plan,
 * or what is left of them (an entry that leads nowhere already needs no dropping). @plan: its
 * order, and its transfers: which LIDs may have traffic, from where to where. *@sets is written on
 * success. -ENOMEM.
 */
int plan_order_sets(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct plan_sets *sets);

#endif
