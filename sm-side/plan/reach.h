/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Entries where only the least shall change (PLAN_MINIMUM): those of the smallest set of switches
 * such that every other switch meets one of them, or the new place, on its old route; and that let
 * no channels wait for each other that do not already. An identity that appears or ends has no
 * routes to keep: all of its entries change. Pure.
 */
#ifndef TETHER_PLAN_REACH_H
#define TETHER_PLAN_REACH_H

#include "sm-side/plan/relabel.h"

/*
 * The entries of all @relabels of a plan, each of a LID of its own (ascending), added to @entries
 * in any order. DEADLOCK: every choice would close a cycle of channels. NOT_ROUTED, NO_MEMORY.
 */
enum refusal plan_reach_minimum(const struct fabric_view *view, const struct relabel *relabels,
        uint32_t count, struct entry_list *entries);

#endif
