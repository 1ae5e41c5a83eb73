/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The tables that a view keeps itself: exact, small, and independent of what they were read from.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sm-side/plan/fabric_view.h"
#include "unit/plan_fabric.h"

static struct test_fabric fabric;

static unsigned draw(unsigned below)
{
	return test_random(&fabric, below);
}

static void assert_table_equal(const struct view_switch *sw, const uint8_t *lft, uint32_t entries)
{
	uint8_t block[LFT_BLOCK_LIDS];

	assert_int_equal(sw->lft_entries, entries);
	for (uint32_t lid = 0; lid < entries; lid++)
		assert_int_equal(view_lft_entry(sw, (uint16_t)lid), lft[lid]);
	for (uint32_t at = 0; at < entries; at += LFT_BLOCK_LIDS) {
		view_lft_block(sw, (uint16_t)(at / LFT_BLOCK_LIDS), block);
		assert_memory_equal(block, lft + at, LFT_BLOCK_LIDS);
	}
	assert_int_equal(view_lft_entry(sw, (uint16_t)entries), LFT_NO_PORT);
}

/* One port for nearly all that is routed, @odd others. */
static void uplink_table(uint8_t *lft, uint32_t entries, unsigned odd)
{
	for (uint32_t lid = 0; lid < entries; lid++)
		lft[lid] = lid % 7 == 3 ? LFT_NO_PORT : 1;
	while (odd--)
		lft[draw(entries)] = (uint8_t)draw(256);
}

static void a_kept_table_is_the_one_that_was_given(void **state)
{
	uint8_t lft[2048];

	for (unsigned seed = 1; seed < 200; seed++) {
		struct fabric_view *view = fabric_view_create();

		fabric.seed = seed;
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t entries = LFT_BLOCK_LIDS * (1 + draw(31));

			uplink_table(lft, entries, draw(2) ? draw(12) : draw(1000));
			fabric_view_add_switch(view, i + 1, 36, NULL, 0);
			assert_false(view_has_lft(&view->switches[i]));
			assert_int_equal(fabric_view_keep_lft(view, i, lft, entries), 0);
			assert_table_equal(&view->switches[i], lft, entries);
		}
		fabric_view_destroy(view);
	}
}

static void an_uplink_table_takes_some_hundred_bytes_and_others_stay_whole(void **state)
{
	static uint8_t lft[LFT_ENTRIES_MAX];
	struct fabric_view *view = fabric_view_create();
	size_t before;

	fabric.seed = 1;
	uplink_table(lft, LFT_ENTRIES_MAX, 17);
	for (uint32_t i = 0; i < 100; i++)
		fabric_view_add_switch(view, i + 1, 17, NULL, 0);
	before = fabric_view_bytes(view);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(fabric_view_keep_lft(view, i, lft, LFT_ENTRIES_MAX), 0);
	assert_true(fabric_view_bytes(view) - before < 100 * 200 + sizeof(struct routed_lids) + 1);
	before = fabric_view_bytes(view);
	for (uint32_t lid = 0; lid < LFT_ENTRIES_MAX; lid++)
		lft[lid] = (uint8_t)(1 + draw(36));
	assert_int_equal(fabric_view_keep_lft(view, 5, lft, LFT_ENTRIES_MAX), 0);
	assert_table_equal(&view->switches[5], lft, LFT_ENTRIES_MAX);
	assert_in_range(fabric_view_bytes(view) - before, LFT_ENTRIES_MAX - 200, LFT_ENTRIES_MAX);
	fabric_view_destroy(view);
}

static void a_table_beyond_the_unicast_lids_is_cut_there(void **state)
{
	static uint8_t lft[UINT16_MAX + 1];
	struct fabric_view *view = fabric_view_create();

	fabric_view_add_switch(view, 1, 36, lft, sizeof(lft));
	fabric_view_add_switch(view, 2, 36, NULL, 0);
	assert_int_equal(fabric_view_keep_lft(view, 1, lft, sizeof(lft)), 0);
	assert_int_equal(view->switches[0].lft_entries, LFT_ENTRIES_MAX);
	assert_int_equal(view->switches[1].lft_entries, LFT_ENTRIES_MAX);
	fabric_view_destroy(view);
}

/* What a test asks of a copy: the same answers, also once the original and its tables are gone. */
static void a_copy_outlives_what_it_was_made_of(void **state)
{
	static struct test_fabric before;

	for (unsigned seed = 1; seed < 60; seed++) {
		struct fabric_view *view, *copy, *again;

		test_fabric_make(&fabric, seed);
		before = fabric;
		view = test_view(&fabric);
		copy = fabric_view_copy(view);
		again = fabric_view_copy(copy);
		assert_int_equal(view_generation(copy), view_generation(view));
		fabric_view_destroy(view);
		memset(&fabric, 0, sizeof(fabric));
		fabric_view_destroy(copy);
		for (unsigned i = 0; i < before.switch_count; i++) {
			assert_table_equal(&again->switches[i], before.switches[i].lft, TEST_LFT);
			assert_int_equal(
			        again->switches[i].is_vswitch, before.switches[i].is_vswitch);
		}
		for (unsigned i = 0; i < before.slot_count; i++) {
			assert_int_equal(view_end_port_at(again, test_place(&before, i)), i);
			assert_null(again->end_ports[i].source);
		}
		fabric_view_destroy(again);
	}
}

/* ---- the largest subnet ---- */

enum { PHYSICAL = 1620, HYPERVISORS = 2730, FUNCTIONS = 17, LARGEST_BYTES = 130000000 };

static void add_end_port(struct fabric_view *view, uint32_t sw, uint8_t port, uint16_t lid)
{
	struct view_end_port end_port = {
	        .port_guid = 0x900000u + lid, .node_guid = lid, .lid = lid, .node_ports = 1};
	uint32_t added = fabric_view_add_end_port(view, &end_port);

	fabric_view_link(view, sw, port, (struct view_peer){added, 1, PEER_END_PORT});
}

static void add_hypervisor(
        struct fabric_view *view, uint32_t leaf, uint8_t port, uint16_t first_lid)
{
	static uint8_t lft[LFT_ENTRIES_MAX];
	uint32_t sw = fabric_view_add_switch(view, 0x800000u + first_lid, FUNCTIONS + 1, NULL, 0);

	memset(lft, 1, sizeof(lft));
	lft[0] = LFT_NO_PORT;
	for (unsigned i = 0; i < FUNCTIONS; i++)
		lft[first_lid + i] = (uint8_t)(2 + i);
	assert_int_equal(fabric_view_keep_lft(view, sw, lft, sizeof(lft)), 0);
	fabric_view_link(view, sw, 1, (struct view_peer){leaf, port, PEER_SWITCH});
	fabric_view_link(view, leaf, port, (struct view_peer){sw, 1, PEER_SWITCH});
	for (unsigned i = 0; i < FUNCTIONS; i++)
		add_end_port(view, sw, (uint8_t)(2 + i), (uint16_t)(first_lid + i));
}

static void add_physical(struct fabric_view *view, uint32_t i)
{
	static uint8_t lft[LFT_ENTRIES_MAX];

	for (uint32_t lid = 1; lid < LFT_ENTRIES_MAX; lid++)
		lft[lid] = (uint8_t)(1 + (lid * 2654435761u >> 16 ^ i) % 36);
	lft[0] = LFT_NO_PORT;
	assert_int_not_equal(fabric_view_add_switch(view, i + 1, 36, NULL, 0), VIEW_NONE);
	assert_int_equal(fabric_view_keep_lft(view, i, lft, sizeof(lft)), 0);
}

/* A LID for each switch, for each function of each hypervisor, the rest for CAs on free ports. */
static struct fabric_view *largest_view(void)
{
	struct fabric_view *view = fabric_view_create();
	uint32_t lid = PHYSICAL + 1;

	for (uint32_t i = 0; i < PHYSICAL; i++)
		add_physical(view, i);
	for (uint32_t i = 0; i < PHYSICAL; i++) {
		uint32_t next = (i + 1) % PHYSICAL;

		fabric_view_link(view, i, 36, (struct view_peer){next, 35, PEER_SWITCH});
		fabric_view_link(view, next, 35, (struct view_peer){i, 36, PEER_SWITCH});
	}
	for (uint32_t i = 0; i < HYPERVISORS; i++, lid += FUNCTIONS)
		add_hypervisor(view, i % PHYSICAL, (uint8_t)(1 + i / PHYSICAL), (uint16_t)lid);
	for (uint32_t i = 0; lid <= LID_UNICAST_MAX; i++, lid++)
		add_end_port(view, i % PHYSICAL, (uint8_t)(3 + i / PHYSICAL), (uint16_t)lid);
	assert_int_equal(fabric_view_finish(view), 0);
	return view;
}

static long resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);
	return pages * 4096;
}

static void the_largest_subnet_stays_below_130_mb(void **state)
{
	long before = resident_bytes();
	struct mallinfo2 heap = mallinfo2();
	size_t allocated = heap.uordblks + heap.hblkhd;
	struct fabric_view *view = largest_view();
	uint32_t vswitches = 0;

	heap = mallinfo2();
	allocated = heap.uordblks + heap.hblkhd - allocated;
	for (uint32_t i = 0; i < view->switch_count; i++)
		vswitches += view->switches[i].is_vswitch;
	assert_int_equal(vswitches, HYPERVISORS);
	assert_int_equal(view->end_port_count, LID_UNICAST_MAX - PHYSICAL);
	printf("# %zu bytes by its own account, %zu of the heap, %ld resident\n",
	        fabric_view_bytes(view), allocated, resident_bytes() - before);
	assert_true(fabric_view_bytes(view) < LARGEST_BYTES);
	assert_true(fabric_view_bytes(view) > (size_t)PHYSICAL * LFT_ENTRIES_MAX);
	assert_true(allocated < LARGEST_BYTES);
	fabric_view_destroy(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_kept_table_is_the_one_that_was_given),
	        cmocka_unit_test(an_uplink_table_takes_some_hundred_bytes_and_others_stay_whole),
	        cmocka_unit_test(a_table_beyond_the_unicast_lids_is_cut_there),
	        cmocka_unit_test(a_copy_outlives_what_it_was_made_of),
	        cmocka_unit_test(the_largest_subnet_stays_below_130_mb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
