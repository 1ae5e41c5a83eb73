/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * When each entry of a plan may be written so that no state between has a loop or a dead end: after
 * the first entry for the same LID that changes further down its new route. Entries that are to
 * lead nowhere while others of their LID lead on wait for all who still use them.
 * sm-side/DESIGN.md, "Order", has the proof. Pure.
 */
#ifndef TETHER_PLAN_ORDER_WAVES_H
#define TETHER_PLAN_ORDER_WAVES_H

#include "sm-side/plan/plan.h"

/*
 * The wave of each of @entries (ascending by switch GUID, then LID; each once). Entries of a block
 * have the same, so that one Set writes them, unless blocks wait for each other in a circle: there
 * each entry has the earliest that it can have. Linear in entries and the hops between them.
 * -ENOMEM.
 */
int order_waves(const struct fabric_view *view, const struct plan_entry *entries, uint32_t count,
        uint32_t *waves);

#endif
