/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Random cases for the tests of sm-side/plan/order.h: a fabric as it is and as it shall become, the
 * entries that differ, and every state that Sets may bring about between.
 */
#ifndef TETHER_TEST_PLAN_ORDER_CASES_H
#define TETHER_TEST_PLAN_ORDER_CASES_H

#include "sm-side/plan/order.h"
#include "unit/plan_prefixes.h"

extern struct topology before, after;
extern struct prefixes prefixes;
extern struct plan plan;
extern struct plan_transfer transfers[PREFIX_LIDS];
extern struct plan_entry entries[TOPOLOGY_SWITCHES * PREFIX_LIDS];

unsigned cases(void);
void becomes_like(uint16_t lid, uint16_t like);
unsigned random_slot(void);
uint32_t entries_find(const struct topology *from, const struct topology *to);
void sets_find(const struct topology *from, const struct topology *to, struct plan_sets *sets);
unsigned switches_in(const struct plan_sets *sets);
void case_make(unsigned seed, enum plan_order order);
void assert_arrived(void);
void assert_holds(const struct plan_sets *sets);
/* Onwards or back, by @seed, from the tables as an attempt has left them that ended half way. */
void assert_half_goes_on_or_back(unsigned seed);

#endif
