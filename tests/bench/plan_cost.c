/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What building a view and planning a move cost, for a tool that counts instructions
 * (bench/plan.py), on the fat-trees of Table I.
 *
 *   plan_cost                          what can be measured, by name
 *   plan_cost HOSTS FUNCTIONS NAME N   N times, all within measured(); prints switches, LIDs, LFT
 *                                      Sets of the plan and the microseconds of the fastest
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sm-side/plan/plan.h"
#include "unit/plan_tree.h"

static struct plan_tree tree;
static struct fabric_view *view;

struct measurement {
	const char *name;
	bool is_view;
	bool is_far; /* to the last host; else to the next one, at the same leaf */
	enum plan_order order;
	enum plan_reach reach;
};

static const struct measurement measurements[] = {
        {"view", .is_view = true},
        {"near", .order = PLAN_FAST},
        {"far", .is_far = true, .order = PLAN_FAST},
        {"near-minimum", .reach = PLAN_MINIMUM},
        {"far-minimum", .is_far = true, .reach = PLAN_MINIMUM},
        {"far-consistent", .is_far = true, .order = PLAN_CONSISTENT},
};

enum { MEASUREMENTS = sizeof(measurements) / sizeof(measurements[0]) };

/* The tool counts from here, by the name: it stays one. */
__attribute__((noipa)) static uint32_t measured(
        const struct measurement *what, const struct plan_request *request)
{
	struct plan *plan = NULL;
	uint32_t sets;

	if (what->is_view) {
		fabric_view_destroy(view);
		view = plan_tree_view(&tree);
		return view != NULL;
	}
	if (plan_make(
	            view, tree.functions ? &endpoint_vswitch : &endpoint_plain_ca, request, &plan))
		return 0;
	sets = plan->sets.change_count;
	plan_destroy(plan);
	return sets;
}

static double microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int measure(const struct measurement *what, unsigned times)
{
	struct plan_move_request move = {
	        .vm_port_guid = plan_tree_port_guid(&tree, 0, tree.functions ? 1 : 0),
	        .to = plan_tree_place(
	                &tree, what->is_far ? tree.hosts - 1 : 1, tree.functions ? 1 : 0),
	};
	struct plan_request request = {
	        .order = what->order, .reach = what->reach, .move_count = 1, .moves = &move};
	double fastest = 0;
	uint32_t sets = 0;

	for (unsigned i = 0; i < times; i++) {
		double start = microseconds(), took;

		sets = measured(what, &request);
		took = microseconds() - start;
		if (!sets)
			return 1;
		if (i == 0 || took < fastest)
			fastest = took;
	}
	printf("%u %u %u %.1f\n", tree.switches, tree.lids, what->is_view ? 0 : sets, fastest);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 2;

	for (unsigned i = 0; argc == 1 && i < MEASUREMENTS; i++)
		puts(measurements[i].name);
	if (argc == 1)
		return 0;
	if (argc != 5 || plan_tree_make(&tree, (unsigned)atoi(argv[1]), (unsigned)atoi(argv[2])))
		return 2;
	view = plan_tree_view(&tree);
	for (unsigned i = 0; view && i < MEASUREMENTS; i++)
		if (!strcmp(argv[3], measurements[i].name))
			failed = measure(&measurements[i], (unsigned)atoi(argv[4]));
	fabric_view_destroy(view);
	plan_tree_clear(&tree);
	return failed;
}
