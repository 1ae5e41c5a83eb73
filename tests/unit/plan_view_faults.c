/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Views with holes and contradictions: refused by the name of what is wrong, never followed. */
#include <errno.h>

#include "sm-side/plan/explain.h"
#include "unit/plan_moves.h"

/* Where the VM of identity 0 is asked to go: the other hypervisor's first slot. */
static enum refusal plan_on(struct fabric_view *view, struct view_fault *fault)
{
	struct plan_move_request move = request_for(0, 2);
	struct plan_request request = {.move_count = 1, .moves = &move, .fault = fault};
	struct plan *plan = NULL;
	enum refusal refused = plan_make(view, &endpoint_vswitch, &request, &plan);

	plan_destroy(plan);
	fabric_view_destroy(view);
	return refused;
}

static void assert_text(const struct view_fault *fault, const char *expected)
{
	char text[128];

	view_fault_text(fault, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void a_sound_view_is_planned_on(void **state)
{
	struct view_fault fault = {0};

	small_fabric();
	assert_int_equal(plan_on(test_view(&fabric), &fault), REFUSAL_NONE);
	assert_int_equal(fault.kind, VIEW_SOUND);
	assert_text(&fault, "nothing is wrong");
}

static void a_guid_that_appears_twice_is_named(void **state)
{
	struct view_fault fault = {0};
	struct fabric_view *view;

	small_fabric();
	view = test_view(&fabric);
	view->end_ports[3].port_guid = view->end_ports[1].port_guid = 0xabc;
	assert_int_equal(fabric_view_finish(view), -EEXIST);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_GUID_TWICE);
	assert_text(&fault, "GUID 0x0000000000000abc appears twice");

	view = test_view(&fabric);
	view->switches[2].guid = view->switches[1].guid;
	assert_int_equal(fabric_view_finish(view), -EEXIST);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.guid, fabric.switches[1].guid);
}

static void a_lid_that_is_held_twice_is_named_with_its_holders(void **state)
{
	struct view_fault fault = {0};
	struct fabric_view *view;

	small_fabric();
	view = test_view(&fabric);
	view->end_ports[3].lid = view->end_ports[1].lid;
	assert_int_equal(fabric_view_finish(view), 0);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_LID_TWICE);
	assert_int_equal(fault.lid, fabric.identities[1].lid);
	assert_int_equal(fault.guid, fabric.identities[1].port_guid);
	assert_int_equal(fault.other_guid, fabric.identities[3].port_guid);
	assert_string_equal(view_fault_name(fault.kind), "lid-twice");
}

static void lids_by_lmc_and_lids_of_switches_count(void **state)
{
	struct view_fault fault = {0};
	struct fabric_view *view;

	small_fabric();
	view = test_view(&fabric);
	view->end_ports[0].lmc = 2; /* 60 to 63, and the next port has 63 */
	fabric_view_finish(view);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.lid, 63);

	view = test_view(&fabric);
	view->switches[0].lid = fabric.identities[3].lid;
	fabric_view_finish(view);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_LID_TWICE);
	assert_int_equal(fault.guid, fabric.switches[0].guid);

	view = test_view(&fabric);
	view->switches[fabric.slots[0].sw].lid = fabric.identities[0].lid; /* with its PF */
	fabric_view_finish(view);
	assert_int_equal(plan_on(view, &fault), REFUSAL_NONE);
}

/* To whom nothing leads is never followed, whether noticed while linking or at the end. */
static void a_link_to_nothing_is_named_and_taken_out(void **state)
{
	struct view_peer nobody = {1000, 1, PEER_SWITCH}, no_end_port = {1000, 1, PEER_END_PORT};
	struct view_fault fault = {0};
	struct fabric_view *view;

	small_fabric();
	view = test_view(&fabric);
	fabric_view_link(view, 1, 2, nobody);
	assert_int_equal(fabric_view_finish(view), 0);
	assert_int_equal(view_peer_of(view, &view->switches[1], 2)->kind, PEER_NONE);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_UNKNOWN_PEER);
	assert_int_equal(fault.guid, fabric.switches[1].guid);
	assert_int_equal(fault.port, 2);

	view = test_view(&fabric);
	fabric_view_link(view, 0, 1, no_end_port);
	fabric_view_link(view, 77, 1, nobody);
	fabric_view_link(view, 0, 200, nobody);
	assert_int_equal(fabric_view_finish(view), 0);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_UNKNOWN_PEER);
	assert_int_equal(fault.guid, fabric.switches[0].guid);
}

static void a_cable_of_which_one_end_says_otherwise_is_named(void **state)
{
	struct view_fault fault = {0};
	struct fabric_view *view;

	small_fabric();
	view = test_view(&fabric);
	fabric_view_link(view, 0, 1, (struct view_peer){1, 2, PEER_SWITCH});
	fabric_view_finish(view);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_ONE_SIDED_LINK);

	view = test_view(&fabric);
	fabric_view_link(view, fabric.slots[0].sw, fabric.slots[0].port,
	        (struct view_peer){1, 1, PEER_END_PORT});
	fabric_view_finish(view);
	assert_int_equal(plan_on(view, &fault), REFUSAL_BAD_VIEW);
	assert_int_equal(fault.kind, VIEW_ONE_SIDED_LINK);
}

static void a_switch_without_a_table_is_named(void **state)
{
	struct view_fault fault = {0};
	struct fabric_view *view;

	small_fabric();
	view = test_view(&fabric);
	view->switches[1].lft = NULL;
	view->switches[1].lft_entries = 0;
	assert_int_equal(plan_on(view, &fault), REFUSAL_NO_LFT);
	assert_int_equal(fault.kind, VIEW_NO_TABLE);
	assert_int_equal(fault.guid, fabric.switches[1].guid);

	fabric.identities[0].lid = 500;
	test_route(&fabric, &fabric.slots[0]);
	view = test_view(&fabric);
	view->switches[0].lft_entries = 448;
	assert_int_equal(plan_on(view, &fault), REFUSAL_NO_LFT);
	assert_int_equal(fault.lid, 500);
}

static void a_lid_that_is_led_astray_is_named_with_its_place(void **state)
{
	struct view_fault fault = {0};

	small_fabric();
	fabric.switches[0].lft[fabric.identities[2].lid] = LFT_NO_PORT;
	fabric.switches[fabric.slots[2].sw].lft[fabric.identities[2].lid] = 1;
	assert_int_equal(plan_on(test_view(&fabric), &fault), REFUSAL_NOT_ROUTED);
	assert_int_equal(fault.kind, VIEW_ASTRAY);
	assert_int_equal(fault.lid, fabric.identities[2].lid);
	assert_int_equal(fault.guid, fabric.switches[fabric.slots[2].sw].guid);
	assert_int_equal(fault.port, fabric.slots[2].port);
}

/* Anything in the view spoilt at random: a plan or a refusal, no crash (under ASan, too). */
static void nothing_that_is_spoilt_is_followed(void **state)
{
	unsigned refused = 0;

	for (unsigned seed = 1; seed < 3000; seed++) {
		struct view_fault fault = {0};
		struct fabric_view *view;

		small_fabric();
		fabric.seed = seed;
		view = test_view(&fabric);
		for (unsigned i = 1 + test_random(&fabric, 3); i; i--) {
			uint32_t peer = test_random(&fabric, view->peer_count);
			struct view_switch *sw =
			        &view->switches[test_random(&fabric, view->switch_count)];
			struct view_end_port *port =
			        &view->end_ports[test_random(&fabric, view->end_port_count)];

			switch (test_random(&fabric, 6)) {
			case 0:
				view->peers[peer].index = test_random(&fabric, 9);
				break;
			case 1:
				view->peers[peer].kind = (uint8_t)test_random(&fabric, 3);
				break;
			case 2:
				view->peers[peer].port = (uint8_t)test_random(&fabric, 256);
				break;
			case 3:
				sw->lft_entries = 64 * test_random(&fabric, 8);
				break;
			case 4:
				port->lid = (uint16_t)test_random(&fabric, 600);
				break;
			case 5:
				port->lmc = (uint8_t)test_random(&fabric, 256);
				break;
			}
		}
		fabric_view_finish(view);
		earlier = fabric;
		refused += plan_on(view, &fault) != REFUSAL_NONE;
		assert_memory_equal(&fabric, &earlier, sizeof(fabric));
	}
	assert_in_range(refused, 1000, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_sound_view_is_planned_on),
	        cmocka_unit_test(a_guid_that_appears_twice_is_named),
	        cmocka_unit_test(a_lid_that_is_held_twice_is_named_with_its_holders),
	        cmocka_unit_test(lids_by_lmc_and_lids_of_switches_count),
	        cmocka_unit_test(a_link_to_nothing_is_named_and_taken_out),
	        cmocka_unit_test(a_cable_of_which_one_end_says_otherwise_is_named),
	        cmocka_unit_test(a_switch_without_a_table_is_named),
	        cmocka_unit_test(a_lid_that_is_led_astray_is_named_with_its_place),
	        cmocka_unit_test(nothing_that_is_spoilt_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
