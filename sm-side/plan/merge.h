/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Entries into Sets where their order does not matter: one for each block of a switch in which
 * something changes, whoever's LIDs they are, all in one wave. Pure.
 */
#ifndef TETHER_PLAN_MERGE_H
#define TETHER_PLAN_MERGE_H

#include "sm-side/plan/plan.h"

/* @entries ascending by switch GUID, then LID. *@sets is written on success. -ENOMEM. */
int plan_merge_sets(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, struct plan_sets *sets);

/* A Set of block @block that changes nothing yet: as the view's table is now. */
void merge_block(const struct view_switch *sw, uint16_t block, struct plan_change *change);

#endif
