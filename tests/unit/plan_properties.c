/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is true of every plan: who is reached after it and between its Sets, and how many these are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/undo.h"
#include "unit/plan_properties_cases.h"

/* ---- whole plans ---- */

static void check_reached(uint64_t seed, const struct plan *plan)
{
	sets_write(&plan->sets);
	wish_arrive(&topology, plan);
	assert_everybody_is_reached(&topology);
	wish_write(&before, plan);
	assert_tables_equal(&topology, &before);
}

static void everybody_is_reached_after_a_plan(void **state)
{
	for_plans(-1, check_reached);
}

static uint32_t blocks_differing(const struct topology *a, const struct topology *b)
{
	uint32_t count = 0;

	for (unsigned sw = 0; sw < a->switch_count; sw++)
		for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid += LFT_BLOCK_LIDS)
			count += memcmp(&a->switches[sw].lft[lid], &b->switches[sw].lft[lid],
			                 LFT_BLOCK_LIDS) != 0;
	return count;
}

static void check_fewest_sets(uint64_t seed, const struct plan *plan)
{
	wish_write(&topology, plan);
	assert_int_equal(plan->sets.change_count, blocks_differing(&topology, &before));
	assert_int_equal(
	        plan->counts.lft_physical + plan->counts.lft_vswitch, plan->sets.change_count);
}

static void fast_writes_each_changed_block_once(void **state)
{
	for_plans(PLAN_FAST, check_fewest_sets);
}

static void check_splits(uint64_t seed, const struct plan *plan)
{
	wish_write(&topology, plan);
	assert_int_equal(
	        plan->sets.change_count - plan->sets.splits, blocks_differing(&topology, &before));
}

static void splits_are_the_sets_beyond_those_of_fast(void **state)
{
	for_plans(PLAN_CONSISTENT, check_splits);
	for_plans(PLAN_DROP_FIRST, check_splits);
}

/* ---- between ---- */

static void assert_holds(const struct plan_sets *sets)
{
	if (!prefixes_hold(&prefixes, sets, PREFIX_ORDERS))
		fail_msg("%s", prefixes.why);
}

static void check_between(uint64_t seed, const struct plan *plan)
{
	between_begin(plan);
	assert_holds(&plan->sets);
	assert_tables_equal(&prefixes.at, &after);
}

static void consistent_never_loops_or_drops(void **state)
{
	for_plans(PLAN_CONSISTENT, check_between);
}

static void drop_first_never_goes_astray(void **state)
{
	for_plans(PLAN_DROP_FIRST, check_between);
}

/* Half of it is done, then the rest is asked for, or the way back. */
static void check_halves(uint64_t seed, const struct plan *plan)
{
	struct plan *way = seed % 4 < 2 ? plan_reverse(plan) : NULL;
	struct fabric_view *view;
	struct plan_left left;

	between_begin(plan);
	prefixes_write_some(&prefixes, &plan->sets);
	wish_arrive(&prefixes.at, way ? way : plan);
	view = topology_view(&prefixes.at);
	assert_int_equal(plan_left(view, way ? way : plan, &left), REFUSAL_NONE);
	fabric_view_destroy(view);
	assert_true(left.links_done);
	assert_holds(&left.sets);
	assert_everybody_is_reached(&prefixes.at);
	assert_tables_equal(&prefixes.at, way ? &before : &after);
	plan_left_clear(&left);
	plan_destroy(way);
}

static void half_a_plan_goes_on_or_back_in_order(void **state)
{
	for_plans(PLAN_CONSISTENT, check_halves);
	for_plans(PLAN_DROP_FIRST, check_halves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everybody_is_reached_after_a_plan),
	        cmocka_unit_test(fast_writes_each_changed_block_once),
	        cmocka_unit_test(splits_are_the_sets_beyond_those_of_fast),
	        cmocka_unit_test(consistent_never_loops_or_drops),
	        cmocka_unit_test(drop_first_never_goes_astray),
	        cmocka_unit_test(half_a_plan_goes_on_or_back_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
