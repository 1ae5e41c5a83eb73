/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is true of every plan, of whatever moves, order and reach, on fabrics of every kind: found
 * by walking all tables, not by the planner.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/undo.h"
#include "unit/plan_prefixes.h"
#include "unit/plan_wishes.h"

enum { PLANS = 450, PLANS_FULL = 4000 };

static struct topology topology, before, after;
static struct wishes wishes;
static struct prefixes prefixes;
static char why[128];

static unsigned plans(void)
{
	return getenv("TETHER_FULL") ? PLANS_FULL : PLANS;
}

/* ---- a plan for every seed ---- */

/* In topology, before; NULL: no such moves here, or the channels would be in a cycle. */
static struct plan *plan_for(uint64_t seed, enum plan_order order)
{
	enum plan_reach reach = seed % 2 ? PLAN_MINIMUM : PLAN_DETERMINISTIC;
	struct plan *plan = NULL;
	enum refusal refused;

	topology_make(&topology, TOPOLOGY_ANY, seed);
	wish_moves(&wishes, &topology);
	before = topology;
	if (!wishes.count)
		return NULL;
	refused = wish_plan(&wishes, &topology, order, reach, &plan);
	if (refused != REFUSAL_NONE &&
	        (refused != REFUSAL_DEADLOCK ||
	                (reach != PLAN_MINIMUM && topology.routing != TOPOLOGY_LAYERED)))
		fail_msg("%s: %s", topology_name(&topology), refusal_text(refused));
	return plan;
}

typedef void (*plan_check)(uint64_t seed, const struct plan *plan);

/* @order: -1 for each in turn. Other fabrics each time that it is called. */
static void for_plans(int order, plan_check check)
{
	static uint64_t first;
	unsigned made = 0;

	for (uint64_t seed = first; seed < first + plans(); seed++) {
		struct plan *plan = plan_for(
		        seed, order >= 0 ? (enum plan_order)order : (enum plan_order)(seed % 3));

		if (!plan)
			continue;
		check(seed, plan);
		plan_destroy(plan);
		made++;
	}
	first += plans();
	print_message("%u plans\n", made);
	assert_true(made > plans() * 2 / 3);
}

static void sets_write(const struct plan_sets *sets)
{
	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *set = &sets->changes[i];
		int sw = topology_find_switch(&topology, set->switch_guid);

		assert_true(sw >= 0);
		assert_memory_equal(&topology.switches[sw].lft[set->block * LFT_BLOCK_LIDS],
		        set->before, LFT_BLOCK_LIDS);
		topology_write(&topology, set->switch_guid, set->block, set->after);
	}
}

static void assert_everybody_is_reached(const struct topology *at)
{
	if (!topology_all_reachable(at, why))
		fail_msg("%s", why);
}

static void assert_tables_equal(const struct topology *a, const struct topology *b)
{
	for (unsigned sw = 0; sw < a->switch_count; sw++)
		assert_memory_equal(a->switches[sw].lft, b->switches[sw].lft, TOPOLOGY_LIDS);
}

/* ---- whole plans ---- */

static void check_reached(uint64_t seed, const struct plan *plan)
{
	sets_write(&plan->sets);
	wish_arrive(&topology, plan);
	assert_everybody_is_reached(&topology);
	wish_write(&before, plan);
	assert_tables_equal(&topology, &before);
}

static void everybody_is_reached_after_a_plan(void **state)
{
	for_plans(-1, check_reached);
}

static uint32_t blocks_differing(const struct topology *a, const struct topology *b)
{
	uint32_t count = 0;

	for (unsigned sw = 0; sw < a->switch_count; sw++)
		for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid += LFT_BLOCK_LIDS)
			count += memcmp(&a->switches[sw].lft[lid], &b->switches[sw].lft[lid],
			                 LFT_BLOCK_LIDS) != 0;
	return count;
}

static void check_fewest_sets(uint64_t seed, const struct plan *plan)
{
	wish_write(&topology, plan);
	assert_int_equal(plan->sets.change_count, blocks_differing(&topology, &before));
	assert_int_equal(
	        plan->counts.lft_physical + plan->counts.lft_vswitch, plan->sets.change_count);
}

static void fast_writes_each_changed_block_once(void **state)
{
	for_plans(PLAN_FAST, check_fewest_sets);
}

static void check_splits(uint64_t seed, const struct plan *plan)
{
	wish_write(&topology, plan);
	assert_int_equal(
	        plan->sets.change_count - plan->sets.splits, blocks_differing(&topology, &before));
}

static void splits_are_the_sets_beyond_those_of_fast(void **state)
{
	for_plans(PLAN_CONSISTENT, check_splits);
	for_plans(PLAN_DROP_FIRST, check_splits);
}

/* ---- between ---- */

static bool may_have_traffic(const struct plan *plan, uint16_t lid)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (plan->transfers[i].identity.lid == lid)
			return plan->transfers[i].in_use;
	return false;
}

/* From topology on, with @plan's entries as the end. */
static void between_begin(const struct plan *plan)
{
	after = before;
	wish_write(&after, plan);
	prefixes_begin(&prefixes, &before, &after);
	for (unsigned i = 0; i < prefixes.lid_count && plan->order == PLAN_DROP_FIRST; i++) {
		prefixes.lids[i].is_watched = may_have_traffic(plan, prefixes.lids[i].lid);
		prefixes.lids[i].may_be_dropped = true;
	}
}

static void assert_holds(const struct plan_sets *sets)
{
	if (!prefixes_hold(&prefixes, sets, PREFIX_ORDERS))
		fail_msg("%s", prefixes.why);
}

static void check_between(uint64_t seed, const struct plan *plan)
{
	between_begin(plan);
	assert_holds(&plan->sets);
	assert_tables_equal(&prefixes.at, &after);
}

static void consistent_never_loops_or_drops(void **state)
{
	for_plans(PLAN_CONSISTENT, check_between);
}

static void drop_first_never_goes_astray(void **state)
{
	for_plans(PLAN_DROP_FIRST, check_between);
}

/* Half of it is done, then the rest is asked for, or the way back. */
static void check_halves(uint64_t seed, const struct plan *plan)
{
	struct plan *way = seed % 4 < 2 ? plan_reverse(plan) : NULL;
	struct fabric_view *view;
	struct plan_left left;

	between_begin(plan);
	prefixes_write_some(&prefixes, &plan->sets);
	wish_arrive(&prefixes.at, way ? way : plan);
	view = topology_view(&prefixes.at);
	assert_int_equal(plan_left(view, way ? way : plan, &left), REFUSAL_NONE);
	fabric_view_destroy(view);
	assert_true(left.links_done);
	assert_holds(&left.sets);
	assert_everybody_is_reached(&prefixes.at);
	assert_tables_equal(&prefixes.at, way ? &before : &after);
	plan_left_clear(&left);
	plan_destroy(way);
}

static void half_a_plan_goes_on_or_back_in_order(void **state)
{
	for_plans(PLAN_CONSISTENT, check_halves);
	for_plans(PLAN_DROP_FIRST, check_halves);
}

/* ---- undo ---- */

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

/* ---- channels ---- */

static void check_channels(uint64_t seed, const struct plan *plan)
{
	if (!topology_promises_no_deadlock(&topology))
		return;
	/* Lanes go with whole routes; the least that changes is a mixture. */
	if (topology.routing == TOPOLOGY_LAYERED && plan->reach == PLAN_MINIMUM)
		return;
	assert_false(topology_channels_cycle(&topology));
	sets_write(&plan->sets);
	wish_arrive(&topology, plan);
	wish_lanes(&topology, &before, plan);
	if (topology_channels_cycle(&topology))
		fail_msg("%s: channels wait in a cycle", topology_name(&topology));
}

static void channels_wait_in_no_cycle_before_and_after(void **state)
{
	for_plans(-1, check_channels);
}

static bool channels_are_free(const struct topology *at, char *text)
{
	if (!topology_channels_cycle(at))
		return true;
	sprintf(text, "%s: channels wait in a cycle", topology_name(at));
	return false;
}

/* Dropped first, old and new routes are never there at once: not even between is there a cycle. */
static void drop_first_has_no_cycle_of_channels_between(void **state)
{
	for (uint64_t seed = 0; seed < plans() / 3; seed++) {
		struct topology_wish wish = {-1, seed % 2 ? TOPOLOGY_UPDN : TOPOLOGY_DOR, -1};
		struct plan *plan = NULL;

		topology_make(&topology, wish, seed);
		wish_moves(&wishes, &topology);
		for (unsigned i = 0; i < wishes.count; i++)
			wishes.moves[i].other_in_use = true;
		if (!wishes.count)
			continue;
		before = topology;
		assert_int_equal(
		        wish_plan(&wishes, &topology, PLAN_DROP_FIRST, PLAN_DETERMINISTIC, &plan),
		        REFUSAL_NONE);
		between_begin(plan);
		prefixes.look = channels_are_free;
		if (!prefixes_hold(&prefixes, &plan->sets, 3))
			fail_msg("%s", prefixes.why);
		plan_destroy(plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everybody_is_reached_after_a_plan),
	        cmocka_unit_test(fast_writes_each_changed_block_once),
	        cmocka_unit_test(splits_are_the_sets_beyond_those_of_fast),
	        cmocka_unit_test(consistent_never_loops_or_drops),
	        cmocka_unit_test(drop_first_never_goes_astray),
	        cmocka_unit_test(half_a_plan_goes_on_or_back_in_order),
	        cmocka_unit_test(undo_reverts_the_plans_own_entries_only),
	        cmocka_unit_test(undo_after_a_sweep_over_its_own_routes_leads_everybody_back),
	        cmocka_unit_test(creations_and_ends_are_undone_after_a_sweep),
	        cmocka_unit_test(channels_wait_in_no_cycle_before_and_after),
	        cmocka_unit_test(drop_first_has_no_cycle_of_channels_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
