/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Dynamic LIDs: VMs are created, move to empty slots and end, on fabrics of known kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/undo.h"
#include "unit/plan_dynamic_cases.h"

enum { FABRICS = 200, ROUNDS = 5 };

static void want_at_random(void)
{
	static const enum plan_move_kind kinds[] = {MOVE_COPY, VM_CREATE, VM_DESTROY};

	wanted.count = 0;
	for (unsigned i = 1 + topology_random(&at, MOVES); i > 0; i--) {
		int from = slot_for(false), to = slot_for(true);

		want(kinds[topology_random(&at, 3)], from, to);
	}
}

static void left_of(const struct plan *plan, struct plan_left *left)
{
	struct fabric_view *view = topology_view(&at);

	assert_int_equal(plan_left(view, plan, left), REFUSAL_NONE);
	fabric_view_destroy(view);
}

/* A seat for an identity that the fabric has not seen yet. */
static int identity_new(const struct plan_identity *identity)
{
	unsigned index = 0;

	for (; index < at.identity_count; index++) {
		bool is_seated = false;

		for (unsigned slot = 0; slot < at.slot_count; slot++)
			is_seated |= at.slots[slot].identity == (int)index ||
			             earlier.slots[slot].identity == (int)index;
		if (!is_seated)
			break;
	}
	assert_true(index < TOPOLOGY_SLOTS);
	for (unsigned i = 0; i < at.identity_count; i++) /* whoever had the LID before */
		if (at.identities[i].lid == identity->lid)
			at.identities[i].lid = 0;
	if (index == at.identity_count)
		at.identity_count++;
	at.identities[index] = (struct topology_identity){
	        .port_guid = identity->port_guid,
	        .node_guid = identity->node_guid,
	        .lid = identity->lid,
	};
	return (int)index;
}

/* The agents detach, create and attach. */
static void seat(const struct plan *plan)
{
	int identities[MOVES] = {0};

	for (unsigned i = 0; i < wanted.count; i++) {
		identities[i] = wanted.from[i] < 0 ? -1 : at.slots[wanted.from[i]].identity;
		if (wanted.from[i] >= 0)
			at.slots[wanted.from[i]].identity = -1;
	}
	for (unsigned i = 0; i < wanted.count; i++)
		if (wanted.to[i] >= 0)
			at.slots[wanted.to[i]].identity = wanted.from[i] < 0
			                                          ? identity_new(&plan->moves[i].vm)
			                                          : identities[i];
}

static uint16_t pf_lid_beside(int slot)
{
	for (unsigned pf = 0; pf < at.slot_count; pf++)
		if (at.slots[pf].is_pf && at.slots[pf].sw == at.slots[slot].sw)
			return topology_lid_in(&at, pf);
	fail_msg("no PF");
	return 0;
}

/* Elsewhere than at the vSwitch itself the VM's routes are the PF's. */
static void check_routes_are_the_pfs(const struct plan *plan)
{
	for (unsigned i = 0; i < wanted.count; i++)
		for (unsigned sw = 0; wanted.to[i] >= 0 && sw < at.switch_count; sw++) {
			const uint8_t *lft = at.switches[sw].lft;

			if (sw == at.slots[wanted.to[i]].sw)
				assert_int_equal(
				        lft[plan->moves[i].vm.lid], at.slots[wanted.to[i]].port);
			else
				assert_int_equal(lft[plan->moves[i].vm.lid],
				        lft[pf_lid_beside(wanted.to[i])]);
		}
}

static void check_all_reachable(void)
{
	char why[128];

	if (!topology_all_reachable(&at, why))
		fail_msg("%s", why);
}

/* In two attempts, the first of which ends half way; or in one. */
static void carry_out(const struct plan *plan, bool in_two)
{
	struct plan_left left;

	left_of(plan, &left);
	assert_true(left.links_done);
	write_sets(&left.sets, left.sets.change_count / (in_two ? 2 : 1));
	plan_left_clear(&left);
	left_of(plan, &left);
	write_sets(&left.sets, left.sets.change_count);
	plan_left_clear(&left);
	left_of(plan, &left);
	assert_true(left.links_done && left.routes_done);
	plan_left_clear(&left);
}

static void check_sets(const struct plan *plan)
{
	assert_int_equal(plan->sets.change_count, blocks_differing() + plan->sets.splits);
	assert_int_equal(
	        plan->counts.lft_physical + plan->counts.lft_vswitch, plan->sets.change_count);
	if (plan->order == PLAN_FAST)
		assert_int_equal(plan->sets.splits, 0);
}

static void one_round(enum plan_order order)
{
	struct plan *plan, *back;
	bool in_two = topology_random(&at, 2);
	enum refusal refused;

	want_at_random();
	if (!wanted.count)
		return;
	earlier = at;
	refused = plan_wanted(order, &plan);
	/* On another lane the PF's routes may wait for what they did not before. */
	if (refused == REFUSAL_DEADLOCK && at.routing == TOPOLOGY_LAYERED)
		return;
	assert_int_equal(refused, REFUSAL_NONE);
	seat(plan);
	carry_out(plan, in_two);
	check_all_reachable();
	if (!in_two) {
		check_sets(plan);
		check_routes_are_the_pfs(plan);
	}
	if (topology_random(&at, 2)) {
		back = plan_reverse(plan);
		memcpy(at.slots, earlier.slots, sizeof(at.slots));
		carry_out(back, false);
		check_all_reachable();
		assert_int_equal(blocks_differing(), 0);
		plan_destroy(back);
	}
	plan_destroy(plan);
}

static void vms_that_come_move_and_end_are_reached_and_leave_nothing(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		struct topology_wish wish = TOPOLOGY_ANY;

		wish.vswitches = 1;
		topology_make(&at, wish, seed);
		for (unsigned slot = 0; slot < at.slot_count; slot++)
			if (!at.slots[slot].is_pf && at.slots[slot].identity >= 0 && slot % 2)
				topology_empty(&at, slot);
		for (unsigned round = 0; round < ROUNDS; round++)
			one_round((enum plan_order)(round % 3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(vms_that_come_move_and_end_are_reached_and_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
