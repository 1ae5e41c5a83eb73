/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Channels wait for each other in no cycle, before, after and, dropped first, during a plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/plan_properties_cases.h"

/* for_plans() in plan_properties.c and plan_undo_properties.c */
enum { CALLS_ELSEWHERE = 10 };

static void check_channels(uint64_t seed, const struct plan *plan)
{
	if (!topology_promises_no_deadlock(&topology))
		return;
	/* Lanes go with whole routes; the least that changes is a mixture. */
	if (topology.routing == TOPOLOGY_LAYERED && plan->reach == PLAN_MINIMUM)
		return;
	assert_false(topology_channels_cycle(&topology));
	sets_write(&plan->sets);
	wish_arrive(&topology, plan);
	wish_lanes(&topology, &before, plan);
	if (topology_channels_cycle(&topology))
		fail_msg("%s: channels wait in a cycle", topology_name(&topology));
}

static void channels_wait_in_no_cycle_before_and_after(void **state)
{
	for_plans(-1, check_channels);
}

static bool channels_are_free(const struct topology *at, char *text)
{
	if (!topology_channels_cycle(at))
		return true;
	sprintf(text, "%s: channels wait in a cycle", topology_name(at));
	return false;
}

/* Dropped first, old and new routes are never there at once: not even between is there a cycle. */
static void drop_first_has_no_cycle_of_channels_between(void **state)
{
	for (uint64_t seed = 0; seed < plans() / 3; seed++) {
		struct topology_wish wish = {-1, seed % 2 ? TOPOLOGY_UPDN : TOPOLOGY_DOR, -1};
		struct plan *plan = NULL;

		topology_make(&topology, wish, seed);
		wish_moves(&wishes, &topology);
		for (unsigned i = 0; i < wishes.count; i++)
			wishes.moves[i].other_in_use = true;
		if (!wishes.count)
			continue;
		before = topology;
		assert_int_equal(
		        wish_plan(&wishes, &topology, PLAN_DROP_FIRST, PLAN_DETERMINISTIC, &plan),
		        REFUSAL_NONE);
		between_begin(plan);
		prefixes.look = channels_are_free;
		if (!prefixes_hold(&prefixes, &plan->sets, 3))
			fail_msg("%s", prefixes.why);
		plan_destroy(plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(channels_wait_in_no_cycle_before_and_after),
	        cmocka_unit_test(drop_first_has_no_cycle_of_channels_between),
	};

	plans_pass_over(CALLS_ELSEWHERE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
