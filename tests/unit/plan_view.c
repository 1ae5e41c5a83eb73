/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The planner's view: who is found where, what counts as a vSwitch, what counts as a route. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/fabric_view.h"
#include "sm-side/plan/route.h"
#include "unit/plan_fabric.h"

static struct test_fabric fabric;

static void everything_is_found_by_guid_and_place(void **state)
{
	for (unsigned seed = 1; seed < 50; seed++) {
		struct fabric_view *view;

		test_fabric_make(&fabric, seed);
		view = test_view(&fabric);
		for (unsigned i = 0; i < fabric.switch_count; i++)
			assert_int_equal(view_find_switch(view, fabric.switches[i].guid), i);
		for (unsigned i = 0; i < fabric.slot_count; i++) {
			struct view_place place = test_place(&fabric, i);

			assert_int_equal(
			        view_find_end_port(view, fabric.identities[i].port_guid), i);
			assert_int_equal(view_end_port_at(view, place), i);
			assert_true(view_place_equal(view_place_of(view, i), place));
		}
		assert_int_equal(view_find_switch(view, 1), VIEW_NONE);
		assert_int_equal(view_find_end_port(view, 1), VIEW_NONE);
		fabric_view_destroy(view);
	}
}

static void only_vswitches_are_taken_for_vswitches(void **state)
{
	for (unsigned seed = 1; seed < 50; seed++) {
		struct fabric_view *view;

		test_fabric_make(&fabric, seed);
		view = test_view(&fabric);
		for (unsigned i = 0; i < fabric.switch_count; i++)
			assert_int_equal(
			        view->switches[i].is_vswitch, fabric.switches[i].is_vswitch);
		fabric_view_destroy(view);
	}
}

static void a_switch_with_two_uplinks_or_a_two_port_node_is_no_vswitch(void **state)
{
	struct fabric_view *view;
	unsigned vswitch;

	test_fabric_make(&fabric, 3);
	vswitch = fabric.slots[0].sw;
	view = test_view(&fabric);
	assert_true(view->switches[vswitch].is_vswitch);
	view->end_ports[0].node_ports = 2;
	assert_int_equal(fabric_view_finish(view), 0);
	assert_false(view->switches[vswitch].is_vswitch);
	fabric_view_destroy(view);
	test_cable(&fabric, vswitch, 0);
	view = test_view(&fabric);
	assert_false(view->switches[vswitch].is_vswitch);
	fabric_view_destroy(view);
}

static void a_guid_that_appears_twice_is_noticed(void **state)
{
	struct fabric_view *view;

	test_fabric_make(&fabric, 3);
	view = test_view(&fabric);
	view->end_ports[1].port_guid = view->end_ports[0].port_guid;
	assert_int_equal(fabric_view_finish(view), -EEXIST);
	fabric_view_destroy(view);
}

/* The view's answer against a walk from each switch by the test's own code. */
static void leading_agrees_with_walking(void **state)
{
	for (unsigned seed = 1; seed < 400; seed++) {
		struct fabric_view *view;
		unsigned slot;
		uint16_t lid;
		bool leads, expected = true;

		test_fabric_make(&fabric, seed);
		slot = test_random(&fabric, fabric.slot_count);
		lid = fabric.identities[slot].lid;
		for (unsigned i = test_random(&fabric, 3); i; i--) {
			struct test_switch *sw =
			        &fabric.switches[test_random(&fabric, fabric.switch_count)];

			sw->lft[lid] = (uint8_t)(1 + test_random(&fabric, sw->ports));
		}
		for (unsigned sw = 0; sw < fabric.switch_count; sw++)
			expected &= test_walk(&fabric, sw, lid) == (int)slot;
		view = test_view(&fabric);
		assert_int_equal(view_leads_to(view, lid, test_place(&fabric, slot), &leads), 0);
		assert_int_equal(leads, expected);
		fabric_view_destroy(view);
	}
}

static void a_switch_without_an_entry_is_no_wrong_route(void **state)
{
	struct fabric_view *view;
	uint16_t lid;
	bool leads;

	test_fabric_make(&fabric, 5);
	lid = fabric.identities[0].lid;
	for (unsigned sw = 0; sw < fabric.switch_count; sw++)
		if (sw != fabric.slots[0].sw)
			fabric.switches[sw].lft[lid] = LFT_NO_PORT;
	view = test_view(&fabric);
	assert_int_equal(view_leads_to(view, lid, test_place(&fabric, 0), &leads), 0);
	assert_true(leads);
	fabric.switches[fabric.slots[0].sw].lft[lid] = LFT_NO_PORT;
	assert_int_equal(view_leads_to(view, lid, test_place(&fabric, 0), &leads), 0);
	assert_false(leads);
	fabric_view_destroy(view);
}

static void the_generation_follows_cables_not_end_ports_and_routes(void **state)
{
	struct fabric_view *view;
	uint64_t generation;

	test_fabric_make(&fabric, 9);
	view = test_view(&fabric);
	generation = view_generation(view);
	assert_true(generation < UINT64_C(1) << 53);
	fabric_view_destroy(view);
	fabric.slots[0].identity = 1;
	fabric.slots[1].identity = 0;
	fabric.switches[0].lft[3] ^= 1;
	view = test_view(&fabric);
	assert_int_equal(view_generation(view), generation);
	view->end_ports[0].lid ^= 1;
	fabric_view_finish(view);
	assert_int_equal(view_generation(view), generation);
	fabric_view_destroy(view);
	test_cable(&fabric, 0, 1);
	view = test_view(&fabric);
	assert_int_not_equal(view_generation(view), generation);
	fabric_view_destroy(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everything_is_found_by_guid_and_place),
	        cmocka_unit_test(only_vswitches_are_taken_for_vswitches),
	        cmocka_unit_test(a_switch_with_two_uplinks_or_a_two_port_node_is_no_vswitch),
	        cmocka_unit_test(a_guid_that_appears_twice_is_noticed),
	        cmocka_unit_test(leading_agrees_with_walking),
	        cmocka_unit_test(a_switch_without_an_entry_is_no_wrong_route),
	        cmocka_unit_test(the_generation_follows_cables_not_end_ports_and_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
