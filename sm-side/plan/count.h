/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How many Sets of each kind a plan takes, from what the view shows; never added up. Pure.
 */
#ifndef TETHER_PLAN_COUNT_H
#define TETHER_PLAN_COUNT_H

#include "sm-side/plan/plan.h"

/* Of a plan whose transfers and Sets are there. */
struct plan_counts count_sets(const struct fabric_view *view, const struct plan *plan);

#endif
