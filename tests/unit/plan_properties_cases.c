/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/plan_properties_cases.h"

enum { PLANS = 450, PLANS_FULL = 4000 };

struct topology topology, before, after;
struct wishes wishes;
struct prefixes prefixes;

static char why[128];

unsigned plans(void)
{
	return getenv("TETHER_FULL") ? PLANS_FULL : PLANS;
}

struct plan *plan_for(uint64_t seed, enum plan_order order)
{
	enum plan_reach reach = seed % 2 ? PLAN_MINIMUM : PLAN_DETERMINISTIC;
	struct plan *plan = NULL;
	enum refusal refused;

	topology_make(&topology, TOPOLOGY_ANY, seed);
	wish_moves(&wishes, &topology);
	before = topology;
	if (!wishes.count)
		return NULL;
	refused = wish_plan(&wishes, &topology, order, reach, &plan);
	if (refused != REFUSAL_NONE &&
	        (refused != REFUSAL_DEADLOCK ||
	                (reach != PLAN_MINIMUM && topology.routing != TOPOLOGY_LAYERED)))
		fail_msg("%s: %s", topology_name(&topology), refusal_text(refused));
	return plan;
}

static uint64_t first;

void plans_pass_over(unsigned times)
{
	first += (uint64_t)times * plans();
}

void for_plans(int order, plan_check check)
{
	unsigned made = 0;

	for (uint64_t seed = first; seed < first + plans(); seed++) {
		struct plan *plan = plan_for(
		        seed, order >= 0 ? (enum plan_order)order : (enum plan_order)(seed % 3));

		if (!plan)
			continue;
		check(seed, plan);
		plan_destroy(plan);
		made++;
	}
	first += plans();
	print_message("%u plans\n", made);
	assert_true(made > plans() * 2 / 3);
}

void sets_write(const struct plan_sets *sets)
{
	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *set = &sets->changes[i];
		int sw = topology_find_switch(&topology, set->switch_guid);

		assert_true(sw >= 0);
		assert_memory_equal(&topology.switches[sw].lft[set->block * LFT_BLOCK_LIDS],
		        set->before, LFT_BLOCK_LIDS);
		topology_write(&topology, set->switch_guid, set->block, set->after);
	}
}

void assert_everybody_is_reached(const struct topology *at)
{
	if (!topology_all_reachable(at, why))
		fail_msg("%s", why);
}

void assert_tables_equal(const struct topology *a, const struct topology *b)
{
	for (unsigned sw = 0; sw < a->switch_count; sw++)
		assert_memory_equal(a->switches[sw].lft, b->switches[sw].lft, TOPOLOGY_LIDS);
}

static bool may_have_traffic(const struct plan *plan, uint16_t lid)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan->transfers[i].identity.lid == lid)
			return plan->transfers[i].in_use;
	return false;
}

void between_begin(const struct plan *plan)
{
	after = before;
	wish_write(&after, plan);
	prefixes_begin(&prefixes, &before, &after);
	for (unsigned i = 0; i < prefixes.lid_count && plan->order == PLAN_DROP_FIRST; i++) {
		prefixes.lids[i].is_watched = may_have_traffic(plan, prefixes.lids[i].lid);
		prefixes.lids[i].may_be_dropped = true;
	}
}
