/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Dynamic LIDs: whose slots, GUIDs and LIDs are, how far the tables reach, and who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/lid_pool.h"
#include "unit/plan_dynamic_cases.h"

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
	        cmocka_unit_test(refusals_have_their_reasons),
	        cmocka_unit_test(lids_that_rest_or_run_out_are_not_given),
	        cmocka_unit_test(the_top_is_raised_ahead),
	        cmocka_unit_test(moves_that_cannot_be_together_are_refused),
	        cmocka_unit_test(lids_that_are_asked_for_are_taken_first),
	        cmocka_unit_test(a_slot_with_somebody_to_come_is_not_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
