/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The swap planner against random fabrics that are walked and compared by code of their own. */
#include "unit/plan_moves.h"

enum { MOVES = 8 };

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
	assert_int_equal(plan->moves[0].vm.port_guid,
	        fabric.identities[fabric.slots[to].identity].port_guid);
	assert_int_equal(plan->moves[0].other.port_guid,
	        fabric.identities[fabric.slots[from].identity].port_guid);
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
	assert_int_equal(
	        plan->sets.change_count, plan->counts.lft_physical + plan->counts.lft_vswitch);
}

static void counted_sets_are_the_blocks_that_differ(void **state)
{
	for_random_moves(check_counts);
}

static void check_only_two_lids(unsigned from, unsigned to, const struct plan *plan)
{
	for (unsigned sw = 0; sw < fabric.switch_count; sw++)
		for (unsigned lid = 0; lid < TEST_LFT; lid++)
			if (lid != plan->moves[0].vm.lid && lid != plan->moves[0].other.lid)
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
	bool one_block =
	        plan->moves[0].vm.lid / LFT_BLOCK_LIDS == plan->moves[0].other.lid / LFT_BLOCK_LIDS;

	for (uint32_t i = 0; i < plan->sets.change_count; i++) {
		const struct plan_change *change = &plan->sets.changes[i];

		assert_memory_not_equal(change->before, change->after, LFT_BLOCK_LIDS);
		if (!i || plan->sets.changes[i - 1].switch_guid != change->switch_guid)
			continue;
		assert_false(one_block);
		assert_true(plan->sets.changes[i - 1].block < change->block);
	}
	assert_int_equal(plan->sets.change_count % (one_block ? 1 : 2), 0);
}

static void one_set_where_both_lids_share_a_block_else_two(void **state)
{
	for_random_moves(check_blocks_per_switch);
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
        void (*spoil)(struct fabric_view *view), const struct plan_move_request *request)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan *plan = NULL;
	enum refusal refused;

	if (spoil)
		spoil(view);
	refused = plan_of_one(view, request, &plan);
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
	view->switches[1].lft_entries = 0;
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
	struct plan_move_request request, wrong;

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
	struct plan_move_request request;

	small_fabric();
	request = request_for(0, 2);
	exchange_identities(0, 1); /* seen elsewhere by the SM, not yet routed there */
	assert_int_equal(refusal_with(NULL, &request), REFUSAL_NOT_ROUTED);
}

static void a_loop_is_not_taken_for_a_route(void **state)
{
	struct plan_move_request request;
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
	        cmocka_unit_test(the_hash_names_intent_and_changes),
	        cmocka_unit_test(pkey_sets_are_two_for_each_block_and_holder_that_differs),
	        cmocka_unit_test(refusals_have_their_reasons),
	        cmocka_unit_test(tables_that_lead_elsewhere_are_not_exchanged),
	        cmocka_unit_test(a_loop_is_not_taken_for_a_route),
	        cmocka_unit_test(every_refusal_has_a_name_and_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
