/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Reach `minimum` against every subset of the switches of small fabrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sm-side/plan/reach_paths.h"
#include "unit/plan_fabric.h"

static struct test_fabric fabric;

/* Routes that are trees, but wander. */
static void route_anyhow(const struct test_slot *slot)
{
	uint16_t lid = fabric.identities[slot->identity].lid;
	bool in_tree[TEST_SWITCHES_MAX] = {false};
	unsigned left = fabric.switch_count - 1;

	in_tree[slot->sw] = true;
	fabric.switches[slot->sw].lft[lid] = slot->port;
	while (left) {
		unsigned sw = test_random(&fabric, fabric.switch_count);
		struct test_switch *at = &fabric.switches[sw];
		unsigned port = 1 + test_random(&fabric, at->ports);

		if (in_tree[sw] || at->peer[port].kind != PEER_SWITCH ||
		        !in_tree[at->peer[port].index])
			continue;
		at->lft[lid] = (uint8_t)port;
		in_tree[sw] = true;
		left--;
	}
}

/* @shortest: else wandering routes. Half of the slots are behind vSwitches. */
static void small_fabric_make(unsigned seed, bool shortest)
{
	unsigned switches;

	memset(&fabric, 0, sizeof(fabric));
	fabric.seed = seed;
	switches = 2 + test_random(&fabric, 6);
	for (unsigned i = 0; i < switches; i++) {
		test_add_switch(&fabric, false);
		if (i)
			test_cable(&fabric, i, test_random(&fabric, i));
	}
	for (unsigned i = test_random(&fabric, switches + 2); i; i--)
		test_cable(&fabric, test_random(&fabric, switches), test_random(&fabric, switches));
	for (unsigned i = 0; i < 4; i++) {
		unsigned sw = test_random(&fabric, switches);

		if (i % 2) {
			unsigned vswitch = test_add_switch(&fabric, true);

			test_cable(&fabric, vswitch, sw);
			sw = vswitch;
		}
		test_add_slot(&fabric, sw);
		test_add_slot(&fabric, sw);
	}
	test_scatter_lids(&fabric);
	for (unsigned i = 0; seed % 4 > 1 && i < fabric.slot_count; i++)
		fabric.identities[i].lid = (uint16_t)(64 + i * 7);
	for (unsigned i = 0; i < fabric.slot_count; i++)
		if (shortest)
			test_route(&fabric, &fabric.slots[i]);
		else
			route_anyhow(&fabric.slots[i]);
}

/* Where slot @slot of one identity is to be: @at is another slot. */
static struct reach_move move_between(unsigned slot, unsigned at)
{
	return (struct reach_move){
	        .lid = fabric.identities[slot].lid,
	        .like = fabric.identities[at].lid,
	        .from_switch = fabric.slots[slot].sw,
	        .to_switch = fabric.slots[at].sw,
	        .to_port = fabric.slots[at].port,
	};
}

/* ---- what every subset can do, by a test that knows no paths ---- */

/* With any entries in the switches of @subset and the old ones elsewhere, can all reach the new
 * place? Grow the set of those that can from its switch on. */
static bool subset_suffices(const struct reach_move *move, unsigned subset)
{
	unsigned can = subset & 1u << move->to_switch, before;

	do {
		before = can;
		for (unsigned sw = 0; sw < fabric.switch_count; sw++) {
			const struct test_switch *at = &fabric.switches[sw];

			for (unsigned port = 1; port <= at->ports; port++)
				if (at->peer[port].kind == PEER_SWITCH &&
				        can >> at->peer[port].index & 1 &&
				        (subset >> sw & 1 || at->lft[move->lid] == port))
					can |= 1u << sw;
		}
	} while (can != before);
	return can == (1u << fabric.switch_count) - 1;
}

static unsigned fewest_sets(const struct reach_move *moves, unsigned count)
{
	unsigned fewest = fabric.switch_count;

	for (unsigned subset = 0; subset < 1u << fabric.switch_count; subset++) {
		unsigned suffices = 1, size = (unsigned)__builtin_popcount(subset);

		for (unsigned i = 0; size < fewest && suffices && i < count; i++)
			suffices = subset_suffices(&moves[i], subset);
		if (size < fewest && suffices)
			fewest = size;
	}
	return fewest;
}

/* ---- what the room under test says ---- */

static void reach(const struct reach_move *moves, unsigned count, struct reach_result *result)
{
	struct fabric_view *view = test_view(&fabric);
	enum reach_preference preference = moves[0].lid % 2;

	assert_int_equal(reach_paths(view, moves, count, preference, result), REFUSAL_NONE);
	fabric_view_destroy(view);
}

/* Each entry really changes, each (switch, LID) once; afterwards all walks end at the new place. */
static void assert_moved(
        const struct reach_move *moves, unsigned count, const struct reach_result *result)
{
	static struct test_fabric moved;

	moved = fabric;
	for (uint32_t i = 0; i < result->hop_count; i++) {
		const struct reach_hop *hop = &result->hops[i];
		uint8_t *entry = &moved.switches[hop->sw].lft[hop->lid];

		assert_int_equal(*entry, fabric.switches[hop->sw].lft[hop->lid]);
		assert_int_not_equal(*entry, hop->port);
		*entry = hop->port;
	}
	for (unsigned i = 0; i < count; i++)
		for (unsigned sw = 0; sw < moved.switch_count; sw++) {
			int slot = test_walk(&moved, sw, moves[i].lid);

			assert_in_range(slot, 0, moved.slot_count - 1);
			assert_int_equal(moved.slots[slot].sw, moves[i].to_switch);
			assert_int_equal(moved.slots[slot].port, moves[i].to_port);
		}
}

static unsigned another(unsigned slot)
{
	return (slot + 1 + test_random(&fabric, fabric.slot_count - 1)) % fabric.slot_count;
}

static void one_lid_takes_the_fewest_sets(void **state)
{
	for (unsigned seed = 1; seed < 1000; seed++) {
		struct reach_result result = {0};
		struct reach_move move;
		unsigned slot;

		small_fabric_make(seed, seed % 2);
		slot = test_random(&fabric, fabric.slot_count);
		move = move_between(slot, another(slot));
		reach(&move, 1, &result);
		assert_moved(&move, 1, &result);
		assert_int_equal(result.set_count, result.hop_count);
		assert_int_equal(result.set_count, fewest_sets(&move, 1));
		reach_result_clear(&result);
	}
}

static bool share_a_block(const struct reach_move *a, const struct reach_move *b)
{
	return a->lid / LFT_BLOCK_LIDS == b->lid / LFT_BLOCK_LIDS;
}

static void a_swap_takes_the_fewest_sets(void **state)
{
	unsigned shared = 0, above_each = 0;

	for (unsigned seed = 1; seed < 20000; seed++) {
		struct reach_result result = {0};
		struct reach_move moves[2];
		unsigned a, b, fewest_a, fewest_b;

		small_fabric_make(seed, seed % 2);
		a = test_random(&fabric, fabric.slot_count);
		b = another(a);
		moves[0] = move_between(a, b);
		moves[1] = move_between(b, a);
		fewest_a = fewest_sets(&moves[0], 1);
		fewest_b = fewest_sets(&moves[1], 1);
		reach(moves, 2, &result);
		assert_moved(moves, 2, &result);
		if (share_a_block(&moves[0], &moves[1])) {
			assert_int_equal(result.set_count, fewest_sets(moves, 2));
			shared++;
			above_each += result.set_count > fewest_a && result.set_count > fewest_b;
		} else {
			assert_int_equal(result.set_count, fewest_a + fewest_b);
		}
		reach_result_clear(&result);
	}
	assert_in_range(shared, 1000, 20000);
	assert_in_range(above_each, 1, shared);
}

/* More than two: never more than one by one, and all arrive. */
static void many_lids_take_no_more_sets_than_one_by_one(void **state)
{
	unsigned less = 0;

	for (unsigned seed = 1; seed < 1000; seed++) {
		struct reach_result result = {0};
		struct reach_move moves[8];
		unsigned turn, singly = 0;

		small_fabric_make(seed, seed % 2);
		turn = 1 + test_random(&fabric, fabric.slot_count - 1);
		for (unsigned i = 0; i < 8; i++) {
			moves[i] = move_between(i, (i + turn) % 8);
			singly += fewest_sets(&moves[i], 1);
		}
		reach(moves, 8, &result);
		assert_moved(moves, 8, &result);
		assert_in_range(result.set_count, 1, singly);
		less += result.set_count < singly;
		reach_result_clear(&result);
	}
	assert_in_range(less, 500, 1000);
}

/* Two leaves under two spines, two plain CAs and a hypervisor of two VFs at each leaf. */
static void leaf_and_spine(void)
{
	memset(&fabric, 0, sizeof(fabric));
	for (unsigned i = 0; i < 4; i++)
		test_add_switch(&fabric, false);
	for (unsigned leaf = 0; leaf < 2; leaf++) {
		unsigned vswitch = test_add_switch(&fabric, true);

		test_cable(&fabric, leaf, 2);
		test_cable(&fabric, leaf, 3);
		test_cable(&fabric, vswitch, leaf);
		test_add_slot(&fabric, leaf);
		test_add_slot(&fabric, leaf);
		test_add_slot(&fabric, vswitch);
		test_add_slot(&fabric, vswitch);
	}
	for (unsigned i = 0; i < fabric.slot_count; i++)
		fabric.identities[i].lid = (uint16_t)(64 + i);
	for (unsigned i = 0; i < fabric.slot_count; i++)
		test_route(&fabric, &fabric.slots[i]);
}

static unsigned sets_between(unsigned a, unsigned b)
{
	struct reach_move moves[2] = {move_between(a, b), move_between(b, a)};
	struct reach_result result = {0};
	unsigned sets;

	reach(moves, 2, &result);
	assert_moved(moves, 2, &result);
	sets = result.set_count;
	reach_result_clear(&result);
	return sets;
}

static void known_distances_take_known_numbers_of_sets(void **state)
{
	leaf_and_spine();
	assert_int_equal(sets_between(0, 1), 1); /* plain CAs at one leaf, one block (Table I) */
	assert_int_equal(sets_between(2, 3), 1); /* VFs of one hypervisor: its vSwitch alone */
	assert_int_equal(sets_between(0, 2), 2); /* leaf and vSwitch */
	assert_int_equal(sets_between(0, 4), 3); /* leaf, spine, leaf */
	assert_int_equal(sets_between(2, 6), 5); /* and both vSwitches */
	fabric.switches[0].lft[300] = fabric.switches[0].lft[fabric.identities[1].lid];
	for (unsigned sw = 1; sw < fabric.switch_count; sw++)
		fabric.switches[sw].lft[300] = fabric.switches[sw].lft[fabric.identities[1].lid];
	fabric.identities[1].lid = 300;
	assert_int_equal(sets_between(0, 1), 2); /* another block */
}

static void two_hypervisors_at_a_leaf_take_leaf_and_both(void **state)
{
	unsigned vswitch;

	leaf_and_spine();
	vswitch = test_add_switch(&fabric, true);
	test_cable(&fabric, vswitch, 0);
	test_add_slot(&fabric, vswitch);
	fabric.identities[8].lid = 72;
	for (unsigned i = 0; i < fabric.slot_count; i++)
		test_route(&fabric, &fabric.slots[i]);
	assert_int_equal(sets_between(2, 8), 3);
}

static void a_place_that_no_cable_leads_to_is_refused(void **state)
{
	struct reach_result result = {0};
	struct reach_move move;
	struct fabric_view *view;
	unsigned alone;

	leaf_and_spine();
	alone = test_add_switch(&fabric, false);
	test_add_slot(&fabric, alone);
	view = test_view(&fabric);
	move = move_between(0, 8);
	assert_int_equal(
	        reach_paths(view, &move, 1, REACH_AGAINST_OLD_ROUTES, &result), REFUSAL_NOT_ROUTED);
	assert_null(result.hops);
	fabric_view_destroy(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_lid_takes_the_fewest_sets),
	        cmocka_unit_test(a_swap_takes_the_fewest_sets),
	        cmocka_unit_test(many_lids_take_no_more_sets_than_one_by_one),
	        cmocka_unit_test(known_distances_take_known_numbers_of_sets),
	        cmocka_unit_test(two_hypervisors_at_a_leaf_take_leaf_and_both),
	        cmocka_unit_test(a_place_that_no_cable_leads_to_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
