/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the tables hold for a plan's LIDs where the plan changes nothing: if it is what it was, and
 * all else is what the plan found or wants, nobody but the plan has been there. Pure.
 */
#ifndef TETHER_PLAN_ELSEWHERE_H
#define TETHER_PLAN_ELSEWHERE_H

#include "sm-side/plan/plan.h"

/* For each of @plan's transfers the name of the entries for its LID on all switches on which @plan
 * has none for it. NULL: out of memory; free it. */
uint64_t *elsewhere_names(const struct fabric_view *view, const struct plan *plan);

#endif
