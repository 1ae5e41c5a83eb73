/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Random plans, of whatever moves, order and reach, on fabrics of every kind, for the tests of what
 * is true of each of them: found by walking all tables, not by the planner.
 */
#ifndef TETHER_TEST_PLAN_PROPERTIES_CASES_H
#define TETHER_TEST_PLAN_PROPERTIES_CASES_H

#include "sm-side/plan/plan.h"
#include "unit/plan_prefixes.h"
#include "unit/plan_wishes.h"

extern struct topology topology, before, after;
extern struct wishes wishes;
extern struct prefixes prefixes;

unsigned plans(void);
/* In topology, before; NULL: no such moves here, or the channels would be in a cycle. */
struct plan *plan_for(uint64_t seed, enum plan_order order);

typedef void (*plan_check)(uint64_t seed, const struct plan *plan);

/* @order: -1 for each in turn. Other fabrics each time that it is called. */
void for_plans(int order, plan_check check);
/* Those of so many calls of for_plans are another program's. */
void plans_pass_over(unsigned times);

/* Over topology, which has to be as the Sets expect it. */
void sets_write(const struct plan_sets *sets);
void assert_everybody_is_reached(const struct topology *at);
void assert_tables_equal(const struct topology *a, const struct topology *b);
/* From topology on, with @plan's entries as the end. */
void between_begin(const struct plan *plan);

#endif
