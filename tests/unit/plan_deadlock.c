/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * New routes and cycles of channels: what the planner says against the channel graphs that
 * plan_topologies.h builds by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/channel_dependencies.h"
#include "sm-side/plan/group.h"
#include "sm-side/plan/reach_paths.h"
#include "unit/plan_topologies.h"
#include "unit/plan_topology_parts.h"

enum { SEEDS = 300, SEEDS_FULL = 30000 };

static struct topology topology, after;

static uint64_t seeds(void)
{
	return getenv("TETHER_FULL") ? SEEDS_FULL : 6 * SEEDS;
}

/* Channels of before and after together, since both are in use while tables change. */
static bool both_cycle(void)
{
	static struct channel_graph graph[TOPOLOGY_LAYERS];
	bool layered = topology.routing == TOPOLOGY_LAYERED;

	memset(graph, 0, sizeof(graph));
	for (unsigned i = 0; i < topology.identity_count; i++) {
		struct topology_identity *identity = &topology.identities[i];
		struct channel_graph *lane = &graph[layered ? identity->layer : 0];

		if (topology_slot_of_lid(&topology, identity->lid) < 0)
			continue;
		channels_add(&topology, lane, identity->lid);
		channels_add(&after, lane, identity->lid);
	}
	for (unsigned i = 0; i < TOPOLOGY_LAYERS; i++)
		if (channels_cycle(&topology, &graph[i]))
			return true;
	return false;
}

static unsigned any_slot(void)
{
	unsigned slot;

	do
		slot = topology_random(&topology, topology.slot_count);
	while (!topology_lid_in(&topology, slot));
	return slot;
}

static struct reach_move move_between(unsigned slot, unsigned at)
{
	return (struct reach_move){
	        .lid = topology_lid_in(&topology, slot),
	        .like = topology_lid_in(&topology, at),
	        .from_switch = topology.slots[slot].sw,
	        .to_switch = topology.slots[at].sw,
	        .to_port = topology.slots[at].port,
	};
}

static uint32_t entries_of_paths(const struct reach_result *paths, struct plan_entry *entries)
{
	for (uint32_t i = 0; i < paths->hop_count; i++) {
		const struct reach_hop *hop = &paths->hops[i];
		const struct topology_switch *sw = &topology.switches[hop->sw];

		entries[i] = (struct plan_entry){
		        sw->guid, hop->sw, hop->lid, sw->lft[hop->lid], hop->port};
	}
	return paths->hop_count;
}

static uint32_t minimal_swap(struct fabric_view *view, unsigned a, unsigned b,
        enum reach_preference preference, struct plan_entry *entries)
{
	/* As in a plan: ascending by LID. */
	bool is_a_first = topology_lid_in(&topology, a) < topology_lid_in(&topology, b);
	struct reach_move moves[2] = {
	        is_a_first ? move_between(a, b) : move_between(b, a),
	        is_a_first ? move_between(b, a) : move_between(a, b),
	};
	struct reach_result paths = {0};
	uint32_t count;

	assert_int_equal(reach_paths(view, moves, 2, preference, &paths), REFUSAL_NONE);
	count = entries_of_paths(&paths, entries);
	reach_result_clear(&paths);
	return count;
}

static void entries_write(const struct plan_entry *entries, uint32_t count)
{
	after = topology;
	for (uint32_t i = 0; i < count; i++)
		after.switches[entries[i].sw].lft[entries[i].lid] = entries[i].after;
}

/* Does the planner say of @entries what the channel graphs say? */
static bool assert_same_said(
        struct fabric_view *view, const struct plan_entry *entries, uint32_t count)
{
	bool cycle;

	entries_write(entries, count);
	assert_int_equal(entries_close_cycle(view, entries, count, &cycle), 0);
	if (cycle != both_cycle())
		fail_msg("%s: %s", topology_name(&topology), cycle ? "no cycle" : "a cycle");
	return cycle;
}

static void a_cycle_is_seen_where_there_is_one_and_only_there(void **state)
{
	struct plan_entry entries[2 * TOPOLOGY_SWITCHES];
	unsigned cycles = 0, checked = 0;

	for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
		struct fabric_view *view;
		unsigned a, b;

		topology_make(&topology, TOPOLOGY_ANY, seed);
		if (topology_channels_cycle(&topology))
			continue;
		view = topology_view(&topology);
		a = any_slot();
		b = any_slot();
		if (a != b) {
			uint32_t count = minimal_swap(view, a, b, seed % 2, entries);

			cycles += assert_same_said(view, entries, count);
			checked++;
		}
		fabric_view_destroy(view);
	}
	assert_in_range(checked, SEEDS, 4 * SEEDS);
	assert_in_range(cycles, SEEDS / 20, checked - SEEDS / 20);
}

static uint32_t full_swap(unsigned a, unsigned b, struct plan_entry *entries)
{
	uint16_t lid_a = topology_lid_in(&topology, a), lid_b = topology_lid_in(&topology, b);
	uint32_t count = 0;

	for (uint32_t i = 0; i < topology.switch_count; i++) {
		const struct topology_switch *sw = &topology.switches[i];

		if (sw->lft[lid_a] == sw->lft[lid_b])
			continue;
		entries[count++] =
		        (struct plan_entry){sw->guid, i, lid_a, sw->lft[lid_a], sw->lft[lid_b]};
		entries[count++] =
		        (struct plan_entry){sw->guid, i, lid_b, sw->lft[lid_b], sw->lft[lid_a]};
	}
	return count;
}

/* Also where the old tables have cycles. On one lane routes only change names; on two they do not.
 */
static void a_full_swap_on_one_lane_brings_nothing_new(void **state)
{
	struct plan_entry entries[2 * TOPOLOGY_SWITCHES];
	unsigned cycles = 0;

	for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
		struct fabric_view *view;
		unsigned a, b;
		bool cycle;

		topology_make(&topology, TOPOLOGY_ANY, seed);
		view = topology_view(&topology);
		a = any_slot();
		b = any_slot();
		if (topology.routing == TOPOLOGY_LAYERED) {
			cycles += assert_same_said(view, entries, full_swap(a, b, entries));
		} else {
			assert_int_equal(entries_close_cycle(
			                         view, entries, full_swap(a, b, entries), &cycle),
			        0);
			assert_false(cycle);
		}
		fabric_view_destroy(view);
	}
	assert_in_range(cycles, 1, SEEDS);
}

/* Whatever waits for whatever elsewhere. */
static void nothing_within_a_leaf_is_a_deadlock(void **state)
{
	struct plan_entry entries[2 * TOPOLOGY_SWITCHES];
	unsigned checked = 0;

	for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
		struct fabric_view *view;
		unsigned a, b;

		topology_make(&topology, (struct topology_wish){-1, -1, 0}, seed);
		view = topology_view(&topology);
		a = any_slot();
		b = any_slot();
		if (a != b && topology.slots[a].sw == topology.slots[b].sw) {
			bool cycle;
			uint32_t count = minimal_swap(view, a, b, seed % 2, entries);

			assert_int_equal(count, 2);
			assert_int_equal(entries_close_cycle(view, entries, count, &cycle), 0);
			assert_false(cycle);
			checked++;
		}
		fabric_view_destroy(view);
	}
	assert_in_range(checked, 10, 2 * SEEDS);
}

static bool plan_swap(
        struct fabric_view *view, unsigned a, unsigned b, enum plan_reach reach, struct plan **plan)
{
	struct plan_move_request move = {.kind = MOVE_SWAP,
	        .vm_port_guid = topology_port_guid_in(&topology, a),
	        .to = topology_place(&topology, b)};
	struct plan_request request = {.reach = reach, .move_count = 1, .moves = &move};
	enum refusal refused = plan_make(view,
	        topology.has_vswitches ? &endpoint_vswitch : &endpoint_plain_ca, &request, plan);

	assert_true(refused == REFUSAL_NONE || refused == REFUSAL_DEADLOCK);
	return refused == REFUSAL_NONE;
}

static void assert_any_choice_cycles(
        struct fabric_view *view, unsigned a, unsigned b, enum plan_reach reach)
{
	struct plan_entry entries[2 * TOPOLOGY_SWITCHES];

	for (int preference = 0; preference < 2; preference++) {
		uint32_t count = reach == PLAN_MINIMUM
		                         ? minimal_swap(view, a, b, preference, entries)
		                         : full_swap(a, b, entries);

		entries_write(entries, count);
		assert_true(both_cycle());
	}
}

static void assert_promise_is_kept(const struct plan *plan, unsigned a, unsigned b)
{
	char why[128];

	entries_write(plan->entries, plan->entry_count);
	assert_false(both_cycle());
	topology_exchange(&after, a, b);
	if (!topology_all_reachable(&after, why))
		fail_msg("%s", why);
	assert_false(topology_channels_cycle(&after));
}

/* Of two in routings that promise no deadlock. */
static void plan_and_check(enum plan_reach reach, unsigned *planned, unsigned *refused)
{
	struct fabric_view *view = topology_view(&topology);
	unsigned a = any_slot(), b = any_slot();
	struct plan *plan = NULL;

	if (a == b) {
		fabric_view_destroy(view);
		return;
	}
	if (plan_swap(view, a, b, reach, &plan)) {
		assert_promise_is_kept(plan, a, b);
		++*planned;
	} else {
		assert_any_choice_cycles(view, a, b, reach);
		++*refused;
	}
	plan_destroy(plan);
	fabric_view_destroy(view);
}

static void what_is_planned_keeps_the_promise_and_what_is_refused_would_break_it(void **state)
{
	unsigned planned[2] = {0}, refused[2] = {0};

	for (uint64_t seed = 0; seed < seeds(); seed++)
		for (unsigned reach = 0; reach < 2; reach++) {
			topology_make(&topology, TOPOLOGY_ANY, seed);
			if (topology_promises_no_deadlock(&topology))
				plan_and_check(reach, &planned[reach], &refused[reach]);
		}
	for (unsigned reach = 0; reach < 2; reach++) {
		print_message("# %s: %u planned, %u refused\n",
		        reach == PLAN_MINIMUM ? "minimum" : "deterministic", planned[reach],
		        refused[reach]);
		assert_in_range(planned[reach], seeds() / 4, seeds());
		assert_in_range(refused[reach], 1, planned[reach] / 4);
	}
}

/* ---- plans that were made of the same tables ---- */

static bool has_lid(const struct plan *plan, uint16_t lid)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan->transfers[i].identity.lid == lid)
			return true;
	return false;
}

static void entries_write_too(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->entry_count; i++)
		after.switches[plan->entries[i].sw].lft[plan->entries[i].lid] =
		        plan->entries[i].after;
}

static bool closes_second(
        struct fabric_view *view, const struct plan *first, const struct plan *second)
{
	const struct plan *plans[] = {first, second};
	struct plan_left left[2] = {0};
	bool closes[2];

	for (unsigned i = 0; i < 2; i++)
		if (plans[i])
			assert_int_equal(plan_left(view, plans[i], &left[i]), REFUSAL_NONE);
	assert_int_equal(plan_group_find_cycles(view, plans, left, 2, closes), 0);
	assert_false(closes[0]);
	for (unsigned i = 0; i < 2; i++)
		plan_left_clear(&left[i]);
	return closes[1];
}

/* As one, and the second when the first has been carried out: old and new together are those of
 * the tables before it, or after it. */
static bool check_both(
        struct fabric_view *view, const struct plan *first, const struct plan *second)
{
	bool together = closes_second(view, first, second), later;

	after = topology;
	entries_write_too(first);
	entries_write_too(second);
	assert_int_equal(together, both_cycle());

	after = topology;
	entries_write_too(first);
	topology = after;
	entries_write_too(second);
	later = closes_second(view, NULL, second);
	assert_int_equal(later, both_cycle());
	assert_true(together || !later);
	return together;
}

static bool plan_minimum_between(struct fabric_view *view, struct plan **plan)
{
	unsigned a = any_slot(), b = any_slot();

	return a != b && plan_swap(view, a, b, PLAN_MINIMUM, plan);
}

static void of_two_plans_that_close_a_cycle_the_second_is_found(void **state)
{
	unsigned checked = 0, cycles = 0;

	for (uint64_t seed = 0; seed < 8 * SEEDS; seed++) {
		struct plan *first = NULL, *second = NULL;
		struct fabric_view *view;

		topology_make(&topology, TOPOLOGY_ANY, seed);
		if (!topology_promises_no_deadlock(&topology) ||
		        topology.routing == TOPOLOGY_LAYERED)
			continue;
		view = topology_view(&topology);
		if (plan_minimum_between(view, &first) && plan_minimum_between(view, &second) &&
		        !has_lid(first, second->moves[0].vm.lid) &&
		        !has_lid(first, second->moves[0].other.lid)) {
			cycles += check_both(view, first, second);
			checked++;
		}
		plan_destroy(first);
		plan_destroy(second);
		fabric_view_destroy(view);
	}
	print_message("# %u pairs of plans, %u in a cycle\n", checked, cycles);
	assert_in_range(checked, SEEDS, 8 * SEEDS);
	assert_in_range(cycles, 3, checked / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_cycle_is_seen_where_there_is_one_and_only_there),
	        cmocka_unit_test(a_full_swap_on_one_lane_brings_nothing_new),
	        cmocka_unit_test(nothing_within_a_leaf_is_a_deadlock),
	        cmocka_unit_test(of_two_plans_that_close_a_cycle_the_second_is_found),
	        cmocka_unit_test(
	                what_is_planned_keeps_the_promise_and_what_is_refused_would_break_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
