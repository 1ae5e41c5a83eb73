/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Plans on random fabrics, carried out in part, then taken back or gone on with from what was read:
 * the tables end as they should, whatever others have changed meanwhile, and in the consistent
 * order no state between has a loop or a dead end, in either direction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/raw/change_left.h"
#include "unit/plan_prefixes.h"
#include "unit/plan_wishes.h"

enum { SEEDS = 300, SEEDS_FULL = 3000, ORDERS = 10, OTHERS = 40, CA_GUID = 0x7000000 };

static struct topology topology, before, after;
static struct wishes wishes;
static struct prefixes prefixes;

static unsigned seeds(void)
{
	return getenv("TETHER_FULL") ? SEEDS_FULL : SEEDS;
}

/* False: no such moves here, or they are refused, or not for a fabric without SM. */
static bool change_for(uint64_t seed, struct fabric_change *change)
{
	struct plan *plan = NULL;
	int error;

	topology_make(&topology, TOPOLOGY_ANY, seed);
	wish_moves(&wishes, &topology);
	if (!wishes.count || wish_plan(&wishes, &topology, (enum plan_order)(seed % 3),
	                             (enum plan_reach)(seed / 3 % 2), &plan))
		return false;
	before = after = topology;
	wish_write(&after, plan);
	error = fabric_change_of(plan, change);
	plan_destroy(plan);
	return error == 0;
}

/* ---- what would be read of prefixes.at ---- */

static uint16_t lid_at(const struct fabric_change *change, unsigned slot)
{
	struct view_place place = topology_place(&topology, slot);

	for (uint32_t i = 0; i < change->slot_count; i++)
		if (view_place_equal(change->slots[i].place, place))
			return topology_random(&topology, 2) ? change->slots[i].before
			                                     : change->slots[i].after;
	return topology_lid_in(&topology, slot);
}

static void read_switch(struct fabric_read *fabric, const struct topology_switch *sw)
{
	struct smp_node_info info = {SMP_NODE_SWITCH, sw->ports, 1, sw->guid, sw->guid};
	uint32_t index = fabric_read_add(fabric, &info, &(struct smp_route){0});

	assert_int_not_equal(index, READ_NOBODY);
	assert_int_equal(fabric_read_make_lft(&fabric->nodes[index], TOPOLOGY_LIDS - 1), 0);
	memcpy(fabric->nodes[index].lft, sw->lft, TOPOLOGY_LIDS);
}

static void read_slot(struct fabric_read *fabric, const struct fabric_change *change, unsigned slot)
{
	struct smp_node_info info = {SMP_NODE_CA, 1, 1, CA_GUID + slot, CA_GUID + slot};
	uint32_t index = fabric_read_add(fabric, &info, &(struct smp_route){0});
	struct read_port *port = &fabric->nodes[index].ports[1];
	uint16_t lid = lid_at(change, slot);

	port->has_info = true;
	port->info[16] = (uint8_t)(lid >> 8);
	port->info[17] = (uint8_t)lid;
	assert_int_equal(fabric_read_join(fabric, topology.slots[slot].sw,
	                         topology.slots[slot].port, index, 1),
	        0);
}

static struct fabric_read *read_all(const struct fabric_change *change)
{
	struct fabric_read *fabric = fabric_read_create();

	for (unsigned sw = 0; sw < topology.switch_count; sw++)
		read_switch(fabric, &prefixes.at.switches[sw]);
	for (unsigned slot = 0; slot < topology.slot_count; slot++)
		read_slot(fabric, change, slot);
	return fabric;
}

/* ---- carrying out what is left ---- */

static void write_sets(const struct plan_sets *sets)
{
	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *set = &sets->changes[i];
		int sw = topology_find_switch(&prefixes.at, set->switch_guid);

		assert_memory_equal(&prefixes.at.switches[sw].lft[set->block * LFT_BLOCK_LIDS],
		        set->before, LFT_BLOCK_LIDS);
		topology_write(&prefixes.at, set->switch_guid, set->block, set->after);
	}
}

static void assert_tables_equal(const struct topology *a, const struct topology *b)
{
	for (unsigned sw = 0; sw < a->switch_count; sw++)
		assert_memory_equal(a->switches[sw].lft, b->switches[sw].lft, TOPOLOGY_LIDS);
}

static void finish(const struct fabric_change *change, enum change_direction direction)
{
	struct fabric_read *fabric = read_all(change);
	char why[STALE_TEXT_BYTES];
	struct change_left left = {0};

	if (change_left(change, direction, fabric, &left, why))
		fail_msg("%s: %s", topology_name(&topology), why);
	if (change->order == PLAN_CONSISTENT) {
		if (!prefixes_hold(&prefixes, &left.sets, ORDERS))
			fail_msg("%s: %s", topology_name(&topology), prefixes.why);
	} else {
		write_sets(&left.sets);
	}
	for (uint32_t i = 0; i < left.slot_count; i++)
		assert_int_not_equal(left.slots[i].before, left.slots[i].after);
	change_left_clear(&left);
	fabric_read_destroy(fabric);
}

/* ---- the properties ---- */

typedef void (*change_check)(const struct fabric_change *change);

static void for_changes(change_check check)
{
	unsigned made = 0;

	for (uint64_t seed = 0; seed < seeds(); seed++) {
		struct fabric_change change;

		if (!change_for(seed, &change))
			continue;
		prefixes_begin(&prefixes, &before, &after);
		prefixes_write_some(&prefixes, &change.sets);
		check(&change);
		fabric_change_clear(&change);
		made++;
	}
	assert_true(made > seeds() / 2);
}

static void check_back(const struct fabric_change *change)
{
	finish(change, CHANGE_BACK);
	assert_tables_equal(&prefixes.at, &before);
}

static void half_a_change_is_taken_back(void **state)
{
	for_changes(check_back);
}

static void check_forth(const struct fabric_change *change)
{
	finish(change, CHANGE_FORTH);
	assert_tables_equal(&prefixes.at, &after);
}

static void half_a_change_is_gone_on_with(void **state)
{
	for_changes(check_forth);
}

static bool is_the_changes(unsigned sw, unsigned lid)
{
	return before.switches[sw].lft[lid] != after.switches[sw].lft[lid];
}

/* Entries of others in whatever blocks, for LIDs of the change on other switches as well. */
static void change_others(void)
{
	for (unsigned i = 0; i < OTHERS; i++) {
		unsigned sw = topology_random(&topology, topology.switch_count);
		unsigned lid = topology_random(&topology, TOPOLOGY_LIDS);
		uint8_t port = (uint8_t)topology_random(&topology, 256);

		if (is_the_changes(sw, lid))
			continue;
		prefixes.at.switches[sw].lft[lid] = port;
		before.switches[sw].lft[lid] = port;
		after.switches[sw].lft[lid] = port;
	}
}

static void check_others_stay(const struct fabric_change *change)
{
	struct fabric_change unordered = *change;

	/* What others do to routes is not this change's to keep whole. */
	unordered.order = PLAN_FAST;
	change_others();
	finish(&unordered, CHANGE_FORTH);
	assert_tables_equal(&prefixes.at, &after);
	change_others();
	finish(&unordered, CHANGE_BACK);
	assert_tables_equal(&prefixes.at, &before);
}

static void what_others_have_changed_stays(void **state)
{
	for_changes(check_others_stay);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(half_a_change_is_taken_back),
	        cmocka_unit_test(half_a_change_is_gone_on_with),
	        cmocka_unit_test(what_others_have_changed_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
