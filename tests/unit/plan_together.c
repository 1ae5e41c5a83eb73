/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Several moves in one plan: as if one after the other, in fewer Sets. */
#include "unit/plan_requests.h"

static void check_places(const struct plan *plan)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < fabric.slot_count; i++)
		moved += fabric.slots[i].identity != earlier.slots[i].identity;
	assert_int_equal(plan->transfer_count, moved);
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		unsigned slot = slot_of(plan->transfers[i].identity.port_guid);

		assert_true(view_place_equal(plan->transfers[i].to, test_place(&fabric, slot)));
		if (i)
			assert_true(plan->transfers[i - 1].identity.lid <
			            plan->transfers[i].identity.lid);
	}
}

static void check_other_lids(const struct plan *plan)
{
	for (unsigned lid = 0; lid < TEST_LFT; lid++)
		for (unsigned sw = 0; !is_transferred(plan, lid) && sw < fabric.switch_count; sw++)
			assert_int_equal(
			        fabric.switches[sw].lft[lid], earlier.switches[sw].lft[lid]);
}

static void check_counts(const struct plan *plan)
{
	assert_int_equal(
	        plan->counts.lft_physical, test_blocks_differing(&earlier, &fabric, false));
	assert_int_equal(plan->counts.lft_vswitch, test_blocks_differing(&earlier, &fabric, true));
	assert_int_equal(
	        plan->sets.change_count, plan->counts.lft_physical + plan->counts.lft_vswitch);
	assert_int_equal(plan->sets.splits, 0);
	assert_int_equal(plan->counts.portinfo, plan->transfer_count);
}

static void moves_at_once_lead_everybody_to_where_they_are_then(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		test_fabric_make(&fabric, seed);
		for (unsigned round = 0; round < 4; round++) {
			struct plan *plan;

			want_at_random(MOVES_MAX);
			assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
			earlier = fabric;
			exchange_wanted();
			plan_write(plan);
			assert_true(test_all_reachable(&fabric));
			check_places(plan);
			check_other_lids(plan);
			check_counts(plan);
			plan_destroy(plan);
		}
	}
}

static void the_order_of_the_moves_in_a_request_does_not_matter(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		struct plan *plan, *other;

		test_fabric_make(&fabric, seed);
		want_at_random(MOVES_MAX);
		assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
		for (unsigned i = 0; i < wanted.count / 2; i++) {
			struct plan_move_request kept = wanted.requests[i];

			wanted.requests[i] = wanted.requests[wanted.count - 1 - i];
			wanted.requests[wanted.count - 1 - i] = kept;
		}
		assert_int_equal(plan_wanted(PLAN_FAST, &other), REFUSAL_NONE);
		assert_int_equal(plan->entry_count, other->entry_count);
		assert_memory_equal(
		        plan->entries, other->entries, plan->entry_count * sizeof(*plan->entries));
		plan_destroy(plan);
		plan_destroy(other);
	}
}

/* The other in a row's last slot comes back to its first one, whatever is between. */
static void vms_that_follow_each_other_are_one_row(void **state)
{
	struct plan *plan;

	small_fabric();
	memset(&wanted, 0, sizeof(wanted));
	want(2, 3);
	want(0, 1);
	want(1, 2);
	wanted.requests[0].other_in_use = true;
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
	assert_int_equal(plan->transfer_count, 4);
	assert_true(view_place_equal(plan->transfers[3].to, test_place(&fabric, 0)));
	assert_true(plan->transfers[3].in_use);
	plan_destroy(plan);
	want(3, 0);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
	assert_int_equal(plan->transfer_count, 4);
	plan_destroy(plan);
}

static void moves_that_cannot_be_together_are_refused(void **state)
{
	struct plan *plan = NULL;

	small_fabric();
	memset(&wanted, 0, sizeof(wanted));
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_BAD_REQUEST);
	want(0, 2);
	want(1, 2);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_MOVES_COLLIDE);
	wanted.count = 1;
	want(0, 3);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_MOVES_COLLIDE);
	wanted.count = 1;
	want(1, 3);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
	plan_destroy(plan);
}

/* A plan that is refused for one of its moves says why. */
static void one_move_that_is_refused_refuses_all(void **state)
{
	struct plan *plan = NULL;

	small_fabric();
	memset(&wanted, 0, sizeof(wanted));
	want(0, 2);
	want(1, 3);
	wanted.requests[1].vm_port_guid = 1;
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_UNKNOWN_PORT);
	wanted.requests[1] = request_for(1, 1);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_SAME_PLACE);
	assert_null(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(moves_at_once_lead_everybody_to_where_they_are_then),
	        cmocka_unit_test(the_order_of_the_moves_in_a_request_does_not_matter),
	        cmocka_unit_test(vms_that_follow_each_other_are_one_row),
	        cmocka_unit_test(moves_that_cannot_be_together_are_refused),
	        cmocka_unit_test(one_move_that_is_refused_refuses_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
