/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What planning costs: linear in switches, whatever the number of LIDs. Counted, not timed: the
 * planner is compiled so that each basic block that is run calls the counter here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/plan.h"
#include "unit/plan_tree.h"

static uint64_t blocks_run;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	blocks_run++;
}

struct costs {
	unsigned switches, lids;
	uint32_t sets;
	uint64_t blocks;
};

static struct costs costs_of_plan(const struct plan_tree *tree, const struct fabric_view *view,
        const struct plan_request *request)
{
	struct costs costs = {tree->switches, tree->lids, 0, 0};
	struct plan *plan = NULL;

	blocks_run = 0;
	assert_int_equal(plan_make(view, tree->functions ? &endpoint_vswitch : &endpoint_plain_ca,
	                         request, &plan),
	        REFUSAL_NONE);
	costs.blocks = blocks_run;
	costs.sets = plan->sets.change_count;
	plan_destroy(plan);
	print_message("# %u switches, %u LIDs: %u Sets, %lu blocks, %lu a switch\n", costs.switches,
	        costs.lids, costs.sets, (unsigned long)costs.blocks,
	        (unsigned long)(costs.blocks / costs.switches));
	return costs;
}

static struct costs costs_of(unsigned hosts, unsigned functions, unsigned to, enum plan_order order,
        enum plan_reach reach)
{
	struct plan_tree tree;
	struct plan_move_request move;
	struct plan_request request = {
	        .order = order, .reach = reach, .move_count = 1, .moves = &move};
	struct fabric_view *view;
	struct costs costs;

	assert_int_equal(plan_tree_make(&tree, hosts, functions), 0);
	view = plan_tree_view(&tree);
	assert_non_null(view);
	move = (struct plan_move_request){
	        .vm_port_guid = plan_tree_port_guid(&tree, 0, functions ? 1 : 0),
	        .to = plan_tree_place(&tree, to, functions ? 1 : 0)};
	costs = costs_of_plan(&tree, view, &request);
	fabric_view_destroy(view);
	plan_tree_clear(&tree);
	return costs;
}

/* Twenty times the LIDs at the same switches. The bound is far above what differs (searches, libc's
 * choices by size) and far below what a walk over LIDs would add. */
static void assert_independent_of_lids(unsigned to, enum plan_order order, enum plan_reach reach)
{
	struct costs few = costs_of(324, 2, to, order, reach);
	struct costs many = costs_of(324, 126, to, order, reach);

	assert_int_equal(few.switches, many.switches);
	assert_true(many.lids > few.lids * 20);
	assert_true(many.blocks * 100 < few.blocks * 150);
}

static void a_swap_costs_the_same_whatever_the_number_of_lids(void **state)
{
	assert_independent_of_lids(323, PLAN_FAST, PLAN_DETERMINISTIC);
	assert_independent_of_lids(323, PLAN_CONSISTENT, PLAN_DETERMINISTIC);
}

static void so_does_the_least_within_a_leaf(void **state)
{
	assert_independent_of_lids(1, PLAN_FAST, PLAN_MINIMUM);
}

/* Per switch and Set no more at 702 switches than at 36. */
static void a_swap_costs_in_proportion_to_switches(void **state)
{
	struct costs small = costs_of(324, 0, 323, PLAN_FAST, PLAN_DETERMINISTIC);
	struct costs middle = costs_of(324, 2, 323, PLAN_FAST, PLAN_DETERMINISTIC);
	struct costs large = costs_of(648, 2, 647, PLAN_FAST, PLAN_DETERMINISTIC);

	assert_true(large.switches > 18 * small.switches);
	assert_true(middle.blocks * small.switches < small.blocks * middle.switches);
	assert_true(large.blocks * middle.switches < middle.blocks * large.switches * 3 / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_swap_costs_the_same_whatever_the_number_of_lids),
	        cmocka_unit_test(so_does_the_least_within_a_leaf),
	        cmocka_unit_test(a_swap_costs_in_proportion_to_switches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
