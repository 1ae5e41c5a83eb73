/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Dynamic LIDs, for the tests of their plans: a fabric as it is and as it was, and what one plan
 * shall do there.
 */
#ifndef TETHER_TEST_PLAN_DYNAMIC_CASES_H
#define TETHER_TEST_PLAN_DYNAMIC_CASES_H

#include "sm-side/plan/plan.h"
#include "unit/plan_topologies.h"

enum { MOVES = 6 };

extern struct topology at, earlier;

/* What one plan shall do. */
extern struct wanted {
	unsigned count;
	struct plan_move_request moves[MOVES];
	int from[MOVES], to[MOVES]; /* slots; -1: nowhere */
} wanted;

/* A slot that is held or empty and in no move yet; PFs are neither. -1: not found. */
int slot_for(bool empty);
/* Nothing where @kind needs a slot that is -1. Who is created has GUIDs that nobody had before. */
void want(enum plan_move_kind kind, int from, int to);
enum refusal plan_wanted(enum plan_order order, struct plan **plan);
void write_sets(const struct plan_sets *sets, uint32_t count);
/* Between earlier and now. */
unsigned blocks_differing(void);

#endif
