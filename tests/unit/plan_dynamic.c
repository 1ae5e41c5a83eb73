/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Dynamic LIDs: VMs are created, move to empty slots and end, on fabrics of known kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/lid_pool.h"
#include "sm-side/plan/undo.h"
#include "unit/plan_topologies.h"

enum { FABRICS = 200, ROUNDS = 5, MOVES = 6 };

static struct topology at, earlier;
static uint64_t next_guid = 0xd00001;

/* What one plan shall do. */
static struct {
	unsigned count;
	struct plan_move_request moves[MOVES];
	int from[MOVES], to[MOVES]; /* slots; -1: nowhere */
} wanted;

static bool is_wanted(unsigned slot)
{
	for (unsigned i = 0; i < wanted.count; i++)
		if (wanted.from[i] == (int)slot || wanted.to[i] == (int)slot)
			return true;
	return false;
}

/* A slot that is held or empty and in no move yet; PFs are neither. -1: not found. */
static int slot_for(bool empty)
{
	for (unsigned try = 0; try < 40; try++) {
		unsigned slot = topology_random(&at, at.slot_count);

		if (!at.slots[slot].is_pf && (at.slots[slot].identity < 0) == empty &&
		        !is_wanted(slot))
			return (int)slot;
	}
	return -1;
}

static void want(enum plan_move_kind kind, int from, int to)
{
	struct plan_move_request *move = &wanted.moves[wanted.count];

	if ((kind != VM_CREATE && from < 0) || (kind != VM_DESTROY && to < 0))
		return;
	*move = (struct plan_move_request){.kind = kind};
	if (kind == VM_CREATE) {
		move->vm_port_guid = next_guid;
		move->vm_node_guid = next_guid - 1;
		next_guid += 2;
	} else {
		move->vm_port_guid = topology_port_guid_in(&at, (unsigned)from);
	}
	if (kind != VM_DESTROY)
		move->to = topology_place(&at, (unsigned)to);
	wanted.from[wanted.count] = kind == VM_CREATE ? -1 : from;
	wanted.to[wanted.count++] = kind == VM_DESTROY ? -1 : to;
}

static void want_at_random(void)
{
	static const enum plan_move_kind kinds[] = {MOVE_COPY, VM_CREATE, VM_DESTROY};

	wanted.count = 0;
	for (unsigned i = 1 + topology_random(&at, MOVES); i > 0; i--) {
		int from = slot_for(false), to = slot_for(true);

		want(kinds[topology_random(&at, 3)], from, to);
	}
}

static enum refusal plan_wanted(enum plan_order order, struct plan **plan)
{
	struct fabric_view *view = topology_view(&at);
	struct plan_request request = {
	        .order = order, .move_count = wanted.count, .moves = wanted.moves};
	enum refusal refused = plan_make(view, &endpoint_vswitch, &request, plan);

	fabric_view_destroy(view);
	return refused;
}

static void left_of(const struct plan *plan, struct plan_left *left)
{
	struct fabric_view *view = topology_view(&at);

	assert_int_equal(plan_left(view, plan, left), REFUSAL_NONE);
	fabric_view_destroy(view);
}

static void write_sets(const struct plan_sets *sets, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(topology_write(&at, sets->changes[i].switch_guid,
		        sets->changes[i].block, sets->changes[i].after));
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

static unsigned blocks_differing(void)
{
	unsigned count = 0;

	for (unsigned sw = 0; sw < at.switch_count; sw++)
		for (unsigned lid = 0; lid < TOPOLOGY_LIDS; lid += LFT_BLOCK_LIDS)
			count += memcmp(&at.switches[sw].lft[lid], &earlier.switches[sw].lft[lid],
			                 LFT_BLOCK_LIDS) != 0;
	return count;
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

static void small_fabric(void)
{
	struct topology_wish wish = {TOPOLOGY_FAT_TREE_2, TOPOLOGY_UPDN, 1};

	for (unsigned seed = 1;; seed++) {
		topology_make(&at, wish, seed);
		wanted.count = 0;
		for (unsigned slot = 0; slot < at.slot_count; slot++)
			if (!at.slots[slot].is_pf && at.slots[slot].identity >= 0 && slot % 2)
				topology_empty(&at, slot);
		if (slot_for(false) >= 0 && slot_for(true) >= 0)
			return;
	}
}

static enum refusal refusal_of(const struct plan_move_request *move, const struct lid_pool *lids)
{
	struct fabric_view *view = topology_view(&at);
	struct plan_request request = {.move_count = 1, .moves = move, .lids = lids};
	struct plan *plan = NULL;
	enum refusal refused = plan_make(view, &endpoint_vswitch, &request, &plan);

	fabric_view_destroy(view);
	plan_destroy(plan);
	return refused;
}

static void refusals_have_their_reasons(void **state)
{
	struct plan_move_request create, copy, wrong;
	unsigned held, empty;

	small_fabric();
	held = (unsigned)slot_for(false);
	empty = (unsigned)slot_for(true);
	create = (struct plan_move_request){.kind = VM_CREATE,
	        .vm_port_guid = 0xe01,
	        .vm_node_guid = 0xe00,
	        .to = topology_place(&at, empty)};
	copy = (struct plan_move_request){.kind = MOVE_COPY,
	        .vm_port_guid = topology_port_guid_in(&at, held),
	        .to = topology_place(&at, empty)};
	assert_int_equal(refusal_of(&create, NULL), REFUSAL_NONE);
	assert_int_equal(refusal_of(&copy, NULL), REFUSAL_NONE);
	wrong = create;
	wrong.vm_node_guid = 0;
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_BAD_REQUEST);
	wrong = create;
	wrong.vm_port_guid = copy.vm_port_guid;
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_GUID_IN_USE);
	wrong = create;
	wrong.vm_node_guid = copy.vm_port_guid - 1; /* that one's NodeGUID */
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_GUID_IN_USE);
	wrong.vm_node_guid = create.to.switch_guid;
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_GUID_IN_USE);
	wrong = create;
	wrong.lid = topology_lid_in(&at, held);
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_LID_IN_USE);
	wrong.lid = TOPOLOGY_LIDS - 1;
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_NONE);
	wrong = create;
	wrong.to = topology_place(&at, held);
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_SLOT_IN_USE);
	wrong.to = (struct view_place){at.switches[0].guid, 1};
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_NOT_A_VSWITCH_SLOT);
	wrong = copy;
	wrong.vm_port_guid = 0xe01;
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_UNKNOWN_PORT);
	/* Asked again by somebody who does not know that it was done. */
	wrong = copy;
	wrong.to = topology_place(&at, held);
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_SAME_PLACE);
	wrong = create;
	wrong.vm_port_guid = copy.vm_port_guid;
	wrong.to = topology_place(&at, held);
	assert_int_equal(refusal_of(&wrong, NULL), REFUSAL_SAME_PLACE);
}

/* A LID that the pool's owner knows to be somebody's is given to nobody else, however many VFs. */
static void lids_that_rest_or_run_out_are_not_given(void **state)
{
	struct lid_pool *lids = lid_pool_create(LID_LOWEST);
	struct plan_move_request create;
	uint16_t lid;

	small_fabric();
	create = (struct plan_move_request){.kind = VM_CREATE,
	        .vm_port_guid = 0xe01,
	        .vm_node_guid = 0xe00,
	        .to = topology_place(&at, (unsigned)slot_for(true))};
	lid_pool_give_back(lids, TOPOLOGY_LIDS - 1, 100);
	create.lid = TOPOLOGY_LIDS - 1;
	assert_int_equal(refusal_of(&create, lids), REFUSAL_LID_IN_USE);
	lid_pool_wake(lids, 100);
	assert_int_equal(refusal_of(&create, lids), REFUSAL_NONE);
	while (lid_pool_take(lids, &lid) == REFUSAL_NONE)
		;
	create.lid = 0;
	assert_int_equal(refusal_of(&create, lids), REFUSAL_NO_FREE_LID);
	lid_pool_destroy(lids);
}

/* One Set a switch for it, and the next creations need none. */
static void the_top_is_raised_ahead(void **state)
{
	struct plan_move_request create;
	struct plan_request request = {.move_count = 1, .moves = &create};
	struct fabric_view *view;
	struct plan *plan;

	small_fabric();
	create = (struct plan_move_request){.kind = VM_CREATE,
	        .vm_port_guid = 0xe01,
	        .vm_node_guid = 0xe00,
	        .lid = TOPOLOGY_LIDS + 100,
	        .to = topology_place(&at, (unsigned)slot_for(true))};
	view = topology_view(&at);
	for (uint32_t i = 0; i < view->switch_count; i++) {
		view->switches[i].linear_top = TOPOLOGY_LIDS - 1;
		view->switches[i].linear_cap = LFT_ENTRIES_MAX;
	}
	assert_int_equal(plan_make(view, &endpoint_vswitch, &request, &plan), REFUSAL_NONE);
	assert_int_equal(plan->linear_top, LID_TOP_STRIDE - 1);
	assert_int_equal(plan->counts.switchinfo, view->switch_count);
	plan_destroy(plan);
	for (uint32_t i = 0; i < view->switch_count; i++)
		view->switches[i].linear_top = LID_TOP_STRIDE - 1;
	assert_int_equal(plan_make(view, &endpoint_vswitch, &request, &plan), REFUSAL_NONE);
	assert_int_equal(plan->counts.switchinfo, 0);
	plan_destroy(plan);
	view->switches[0].linear_cap = TOPOLOGY_LIDS;
	assert_int_equal(plan_make(view, &endpoint_vswitch, &request, &plan), REFUSAL_NO_LFT);
	fabric_view_destroy(view);
}

static void moves_that_cannot_be_together_are_refused(void **state)
{
	struct plan *plan = NULL;
	int held, other;

	small_fabric();
	held = slot_for(false);
	want(MOVE_COPY, held, slot_for(true));
	other = slot_for(false);
	want(MOVE_SWAP, other, held);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_MOVES_COLLIDE);
	wanted.count = 1;
	want(VM_CREATE, -1, wanted.to[0]);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_MOVES_COLLIDE);
	wanted.count = 0;
	want(VM_CREATE, -1, slot_for(true));
	want(VM_CREATE, -1, slot_for(true));
	wanted.moves[1].vm_node_guid = wanted.moves[0].vm_node_guid;
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_MOVES_COLLIDE);
	wanted.count = 0;
	want(MOVE_COPY, held, slot_for(true));
	want(VM_DESTROY, held, -1);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_MOVES_COLLIDE);
	assert_null(plan);
}

/* Whoever has a LID already is not robbed of it by who takes any. */
static void lids_that_are_asked_for_are_taken_first(void **state)
{
	struct plan *plan;
	uint16_t first;

	small_fabric();
	want(VM_CREATE, -1, slot_for(true));
	want(VM_CREATE, -1, slot_for(true));
	assert_int_equal(wanted.count, 2);
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
	first = plan->moves[0].vm.lid;
	plan_destroy(plan);
	wanted.moves[1].lid = first;
	assert_int_equal(plan_wanted(PLAN_FAST, &plan), REFUSAL_NONE);
	assert_int_equal(plan->moves[1].vm.lid, first);
	assert_int_not_equal(plan->moves[0].vm.lid, first);
	plan_destroy(plan);
}

static enum refusal refusal_of_left(const struct plan *plan)
{
	struct fabric_view *view = topology_view(&at);
	struct plan_left left;
	enum refusal refused = plan_left(view, plan, &left);

	fabric_view_destroy(view);
	if (!refused)
		plan_left_clear(&left);
	return refused;
}

/* The second one is planned before the first one is carried out, and is good again when that one
 * does not come after all. */
static void a_slot_with_somebody_to_come_is_not_empty(void **state)
{
	struct plan *plans[2], *end;
	struct plan_move_request destroy;
	struct plan_request request = {.move_count = 1, .moves = &destroy};
	struct fabric_view *view;
	int slot;

	small_fabric();
	slot = slot_for(true);
	for (unsigned i = 0; i < 2; i++) {
		wanted.count = 0;
		want(VM_CREATE, -1, slot);
		wanted.moves[0].lid = (uint16_t)(TOPOLOGY_LIDS - 1 - i);
		assert_int_equal(plan_wanted(PLAN_FAST, &plans[i]), REFUSAL_NONE);
	}
	earlier = at;
	write_sets(&plans[0]->sets, plans[0]->sets.change_count);
	assert_int_equal(refusal_of_left(plans[0]), REFUSAL_NONE);
	assert_int_equal(refusal_of_left(plans[1]), REFUSAL_STALE_PLAN);
	assert_int_equal(refusal_of(&wanted.moves[0], NULL), REFUSAL_SLOT_IN_USE);

	destroy = (struct plan_move_request){
	        .kind = VM_DESTROY, .vm_port_guid = plans[0]->moves[0].vm.port_guid};
	assert_int_equal(refusal_of(&destroy, NULL), REFUSAL_UNKNOWN_PORT);
	destroy.lid = topology_lid_in(&at, (unsigned)slot_for(false));
	assert_int_equal(refusal_of(&destroy, NULL), REFUSAL_UNKNOWN_PORT);
	destroy.lid = TOPOLOGY_LIDS - 1;
	view = topology_view(&at);
	assert_int_equal(plan_make(view, &endpoint_vswitch, &request, &end), REFUSAL_NONE);
	fabric_view_destroy(view);
	assert_int_equal(end->linear_top, 0);
	write_sets(&end->sets, end->sets.change_count);
	assert_int_equal(blocks_differing(), 0);
	assert_int_equal(refusal_of_left(end), REFUSAL_NONE);
	assert_int_equal(refusal_of_left(plans[1]), REFUSAL_NONE);
	plan_destroy(end);
	for (unsigned i = 0; i < 2; i++)
		plan_destroy(plans[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(vms_that_come_move_and_end_are_reached_and_leave_nothing),
	        cmocka_unit_test(refusals_have_their_reasons),
	        cmocka_unit_test(lids_that_rest_or_run_out_are_not_given),
	        cmocka_unit_test(the_top_is_raised_ahead),
	        cmocka_unit_test(moves_that_cannot_be_together_are_refused),
	        cmocka_unit_test(lids_that_are_asked_for_are_taken_first),
	        cmocka_unit_test(a_slot_with_somebody_to_come_is_not_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
