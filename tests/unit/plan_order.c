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

enum { CASES = 400, CASES_FULL = 4000 };

static struct topology before, after;
static struct prefixes prefixes;
static struct plan plan;
static struct plan_transfer transfers[PREFIX_LIDS];
static struct plan_entry entries[TOPOLOGY_SWITCHES * PREFIX_LIDS];

static unsigned cases(void)
{
	return getenv("TETHER_FULL") ? CASES_FULL : CASES;
}

/* ---- what the tables shall become ---- */

static void becomes_like(uint16_t lid, uint16_t like)
{
	for (unsigned sw = 0; sw < before.switch_count; sw++)
		after.switches[sw].lft[lid] = before.switches[sw].lft[like];
}

static void transfer_add(uint16_t lid, bool in_use)
{
	unsigned at = plan.transfer_count++;

	for (; at && transfers[at - 1].identity.lid > lid; at--)
		transfers[at] = transfers[at - 1];
	transfers[at] = (struct plan_transfer){.identity = {.lid = lid}, .in_use = in_use};
}

static unsigned random_slot(void)
{
	return topology_random(&before, before.slot_count);
}

static bool is_taken(uint16_t lid)
{
	for (unsigned i = 0; i < plan.transfer_count; i++)
		if (transfers[i].identity.lid == lid)
			return true;
	return false;
}

static void swap_some(void)
{
	uint16_t a = topology_lid_in(&before, random_slot());
	uint16_t b = topology_lid_in(&before, random_slot());

	if (a == b || is_taken(a) || is_taken(b))
		return;
	becomes_like(a, b);
	becomes_like(b, a);
	transfer_add(a, true);
	transfer_add(b, topology_random(&before, 2));
}

static void swap_many(void)
{
	for (unsigned i = 1 + topology_random(&before, 16); i; i--)
		swap_some();
}

/* All who are behind one switch go to slots anywhere. */
static void evacuate(void)
{
	unsigned sw = before.slots[random_slot()].sw;

	for (unsigned slot = 0; slot < before.slot_count; slot++) {
		uint16_t a = topology_lid_in(&before, slot);
		uint16_t b = topology_lid_in(&before, random_slot());

		if (before.slots[slot].sw != sw || a == b || is_taken(a) || is_taken(b) ||
		        plan.transfer_count + 2 > PREFIX_LIDS)
			continue;
		becomes_like(a, b);
		becomes_like(b, a);
		transfer_add(a, true);
		transfer_add(b, false);
	}
}

static uint16_t lid_empty(unsigned slot)
{
	uint16_t lid = topology_lid_in(&before, slot);

	topology_empty(&before, slot);
	after = before;
	return lid;
}

/* As the PF's on the way to the hypervisor @slot is in. */
static void comes_to(uint16_t lid, unsigned slot)
{
	unsigned pf = slot;

	while (before.has_vswitches && !before.slots[pf].is_pf)
		pf--;
	if (before.has_vswitches)
		becomes_like(lid, topology_lid_in(&before, pf));
	after.switches[before.slots[slot].sw].lft[lid] = before.slots[slot].port;
	transfer_add(lid, true);
}

static void copy(void)
{
	unsigned from = random_slot(), to = random_slot();

	if (from == to || !before.has_vswitches || before.slots[to].is_pf)
		return;
	lid_empty(to);
	comes_to(topology_lid_in(&before, from), to);
}

static void create(void)
{
	unsigned to = random_slot();

	if (before.has_vswitches && !before.slots[to].is_pf)
		comes_to(lid_empty(to), to);
}

static void destroy(void)
{
	uint16_t lid = topology_lid_in(&before, random_slot());

	topology_empty(&after, (unsigned)topology_slot_of_lid(&after, lid));
	transfer_add(lid, true);
}

/* Other trees, to the same places: as a sweep makes them, but of no kind at all. */
static void reroute(void)
{
	struct topology swept = before;

	swept.routing = TOPOLOGY_TREE;
	topology_sweep(&swept);
	for (unsigned i = 1 + topology_random(&before, 4); i; i--) {
		uint16_t lid = topology_lid_in(&before, random_slot());

		for (unsigned sw = 0; sw < before.switch_count; sw++)
			after.switches[sw].lft[lid] = swept.switches[sw].lft[lid];
		if (!is_taken(lid))
			transfer_add(lid, true);
	}
}

/* Some switches that no route to a LID goes through any more have no entry for it. */
static void holes(void)
{
	reroute();
	for (unsigned i = 0; i < 3; i++) {
		uint16_t lid = transfers[0].identity.lid;
		unsigned hole = topology_random(&before, before.switch_count);
		bool is_used = false;

		for (unsigned sw = 0; sw < before.switch_count; sw++) {
			const struct topology_switch *at = &after.switches[sw];

			is_used |= at->lft[lid] <= at->ports &&
			           at->peer[at->lft[lid]].kind == PEER_SWITCH &&
			           at->peer[at->lft[lid]].index == hole;
		}
		if (!is_used)
			after.switches[hole].lft[lid] = LFT_NO_PORT;
	}
}

static void (*const changes[])(void) = {
        swap_some, swap_many, evacuate, copy, create, destroy, reroute, holes};

/* ---- entries and Sets ---- */

static int by_guid(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;

	if (x->switch_guid != y->switch_guid)
		return x->switch_guid < y->switch_guid ? -1 : 1;
	return x->lid < y->lid ? -1 : x->lid > y->lid;
}

static uint32_t entries_find(const struct topology *from, const struct topology *to)
{
	uint32_t count = 0;

	for (unsigned sw = 0; sw < from->switch_count; sw++)
		for (unsigned lid = 1; lid < TOPOLOGY_LIDS; lid++)
			if (from->switches[sw].lft[lid] != to->switches[sw].lft[lid])
				entries[count++] = (struct plan_entry){from->switches[sw].guid, sw,
				        (uint16_t)lid, from->switches[sw].lft[lid],
				        to->switches[sw].lft[lid]};
	qsort(entries, count, sizeof(*entries), by_guid);
	return count;
}

static void sets_find(
        const struct topology *from, const struct topology *to, struct plan_sets *sets)
{
	struct fabric_view *view = topology_view(from);

	assert_int_equal(plan_order_sets(view, &plan, entries, entries_find(from, to), sets), 0);
	fabric_view_destroy(view);
}

static unsigned switches_in(const struct plan_sets *sets)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < sets->change_count; i++) {
		bool is_new = true;

		for (uint32_t j = 0; j < i; j++)
			is_new &= sets->changes[j].switch_guid != sets->changes[i].switch_guid;
		count += is_new;
	}
	return count;
}

static void case_make(unsigned seed, enum plan_order order)
{
	topology_make(&before, TOPOLOGY_ANY, seed);
	after = before;
	plan = (struct plan){.order = order, .transfers = transfers};
	changes[seed % (sizeof(changes) / sizeof(*changes))]();
	prefixes_begin(&prefixes, &before, &after);
}

static void assert_arrived(void)
{
	for (unsigned sw = 0; sw < after.switch_count; sw++)
		assert_memory_equal(
		        prefixes.at.switches[sw].lft, after.switches[sw].lft, TOPOLOGY_LIDS);
}

/* Fewer where many Sets make a state expensive: the thousand orders are for TETHER_FULL there. */
static unsigned orders_for(const struct plan_sets *sets)
{
	if (getenv("TETHER_FULL") || sets->change_count < 24)
		return PREFIX_ORDERS;
	return 20;
}

static void assert_holds(const struct plan_sets *sets)
{
	if (!prefixes_hold(&prefixes, sets, orders_for(sets)))
		fail_msg("%s", prefixes.why);
	assert_arrived();
}

/* ---- consistent ---- */

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

/* Onwards or back, from the tables as an attempt has left them. */
static void half_of_it_goes_on_or_back(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets, rest;

		case_make(seed, PLAN_CONSISTENT);
		sets_find(&before, &after, &sets);
		prefixes_write_some(&prefixes, &sets);
		if (seed % 16 >= 8)
			after = before;
		sets_find(&prefixes.at, &after, &rest);
		assert_holds(&rest);
		plan_sets_clear(&rest);
		plan_sets_clear(&sets);
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

/* vSwitch, leaf, spine, leaf, vSwitch: the spine alone is as far from the one end as from the
 * other. */
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
		/* Else both are behind one leaf, and other leaves send to them by other spines. */
		if (switches_in(&sets) == 5 && leaf_of(a) != leaf_of(b)) {
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

/* ---- drop-first ---- */

static bool lid_is_dropped(uint16_t lid)
{
	for (unsigned i = 0; i < plan.transfer_count; i++)
		if (transfers[i].identity.lid == lid)
			return transfers[i].in_use;
	return false;
}

static void watch_what_has_traffic(void)
{
	for (unsigned i = 0; i < prefixes.lid_count; i++) {
		prefixes.lids[i].is_watched = lid_is_dropped(prefixes.lids[i].lid);
		prefixes.lids[i].may_be_dropped = true;
	}
}

static void dropped_first_nothing_goes_astray(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;

		case_make(seed, PLAN_DROP_FIRST);
		watch_what_has_traffic();
		sets_find(&before, &after, &sets);
		assert_true(sets.wave_count <= 2);
		assert_int_equal(sets.pause_after_wave_0, sets.wave_count == 2);
		assert_holds(&sets);
		plan_sets_clear(&sets);
	}
}

/* After the pause no switch that changes for a LID with traffic has its old entry any more, so
 * that old and new ones never stand beside each other. */
static void after_the_pause_no_old_entry_is_left(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;
		uint32_t count;

		case_make(seed, PLAN_DROP_FIRST);
		sets_find(&before, &after, &sets);
		for (uint32_t i = 0; i < sets.change_count && sets.wave_count == 2; i++)
			if (sets.changes[i].wave == 0)
				topology_write(&prefixes.at, sets.changes[i].switch_guid,
				        sets.changes[i].block, sets.changes[i].after);
		count = entries_find(&before, &after);
		for (uint32_t i = 0; i < count && sets.wave_count == 2; i++)
			if (lid_is_dropped(entries[i].lid))
				assert_int_equal(
				        prefixes.at.switches[entries[i].sw].lft[entries[i].lid],
				        LFT_NO_PORT);
		plan_sets_clear(&sets);
	}
}

static void half_of_a_drop_goes_on_or_back(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets, rest;

		case_make(seed, PLAN_DROP_FIRST);
		watch_what_has_traffic();
		sets_find(&before, &after, &sets);
		prefixes_write_some(&prefixes, &sets);
		if (seed % 16 >= 8)
			after = before;
		sets_find(&prefixes.at, &after, &rest);
		assert_holds(&rest);
		plan_sets_clear(&rest);
		plan_sets_clear(&sets);
	}
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
	        cmocka_unit_test(dropped_first_nothing_goes_astray),
	        cmocka_unit_test(after_the_pause_no_old_entry_is_left),
	        cmocka_unit_test(half_of_a_drop_goes_on_or_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
