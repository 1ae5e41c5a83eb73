/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A plan and the fabric as it is now: what is left of it, how it is undone, when it is stale. */
#include "unit/plan_moves.h"

static void left_of(const struct plan *plan, struct plan_left *left, enum refusal expected)
{
	struct fabric_view *view = test_view(&fabric);

	assert_int_equal(plan_left(view, plan, left), expected);
	fabric_view_destroy(view);
}

static void move_as_planned(const struct plan *plan)
{
	for (unsigned to = 1; to < fabric.slot_count; to++)
		if (view_place_equal(test_place(&fabric, to), plan->moves[0].to))
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
		assert_int_equal(left.sets.change_count, plan->sets.change_count);
		for (uint32_t i = 0; i < left.sets.change_count; i++)
			if (test_random(&fabric, 2))
				change_write(&left.sets.changes[i]);
		plan_left_clear(&left);
		left_of(plan, &left, REFUSAL_NONE);
		for (uint32_t i = 0; i < left.sets.change_count; i++)
			change_write(&left.sets.changes[i]);
		plan_left_clear(&left);
		assert_true(test_all_reachable(&fabric));
		left_of(plan, &left, REFUSAL_NONE);
		assert_true(left.links_done && left.routes_done);
		assert_int_equal(left.sets.change_count, 0);
		plan_left_clear(&left);
		plan_destroy(plan);
	}
}

/* Wherever an attempt stopped, the reverse plan undoes it to the byte. */
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
		assert_true(view_place_equal(back->moves[0].to, plan->moves[0].from));
		for (uint32_t i = 0; i < plan->sets.change_count; i++)
			if (seed % 3 == 0 || (seed % 3 == 1 && test_random(&fabric, 2)))
				change_write(&plan->sets.changes[i]);
		left_of(back, &left, REFUSAL_NONE);
		for (uint32_t i = 0; i < left.sets.change_count; i++)
			change_write(&left.sets.changes[i]);
		plan_left_clear(&left);
		assert_true(test_all_reachable(&fabric));
		for (unsigned sw = 0; sw < fabric.switch_count; sw++)
			assert_memory_equal(
			        fabric.switches[sw].lft, earlier.switches[sw].lft, TEST_LFT);
		plan_destroy(back);
		plan_destroy(plan);
	}
}

static struct plan *plan_that_drops(void)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan_move_request move = request_for(0, another_slot(0));
	struct plan_request request = {.order = PLAN_DROP_FIRST, .move_count = 1, .moves = &move};
	struct plan *plan;

	assert_int_equal(plan_make(view, &endpoint_vswitch, &request, &plan), REFUSAL_NONE);
	assert_int_equal(plan->sets.wave_count, 2);
	fabric_view_destroy(view);
	return plan;
}

static void write_wave(const struct plan *plan, uint32_t wave)
{
	for (uint32_t i = 0; i < plan->sets.change_count; i++)
		if (plan->sets.changes[i].wave == wave)
			change_write(&plan->sets.changes[i]);
}

static void assert_dropped(const struct plan *plan, bool expected)
{
	struct plan_left left;

	left_of(plan, &left, REFUSAL_NONE);
	assert_int_equal(left.routes_dropped, expected);
	plan_left_clear(&left);
}

/* Whoever goes on with it, or goes back, cannot tell whether the pause has been. */
static void routes_that_have_been_dropped_are_told(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		struct plan *plan, *back;

		test_fabric_make(&fabric, seed);
		plan = plan_that_drops();
		back = plan_reverse(plan);
		move_as_planned(plan);
		assert_dropped(plan, false);
		write_wave(plan, 0);
		assert_dropped(plan, true);
		assert_dropped(back, true);
		write_wave(plan, 1);
		assert_dropped(plan, false);
		plan_destroy(back);
		plan_destroy(plan);
	}
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
	assert_int_equal(left.sets.change_count, 0);
	plan_left_clear(&left);
	plan_destroy(plan);
}

static bool lid_is_routed_as_in(const struct test_fabric *other, uint16_t lid)
{
	for (unsigned sw = 0; sw < fabric.switch_count; sw++)
		if (fabric.switches[sw].lft[lid] != other->switches[sw].lft[lid])
			return false;
	return true;
}

/* Where a sweep has chosen for each switch what it had, or what the plan wants, either its routes
 * stay or all become the plan's. */
static void what_a_sweep_has_routed_is_not_mixed_with_the_plan(void **state)
{
	static struct test_fabric planned, swept;
	unsigned stayed = 0;

	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		unsigned to;
		struct plan_left left;
		struct plan *plan;

		test_fabric_make(&fabric, seed);
		to = another_slot(0);
		assert_int_equal(plan_between(0, to, &plan), REFUSAL_NONE);
		exchange_identities(0, to);
		swept = fabric;
		plan_write(plan);
		planned = fabric;
		fabric = swept;
		test_route(&fabric, &fabric.slots[0]);
		test_route(&fabric, &fabric.slots[to]);
		swept = fabric;
		left_of(plan, &left, REFUSAL_NONE);
		assert_true(left.links_done);
		for (uint32_t i = 0; i < left.sets.change_count; i++)
			change_write(&left.sets.changes[i]);
		for (uint32_t i = 0; i < plan->transfer_count; i++) {
			uint16_t lid = plan->transfers[i].identity.lid;
			bool stays = lid_is_routed_as_in(&swept, lid);

			assert_true(stays || lid_is_routed_as_in(&planned, lid));
			stayed += stays && !lid_is_routed_as_in(&planned, lid);
		}
		plan_left_clear(&left);
		plan_destroy(plan);
	}
	assert_true(stayed > FABRICS / 4);
}

static void a_route_changed_by_others_makes_the_plan_stale(void **state)
{
	struct plan_left left;
	struct plan *plan;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &plan), REFUSAL_NONE);
	fabric.switches[0].lft[plan->moves[0].other.lid] =
	        fabric.switches[0].lft[plan->moves[0].other.lid] == 1 ? 2 : 1;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_left_finishes_a_plan_interrupted_anywhere),
	        cmocka_unit_test(the_reverse_plan_undoes_a_plan_interrupted_anywhere),
	        cmocka_unit_test(routes_that_have_been_dropped_are_told),
	        cmocka_unit_test(a_sweep_that_routed_the_new_places_leaves_nothing_to_exchange),
	        cmocka_unit_test(what_a_sweep_has_routed_is_not_mixed_with_the_plan),
	        cmocka_unit_test(a_route_changed_by_others_makes_the_plan_stale),
	        cmocka_unit_test(a_changed_topology_makes_the_plan_stale),
	        cmocka_unit_test(an_identity_at_a_third_place_makes_the_plan_stale),
	        cmocka_unit_test(plans_of_other_vms_do_not_make_a_plan_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
