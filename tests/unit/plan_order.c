/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Sets in order, for entries of every kind: what moves bring about, and routes that have nothing to
 * do with the old ones. What the tables shall become is found here, not by the planner.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/order.h"
#include "unit/plan_prefixes.h"
#include "unit/plan_order_cases.h"

static void no_state_between_loops_or_drops(void **state)
{
	prefixes.states = 0;
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;

		case_make(seed, PLAN_CONSISTENT);
		sets_find(&before, &after, &sets);
		assert_holds(&sets);
		plan_sets_clear(&sets);
	}
	print_message("%u fabrics, %llu states\n", cases(), (unsigned long long)prefixes.states);
}

static bool has_holes(uint16_t lid)
{
	for (unsigned sw = 0; sw < after.switch_count; sw++)
		if (after.switches[sw].lft[lid] == LFT_NO_PORT)
			return true;
	return false;
}

/* But for those that are where their LID shall lead nowhere, though all who sent them there do so
 * no more: nobody waits for them. */
static void packets_under_way_come_out(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;

		case_make(seed, PLAN_CONSISTENT);
		for (unsigned i = 0; i < prefixes.lid_count; i++)
			prefixes.lids[i].may_be_dropped = has_holes(prefixes.lids[i].lid);
		sets_find(&before, &after, &sets);
		if (!prefixes_carry(&prefixes, &sets))
			fail_msg("%s", prefixes.why);
		assert_arrived();
		plan_sets_clear(&sets);
	}
}

static void half_of_it_goes_on_or_back(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		case_make(seed, PLAN_CONSISTENT);
		assert_half_goes_on_or_back(seed);
	}
}

/* Is each entry that @index has to wait for written? */
static bool may_be_written(uint32_t index, uint32_t count, const bool *written)
{
	unsigned sw = entries[index].sw, port = entries[index].after;
	uint16_t lid = entries[index].lid;

	for (unsigned hops = 0; hops < before.switch_count; hops++) {
		const struct topology_switch *at = &before.switches[sw];

		if (port > at->ports || at->peer[port].kind != PEER_SWITCH)
			return true;
		sw = at->peer[port].index;
		port = after.switches[sw].lft[lid];
		for (uint32_t i = 0; i < count; i++)
			if (entries[i].sw == sw && entries[i].lid == lid && !written[i])
				return false;
	}
	return true;
}

static bool is_same_block(uint32_t a, uint32_t b)
{
	return entries[a].sw == entries[b].sw &&
	       entries[a].lid / LFT_BLOCK_LIDS == entries[b].lid / LFT_BLOCK_LIDS;
}

/* Write whole blocks as long as there is one that may be written. */
static void write_whole_blocks(uint32_t count, bool *written)
{
	for (uint32_t i = 0; i < count; i++) {
		bool may = !written[i];

		for (uint32_t j = 0; j < count && may; j++)
			may = !is_same_block(i, j) || may_be_written(j, count, written);
		for (uint32_t j = 0; j < count && may; j++)
			written[j] |= is_same_block(i, j);
		if (may)
			i = UINT32_MAX;
	}
}

static unsigned sets_of_block(const struct plan_sets *sets, const struct plan_entry *entry)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < sets->change_count; i++)
		count += sets->changes[i].switch_guid == entry->switch_guid &&
		         sets->changes[i].block == entry->lid / LFT_BLOCK_LIDS;
	return count;
}

static void who_waits_for_no_circle_is_written_once(void **state)
{
	static bool written[TOPOLOGY_SWITCHES * PREFIX_LIDS];

	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;
		uint32_t count;

		case_make(seed / 4 * 8 + seed % 4, PLAN_CONSISTENT);
		sets_find(&before, &after, &sets);
		count = entries_find(&before, &after);
		memset(written, 0, sizeof(written));
		write_whole_blocks(count, written);
		for (uint32_t i = 0; i < count; i++)
			if (written[i])
				assert_int_equal(sets_of_block(&sets, &entries[i]), 1);
		plan_sets_clear(&sets);
	}
}

static uint16_t leaf_of(uint16_t lid)
{
	const struct topology_switch *vswitch =
	        &before.switches[before.slots[topology_slot_of_lid(&before, lid)].sw];

	return vswitch->peer[1].index;
}

static uint16_t next_of(uint16_t sw, uint16_t lid)
{
	return before.switches[sw].peer[before.switches[sw].lft[lid]].index;
}

/* vSwitch, leaf, spine, leaf, vSwitch, there and back. */
static bool meet_at_one_spine(uint16_t a, uint16_t b)
{
	return leaf_of(a) != leaf_of(b) && next_of(leaf_of(a), b) == next_of(leaf_of(b), a);
}

/* The spine alone is as far from the one end as from the other. */
static void a_swap_along_five_switches_takes_nine_sets_in_five_waves(void **state)
{
	unsigned met = 0;

	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;
		uint16_t a, b;

		topology_make(&before, (struct topology_wish){TOPOLOGY_FAT_TREE_2, -1, 1}, seed);
		after = before;
		a = topology_lid_in(&before, random_slot());
		b = topology_lid_in(&before, random_slot());
		becomes_like(a, b);
		becomes_like(b, a);
		if (a / LFT_BLOCK_LIDS != b / LFT_BLOCK_LIDS || entries_find(&before, &after) != 10)
			continue;
		plan = (struct plan){.order = PLAN_CONSISTENT};
		sets_find(&before, &after, &sets);
		/* Else other leaves send to them by other spines. */
		if (switches_in(&sets) == 5 && meet_at_one_spine(a, b)) {
			met++;
			assert_int_equal(sets.change_count, 9);
			assert_int_equal(sets.wave_count, 5);
			assert_int_equal(sets.splits, 4);
		}
		plan_sets_clear(&sets);
	}
	assert_true(met > 0);
}

/* Nobody waits for nobody: each changed block is written once, in one wave. */
static void moves_behind_one_switch_are_not_split(void **state)
{
	unsigned met = 0;

	for (unsigned seed = 0; seed < cases(); seed++) {
		unsigned x, y;
		struct plan_sets sets;

		topology_make(&before, TOPOLOGY_ANY, seed);
		after = before;
		x = random_slot();
		y = random_slot();
		if (x == y || before.slots[x].sw != before.slots[y].sw)
			continue;
		met++;
		for (unsigned i = 0; i < 2; i++)
			after.switches[before.slots[x].sw]
			        .lft[topology_lid_in(&before, i ? x : y)] =
			        before.slots[i ? y : x].port;
		plan = (struct plan){.order = PLAN_CONSISTENT};
		sets_find(&before, &after, &sets);
		assert_int_equal(sets.wave_count, 1);
		assert_int_equal(sets.splits, 0);
		plan_sets_clear(&sets);
	}
	assert_true(met > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(no_state_between_loops_or_drops),
	        cmocka_unit_test(packets_under_way_come_out),
	        cmocka_unit_test(half_of_it_goes_on_or_back),
	        cmocka_unit_test(who_waits_for_no_circle_is_written_once),
	        cmocka_unit_test(a_swap_along_five_switches_takes_nine_sets_in_five_waves),
	        cmocka_unit_test(moves_behind_one_switch_are_not_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
