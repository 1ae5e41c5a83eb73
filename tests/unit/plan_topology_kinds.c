/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The fabrics that the planner's tests stand on are what they say, and their finders find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/route.h"
#include "unit/plan_topologies.h"

enum { SEEDS = 100 };

static struct topology topology, earlier;

static void for_each_kind(void (*check)(void))
{
	for (int kind = 0; kind < TOPOLOGY_KINDS; kind++)
		for (int routing = 0; routing < TOPOLOGY_ROUTINGS; routing++)
			for (uint64_t seed = 0; seed < SEEDS; seed++) {
				topology_make(&topology,
				        (struct topology_wish){kind, routing, seed & 1}, seed);
				check();
			}
}

static void check_reachable(void)
{
	char why[128];

	if (!topology_all_reachable(&topology, why))
		fail_msg("%s", why);
}

static void every_lid_is_reached_from_every_switch(void **state)
{
	for_each_kind(check_reachable);
}

static void check_promise(void)
{
	if (topology_promises_no_deadlock(&topology) && topology_channels_cycle(&topology))
		fail_msg("%s: channels wait in a cycle", topology_name(&topology));
}

static void who_promises_it_has_no_cycle_of_channels(void **state)
{
	for_each_kind(check_promise);
}

static unsigned cycles;

static void count_cycles(void)
{
	cycles += topology.routing == TOPOLOGY_TREE && topology_channels_cycle(&topology);
}

static void random_trees_have_cycles_of_channels(void **state)
{
	for_each_kind(count_cycles);
	assert_true(cycles > SEEDS);
}

static void a_sweep_gives_other_routes(void **state)
{
	unsigned changed = 0;
	char why[128];

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		topology_make(&topology, TOPOLOGY_ANY, seed);
		earlier = topology;
		topology_sweep(&topology);
		assert_true(topology_all_reachable(&topology, why));
		for (unsigned sw = 0; sw < topology.switch_count; sw++)
			if (memcmp(topology.switches[sw].lft, earlier.switches[sw].lft,
			            TOPOLOGY_LIDS)) {
				changed++;
				break;
			}
	}
	assert_true(changed > SEEDS / 2);
}

static void the_same_seed_gives_the_same_fabric(void **state)
{
	topology_make(&earlier, TOPOLOGY_ANY, 7);
	topology_make(&topology, TOPOLOGY_ANY, 7);
	assert_memory_equal(&topology, &earlier, sizeof(topology));
}

/* A vSwitch of its own and the switch that it is cabled to send to each other. */
static void a_loop_is_found(void **state)
{
	int ends[TOPOLOGY_SWITCHES];
	char why[128];
	uint16_t lid;
	unsigned sw;
	uint8_t up;

	topology_make(&topology, (struct topology_wish){TOPOLOGY_FAT_TREE_2, -1, 1}, 3);
	lid = topology_lid_in(&topology, 0);
	sw = topology.slots[0].sw;
	for (up = 1; topology.switches[sw].peer[up].kind != PEER_SWITCH; up++)
		;
	topology.switches[sw].lft[lid] = up;
	topology_walk_all(&topology, lid, ends);
	for (unsigned i = 0; i < topology.switch_count; i++) {
		assert_int_equal(topology_walk(&topology, i, lid), WALK_LOOP);
		assert_int_equal(ends[i], WALK_LOOP);
	}
	assert_false(topology_all_reachable(&topology, why));
}

static void an_empty_slot_is_reached_by_nobody(void **state)
{
	char why[128];
	uint16_t lid;

	topology_make(&topology, (struct topology_wish){-1, -1, 1}, 5);
	lid = topology_lid_in(&topology, 1);
	topology_empty(&topology, 1);
	assert_int_equal(topology_walk(&topology, 0, lid), WALK_DROPPED);
	assert_true(topology_all_reachable(&topology, why));
}

static void the_view_is_the_fabric(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fabric_view *view;

		topology_make(&topology, TOPOLOGY_ANY, seed);
		view = topology_view(&topology);
		for (unsigned slot = 0; slot < topology.slot_count; slot++) {
			bool leads = false;

			assert_int_equal(view_leads_to(view, topology_lid_in(&topology, slot),
			                         topology_place(&topology, slot), &leads),
			        0);
			assert_true(leads);
		}
		fabric_view_destroy(view);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_lid_is_reached_from_every_switch),
	        cmocka_unit_test(who_promises_it_has_no_cycle_of_channels),
	        cmocka_unit_test(random_trees_have_cycles_of_channels),
	        cmocka_unit_test(a_sweep_gives_other_routes),
	        cmocka_unit_test(the_same_seed_gives_the_same_fabric),
	        cmocka_unit_test(a_loop_is_found),
	        cmocka_unit_test(an_empty_slot_is_reached_by_nobody),
	        cmocka_unit_test(the_view_is_the_fabric),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
