/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The swap planner against random fabrics that are walked and compared by code of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/swap.h"
#include "unit/plan_fabric.h"

enum { FABRICS = 300, MOVES = 8 };

static struct test_fabric fabric, earlier;

static struct swap_request request_for(unsigned from, unsigned to)
{
	return (struct swap_request){
	        .vm_port_guid = fabric.identities[fabric.slots[from].identity].port_guid,
	        .to = test_place(&fabric, to),
	};
}

static enum refusal plan_between(unsigned from, unsigned to, struct plan **plan)
{
	struct fabric_view *view = test_view(&fabric);
	struct swap_request request = request_for(from, to);
	enum refusal refused = plan_swap(view, &endpoint_vswitch, &request, plan);

	fabric_view_destroy(view);
	return refused;
}

/* What the agents do: the identities change slots. */
static void exchange_identities(unsigned a, unsigned b)
{
	unsigned identity = fabric.slots[a].identity;

	fabric.slots[a].identity = fabric.slots[b].identity;
	fabric.slots[b].identity = identity;
}

static void change_write(const struct plan_change *change)
{
	for (unsigned i = 0; i < fabric.switch_count; i++) {
		uint8_t *block = fabric.switches[i].lft + (size_t)change->block * LFT_BLOCK_LIDS;

		if (fabric.switches[i].guid != change->switch_guid)
			continue;
		assert_memory_equal(block, change->before, LFT_BLOCK_LIDS);
		memcpy(block, change->after, LFT_BLOCK_LIDS);
		return;
	}
	fail_msg("no switch of that GUID");
}

static void plan_write(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->change_count; i++)
		change_write(&plan->changes[i]);
}

static unsigned another_slot(unsigned slot)
{
	return (slot + 1 + test_random(&fabric, fabric.slot_count - 1)) % fabric.slot_count;
}

/* Run @check on MOVES random moves in each of FABRICS random fabrics; the moves add up. */
static void for_random_moves(void (*check)(unsigned from, unsigned to, const struct plan *plan))
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		test_fabric_make(&fabric, seed);
		for (unsigned i = 0; i < MOVES; i++) {
			unsigned from = test_random(&fabric, fabric.slot_count);
			unsigned to = another_slot(from);
			struct plan *plan;

			assert_int_equal(plan_between(from, to, &plan), REFUSAL_NONE);
			earlier = fabric;
			exchange_identities(from, to);
			plan_write(plan);
			check(from, to, plan);
			plan_destroy(plan);
		}
	}
}

static void check_reachable(unsigned from, unsigned to, const struct plan *plan)
{
	assert_true(test_all_reachable(&fabric));
	assert_int_equal(
	        plan->vm.port_guid, fabric.identities[fabric.slots[to].identity].port_guid);
	assert_int_equal(
	        plan->other.port_guid, fabric.identities[fabric.slots[from].identity].port_guid);
}

static void every_identity_is_reached_after_each_move(void **state)
{
	for_random_moves(check_reachable);
}

static void check_counts(unsigned from, unsigned to, const struct plan *plan)
{
	assert_int_equal(
	        plan->counts.lft_physical, test_blocks_differing(&earlier, &fabric, false));
	assert_int_equal(plan->counts.lft_vswitch, test_blocks_differing(&earlier, &fabric, true));
	assert_int_equal(plan->change_count, plan->counts.lft_physical + plan->counts.lft_vswitch);
}

static void counted_sets_are_the_blocks_that_differ(void **state)
{
	for_random_moves(check_counts);
}

static void check_only_two_lids(unsigned from, unsigned to, const struct plan *plan)
{
	for (unsigned sw = 0; sw < fabric.switch_count; sw++)
		for (unsigned lid = 0; lid < TEST_LFT; lid++)
			if (lid != plan->vm.lid && lid != plan->other.lid)
				assert_int_equal(fabric.switches[sw].lft[lid],
				        earlier.switches[sw].lft[lid]);
}

static void other_lids_keep_their_routes(void **state)
{
	for_random_moves(check_only_two_lids);
}

static void check_way_back(unsigned from, unsigned to, const struct plan *plan)
{
	struct test_fabric moved = fabric;
	struct plan *back;

	assert_int_equal(plan_between(to, from, &back), REFUSAL_NONE);
	exchange_identities(to, from);
	plan_write(back);
	for (unsigned sw = 0; sw < fabric.switch_count; sw++)
		assert_memory_equal(fabric.switches[sw].lft, earlier.switches[sw].lft, TEST_LFT);
	plan_destroy(back);
	fabric = moved;
}

static void the_way_back_restores_every_table(void **state)
{
	for_random_moves(check_way_back);
}

static void check_blocks_per_switch(unsigned from, unsigned to, const struct plan *plan)
{
	bool one_block = plan->vm.lid / LFT_BLOCK_LIDS == plan->other.lid / LFT_BLOCK_LIDS;

	for (uint32_t i = 0; i < plan->change_count; i++) {
		const struct plan_change *change = &plan->changes[i];

		assert_memory_not_equal(change->before, change->after, LFT_BLOCK_LIDS);
		if (!i || plan->changes[i - 1].switch_guid != change->switch_guid)
			continue;
		assert_false(one_block);
		assert_true(plan->changes[i - 1].block < change->block);
	}
	assert_int_equal(plan->change_count % (one_block ? 1 : 2), 0);
}

static void one_set_where_both_lids_share_a_block_else_two(void **state)
{
	for_random_moves(check_blocks_per_switch);
}

static void left_of(const struct plan *plan, struct plan_left *left, enum refusal expected)
{
	struct fabric_view *view = test_view(&fabric);

	assert_int_equal(plan_left(view, plan, left), expected);
	fabric_view_destroy(view);
}

static void move_as_planned(const struct plan *plan)
{
	for (unsigned to = 1; to < fabric.slot_count; to++)
		if (view_place_equal(test_place(&fabric, to), plan->to))
			exchange_identities(0, to);
}

/* From any state that an interrupted attempt leaves, what is left brings the plan to its end. */
static void what_is_left_finishes_a_plan_interrupted_anywhere(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		struct plan_left left;
		struct plan *plan;

		test_fabric_make(&fabric, seed);
		assert_int_equal(plan_between(0, another_slot(0), &plan), REFUSAL_NONE);
		left_of(plan, &left, REFUSAL_NONE);
		assert_false(left.links_done || left.routes_done);
		plan_left_clear(&left);
		move_as_planned(plan);
		left_of(plan, &left, REFUSAL_NONE);
		assert_true(left.links_done);
		assert_false(left.routes_done);
		assert_int_equal(left.change_count, plan->change_count);
		for (uint32_t i = 0; i < left.change_count; i++)
			if (test_random(&fabric, 2))
				change_write(&left.changes[i]);
		plan_left_clear(&left);
		left_of(plan, &left, REFUSAL_NONE);
		for (uint32_t i = 0; i < left.change_count; i++)
			change_write(&left.changes[i]);
		plan_left_clear(&left);
		assert_true(test_all_reachable(&fabric));
		left_of(plan, &left, REFUSAL_NONE);
		assert_true(left.links_done && left.routes_done);
		assert_int_equal(left.change_count, 0);
		plan_destroy(plan);
	}
}

/* Wherever an attempt stopped, the reverse plan leads both LIDs back; a whole one it undoes to the
 * byte. */
static void the_reverse_plan_undoes_a_plan_interrupted_anywhere(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		struct plan_left left;
		struct plan *plan, *back;

		test_fabric_make(&fabric, seed);
		earlier = fabric;
		assert_int_equal(plan_between(0, another_slot(0), &plan), REFUSAL_NONE);
		back = plan_reverse(plan);
		assert_int_not_equal(back->hash, plan->hash);
		assert_true(view_place_equal(back->to, plan->from));
		for (uint32_t i = 0; i < plan->change_count; i++)
			if (seed % 3 == 0 || (seed % 3 == 1 && test_random(&fabric, 2)))
				change_write(&plan->changes[i]);
		left_of(back, &left, REFUSAL_NONE);
		for (uint32_t i = 0; i < left.change_count; i++)
			change_write(&left.changes[i]);
		plan_left_clear(&left);
		assert_true(test_all_reachable(&fabric));
		for (unsigned sw = 0; seed % 3 != 1 && sw < fabric.switch_count; sw++)
			assert_memory_equal(
			        fabric.switches[sw].lft, earlier.switches[sw].lft, TEST_LFT);
		plan_destroy(back);
		plan_destroy(plan);
	}
}

/* Two hypervisors with two VFs each, behind two switches. */
static void small_fabric(void)
{
	memset(&fabric, 0, sizeof(fabric));
	test_add_switch(&fabric, false);
	test_add_switch(&fabric, false);
	test_cable(&fabric, 0, 1);
	test_cable(&fabric, 0, 1);
	for (unsigned i = 0; i < 2; i++) {
		unsigned vswitch = test_add_switch(&fabric, true);

		test_cable(&fabric, vswitch, i);
		test_add_slot(&fabric, vswitch);
		test_add_slot(&fabric, vswitch);
	}
	for (unsigned i = 0; i < fabric.slot_count; i++)
		fabric.identities[i].lid = (uint16_t)(60 + i * 3);
	for (unsigned i = 0; i < fabric.slot_count; i++)
		test_route(&fabric, &fabric.slots[i]);
}

static void a_sweep_that_routed_the_new_places_leaves_nothing_to_exchange(void **state)
{
	struct plan_left left;
	struct plan *plan;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	exchange_identities(0, 2);
	fabric.seed = 77; /* other choices than the first time: not the plan's routes */
	test_route(&fabric, &fabric.slots[0]);
	test_route(&fabric, &fabric.slots[2]);
	left_of(plan, &left, REFUSAL_NONE);
	assert_true(left.links_done && left.routes_done);
	assert_int_equal(left.change_count, 0);
	plan_left_clear(&left);
	plan_destroy(plan);
}

static void a_route_changed_by_others_makes_the_plan_stale(void **state)
{
	struct plan_left left;
	struct plan *plan;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	fabric.switches[0].lft[plan->other.lid] =
	        fabric.switches[0].lft[plan->other.lid] == 1 ? 2 : 1;
	left_of(plan, &left, REFUSAL_STALE_PLAN);
	plan_destroy(plan);
}

static void a_changed_topology_makes_the_plan_stale(void **state)
{
	struct plan_left left;
	struct plan *plan;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	test_cable(&fabric, 0, 1);
	left_of(plan, &left, REFUSAL_STALE_PLAN);
	plan_destroy(plan);
}

static void an_identity_at_a_third_place_makes_the_plan_stale(void **state)
{
	struct plan_left left;
	struct plan *plan;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	exchange_identities(0, 1);
	left_of(plan, &left, REFUSAL_STALE_PLAN);
	plan_destroy(plan);
}

static void plans_of_other_vms_do_not_make_a_plan_stale(void **state)
{
	struct plan_left left;
	struct plan *plan, *another;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	assert_int_equal(plan_between(1, 3, &another), REFUSAL_NONE);
	exchange_identities(1, 3);
	plan_write(another);
	left_of(plan, &left, REFUSAL_NONE);
	assert_false(left.links_done || left.routes_done);
	plan_left_clear(&left);
	plan_destroy(another);
	plan_destroy(plan);
}

static void the_hash_names_intent_and_changes(void **state)
{
	struct plan *plan, *same, *other_intent, *other_tables;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	assert_int_equal(plan_between(0, 2, &same), REFUSAL_NONE);
	assert_int_equal(plan_between(0, 3, &other_intent), REFUSAL_NONE);
	fabric.switches[0].lft[200] = 1; /* in no LID's block that changes: same plan */
	fabric.switches[0].lft[65] = 1;
	assert_int_equal(plan_between(0, 2, &other_tables), REFUSAL_NONE);
	assert_int_equal(plan->hash, same->hash);
	assert_int_not_equal(plan->hash, other_intent->hash);
	assert_int_not_equal(plan->hash, other_tables->hash);
	plan_destroy(plan);
	plan_destroy(same);
	plan_destroy(other_intent);
	plan_destroy(other_tables);
}

static void pkey_sets_are_two_for_each_block_and_holder_that_differs(void **state)
{
	struct plan *plan;

	small_fabric();
	for (unsigned i = 0; i < fabric.slot_count; i++)
		fabric.identities[i].pkeys[3] = i == 0;
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	assert_int_equal(plan->counts.pkey, 4);
	assert_int_equal(plan->counts.portinfo, 2);
	assert_int_equal(plan->counts.groups, 2);
	plan_destroy(plan);
	assert_int_equal(plan_between(1, 3, &plan), REFUSAL_NONE);
	assert_int_equal(plan->counts.pkey, 0);
	plan_destroy(plan);
}

/* Ask for a move in a view that @spoil has changed. */
static enum refusal refusal_with(
        void (*spoil)(struct fabric_view *view), const struct swap_request *request)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan *plan = NULL;
	enum refusal refused;

	if (spoil)
		spoil(view);
	refused = plan_swap(view, &endpoint_vswitch, request, &plan);
	if (refused)
		assert_null(plan);
	plan_destroy(plan);
	fabric_view_destroy(view);
	return refused;
}

static void spoil_lmc(struct fabric_view *view)
{
	view->end_ports[2].lmc = 1;
}

static void spoil_sm(struct fabric_view *view)
{
	view->end_ports[0].is_sm = true;
}

static void spoil_lid(struct fabric_view *view)
{
	view->end_ports[2].lid = 0;
}

static void spoil_lft(struct fabric_view *view)
{
	view->switches[1].lft = NULL;
}

static void spoil_lft_size(struct fabric_view *view)
{
	view->switches[1].lft_entries = LFT_BLOCK_LIDS;
}

static void spoil_more_ports(struct fabric_view *view)
{
	view->end_ports[2].node_ports = 2;
}

static void spoil_vswitch(struct fabric_view *view)
{
	view->switches[3].is_vswitch = false;
}

static void refusals_have_their_reasons(void **state)
{
	struct swap_request request, wrong;

	small_fabric();
	request = request_for(0, 2);
	assert_int_equal(refusal_with(NULL, &request), REFUSAL_NONE);
	wrong = request;
	wrong.vm_port_guid = 1;
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_UNKNOWN_PORT);
	wrong = request;
	wrong.vm_node_guid = 1;
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_UNKNOWN_PORT);
	wrong = request;
	wrong.to = test_place(&fabric, 0);
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_SAME_PLACE);
	wrong.to.port = 200;
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_NOT_A_VSWITCH_SLOT);
	wrong.to.port = 1; /* the uplink */
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_NOT_A_VSWITCH_SLOT);
	wrong.to = (struct view_place){fabric.switches[0].guid, 1};
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_NOT_A_VSWITCH_SLOT);
	wrong.to = (struct view_place){7, 1};
	assert_int_equal(refusal_with(NULL, &wrong), REFUSAL_NOT_A_VSWITCH_SLOT);
	assert_int_equal(refusal_with(spoil_vswitch, &request), REFUSAL_NOT_A_VSWITCH_SLOT);
	assert_int_equal(refusal_with(spoil_lmc, &request), REFUSAL_LMC);
	assert_int_equal(refusal_with(spoil_sm, &request), REFUSAL_SM_OWN_PORT);
	assert_int_equal(refusal_with(spoil_lid, &request), REFUSAL_NO_LID);
	assert_int_equal(refusal_with(spoil_lft, &request), REFUSAL_NO_LFT);
	assert_int_equal(refusal_with(spoil_lft_size, &request), REFUSAL_NO_LFT);
	assert_int_equal(refusal_with(spoil_more_ports, &request), REFUSAL_MORE_PORTS);
}

static void tables_that_lead_elsewhere_are_not_exchanged(void **state)
{
	struct swap_request request;

	small_fabric();
	request = request_for(0, 2);
	exchange_identities(0, 1); /* seen elsewhere by the SM, not yet routed there */
	assert_int_equal(refusal_with(NULL, &request), REFUSAL_NOT_ROUTED);
}

static void a_loop_is_not_taken_for_a_route(void **state)
{
	struct swap_request request;
	uint16_t lid;

	small_fabric();
	lid = fabric.identities[fabric.slots[2].identity].lid;
	request = request_for(0, 2);
	/* Switches 0 and 1 point at each other; 0 is where the other VM's traffic comes from. */
	fabric.switches[1].lft[lid] = 1;
	fabric.switches[0].lft[lid] = 1;
	assert_int_equal(refusal_with(NULL, &request), REFUSAL_NOT_ROUTED);
}

static void every_refusal_has_a_name_and_a_sentence(void **state)
{
	for (int i = 0; i < REFUSAL_COUNT; i++) {
		assert_non_null(refusal_name((enum refusal)i));
		assert_non_null(refusal_text((enum refusal)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
			        refusal_name((enum refusal)i), refusal_name((enum refusal)j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_identity_is_reached_after_each_move),
	        cmocka_unit_test(counted_sets_are_the_blocks_that_differ),
	        cmocka_unit_test(other_lids_keep_their_routes),
	        cmocka_unit_test(the_way_back_restores_every_table),
	        cmocka_unit_test(one_set_where_both_lids_share_a_block_else_two),
	        cmocka_unit_test(what_is_left_finishes_a_plan_interrupted_anywhere),
	        cmocka_unit_test(the_reverse_plan_undoes_a_plan_interrupted_anywhere),
	        cmocka_unit_test(a_sweep_that_routed_the_new_places_leaves_nothing_to_exchange),
	        cmocka_unit_test(a_route_changed_by_others_makes_the_plan_stale),
	        cmocka_unit_test(a_changed_topology_makes_the_plan_stale),
	        cmocka_unit_test(an_identity_at_a_third_place_makes_the_plan_stale),
	        cmocka_unit_test(plans_of_other_vms_do_not_make_a_plan_stale),
	        cmocka_unit_test(the_hash_names_intent_and_changes),
	        cmocka_unit_test(pkey_sets_are_two_for_each_block_and_holder_that_differs),
	        cmocka_unit_test(refusals_have_their_reasons),
	        cmocka_unit_test(tables_that_lead_elsewhere_are_not_exchanged),
	        cmocka_unit_test(a_loop_is_not_taken_for_a_route),
	        cmocka_unit_test(every_refusal_has_a_name_and_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
