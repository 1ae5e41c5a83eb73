/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Every plan is undone, whatever other plans and sweeps have written since. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/undo.h"
#include "unit/plan_properties_cases.h"

/* for_plans() in plan_properties.c */
enum { CALLS_ELSEWHERE = 8 };

/* ---- the own entries only ---- */

static bool is_own_lid(const struct plan *plan, unsigned lid)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan->transfers[i].identity.lid == lid)
			return true;
	return false;
}

/* LIDs that are not the plan's get other routes, as another plan or a sweep gives them. */
static void others_are_routed_anew(const struct plan *plan)
{
	static struct topology swept;

	swept = topology;
	topology_sweep(&swept);
	for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid++)
		for (unsigned sw = 0; sw < topology.switch_count && !is_own_lid(plan, lid); sw++)
			topology.switches[sw].lft[lid] = swept.switches[sw].lft[lid];
}

static void another_plan_is_done(const struct plan *plan)
{
	struct wishes others = {0}, kept = {0};
	struct plan *other = NULL;

	wish_swaps(&others, &topology, 4);
	for (unsigned i = 0; i < others.count; i++) {
		int sw = topology_find_switch(&topology, others.moves[i].to.switch_guid);
		unsigned slot = topology.switches[sw].peer[others.moves[i].to.port].index;
		bool is_own = is_own_lid(plan, topology_lid_in(&topology, slot));

		for (uint32_t t = 0; t < plan->transfer_count; t++)
			is_own |= plan->transfers[t].identity.port_guid ==
			          others.moves[i].vm_port_guid;
		if (!is_own)
			kept.moves[kept.count++] = others.moves[i];
	}
	if (!kept.count || wish_plan(&kept, &topology, PLAN_FAST, PLAN_DETERMINISTIC, &other))
		return;
	sets_write(&other->sets);
	wish_arrive(&topology, other);
	plan_destroy(other);
}

/* The tables as before, but for what others have changed since, and everybody is reached. */
static void check_undo(uint64_t seed, const struct plan *plan)
{
	struct plan *back = NULL;
	struct fabric_view *view;
	struct plan_left left;

	sets_write(&plan->sets);
	wish_arrive(&topology, plan);
	if (seed % 4 < 2)
		others_are_routed_anew(plan);
	else
		another_plan_is_done(plan);
	after = topology;
	view = topology_view(&topology);
	assert_int_equal(plan_undo(view, wish_model(&topology), plan, &back), REFUSAL_NONE);
	fabric_view_destroy(view);
	wish_arrive(&topology, back);
	view = topology_view(&topology);
	assert_int_equal(plan_left(view, back, &left), REFUSAL_NONE);
	fabric_view_destroy(view);
	sets_write(&left.sets);
	for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid++)
		for (unsigned sw = 0; sw < topology.switch_count; sw++)
			assert_int_equal(topology.switches[sw].lft[lid],
			        (is_own_lid(plan, lid) ? &before : &after)->switches[sw].lft[lid]);
	assert_everybody_is_reached(&topology);
	plan_left_clear(&left);
	plan_destroy(back);
}

static void undo_reverts_the_plans_own_entries_only(void **state)
{
	for_plans(-1, check_undo);
}

/* ---- after a sweep ---- */

/* Whoever is in a slot, a VM or its successor, may get other routes there; some keep theirs. */
static void some_are_routed_anew(void)
{
	static struct topology swept;

	swept = topology;
	topology_sweep(&swept);
	for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid++)
		for (unsigned sw = 0, anew = topology_random(&topology, 2);
		        sw < topology.switch_count && anew; sw++)
			topology.switches[sw].lft[lid] = swept.switches[sw].lft[lid];
}

static bool routes_equal(
        const struct topology *a, uint16_t lid_a, const struct topology *b, uint16_t lid_b)
{
	for (unsigned sw = 0; sw < a->switch_count; sw++)
		if (a->switches[sw].lft[lid_a] != b->switches[sw].lft[lid_b])
			return false;
	return true;
}

/* Its own entries of that LID as they were, all others as the sweep has left them. */
static bool is_taken_back(const struct plan *plan, uint16_t lid)
{
	static struct topology expected;

	expected = after;
	for (uint32_t i = 0; i < plan->entry_count; i++)
		if (plan->entries[i].lid == lid)
			expected.switches[topology_find_switch(
			                          &expected, plan->entries[i].switch_guid)]
			        .lft[lid] = plan->entries[i].before;
	return routes_equal(&topology, lid, &expected, lid);
}

/* The routes that a sweep has given to who is at the place now. */
static bool takes_over_routes(const struct plan *plan, const struct plan_transfer *transfer)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (view_place_equal(plan->transfers[i].to, transfer->from))
			return routes_equal(&topology, transfer->identity.lid, &after,
			        plan->transfers[i].identity.lid);
	return false;
}

static bool is_exchange(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->move_count; i++)
		if (plan->moves[i].kind != MOVE_SWAP)
			return false;
	return true;
}

/* What has come of the plan's own LIDs: each is taken back, or stays where the sweep leads it to
 * its place; or, where that cannot be, all exchange their routes as they are. */
static void check_own_routes(const struct plan *plan, const struct plan *back)
{
	struct plan *reverse = plan_reverse(plan);

	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];
		uint16_t lid = transfer->identity.lid;

		if (back->hash == reverse->hash)
			assert_true(is_taken_back(plan, lid) ||
			            routes_equal(&topology, lid, &after, lid));
		else if (is_exchange(plan) && plan->reach == PLAN_DETERMINISTIC)
			assert_true(takes_over_routes(plan, transfer));
	}
	plan_destroy(reverse);
}

static unsigned taken_back, planned_anew;

/* The sweep comes between plan and undo, and over the plan's own LIDs, too. */
static void check_undo_swept(uint64_t seed, const struct plan *plan)
{
	struct plan *reverse = plan_reverse(plan), *back = NULL;
	struct fabric_view *view;
	enum refusal refused;
	struct plan_left left;

	sets_write(&plan->sets);
	wish_arrive(&topology, plan);
	some_are_routed_anew();
	after = topology;
	view = topology_view(&topology);
	refused = plan_undo(view, wish_model(&topology), plan, &back);
	fabric_view_destroy(view);
	if (refused) {
		/* Of other routes the least may close a circle, or exchanged lanes. */
		assert_int_equal(refused, REFUSAL_DEADLOCK);
		assert_true(plan->reach == PLAN_MINIMUM || topology.routing == TOPOLOGY_LAYERED);
		plan_destroy(reverse);
		return;
	}
	*(back->hash == reverse->hash ? &taken_back : &planned_anew) += 1;
	wish_arrive(&topology, back);
	view = topology_view(&topology);
	assert_int_equal(plan_left(view, back, &left), REFUSAL_NONE);
	fabric_view_destroy(view);
	sets_write(&left.sets);
	for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid++)
		if (!is_own_lid(plan, lid))
			assert_true(routes_equal(&topology, (uint16_t)lid, &after, (uint16_t)lid));
	check_own_routes(plan, back);
	assert_everybody_is_reached(&topology);
	plan_left_clear(&left);
	plan_destroy(back);
	plan_destroy(reverse);
}

static void undo_after_a_sweep_over_its_own_routes_leads_everybody_back(void **state)
{
	taken_back = planned_anew = 0;
	for_plans(-1, check_undo_swept);
	print_message("%u taken back, %u planned anew\n", taken_back, planned_anew);
	assert_true(taken_back > plans() / 20 && planned_anew > plans() / 20);
}

/* Where nobody moves, nobody can have gone back already. */
static void creations_and_ends_are_undone_after_a_sweep(void **state)
{
	static const uint64_t seeds[] = {36447, 36688, 37240};

	planned_anew = 0;
	for (unsigned i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
		struct plan *plan = plan_for(seeds[i], (enum plan_order)(seeds[i] % 3));

		assert_non_null(plan);
		for (uint32_t k = 0; k < plan->move_count; k++)
			assert_true(plan->moves[k].kind == VM_CREATE ||
			            plan->moves[k].kind == VM_DESTROY);
		check_undo_swept(seeds[i], plan);
		plan_destroy(plan);
	}
	assert_int_equal(planned_anew, sizeof(seeds) / sizeof(*seeds));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(undo_reverts_the_plans_own_entries_only),
	        cmocka_unit_test(undo_after_a_sweep_over_its_own_routes_leads_everybody_back),
	        cmocka_unit_test(creations_and_ends_are_undone_after_a_sweep),
	};

	plans_pass_over(CALLS_ELSEWHERE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
