/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is undone is the plan's own, whatever has happened beside it. */
#include "sm-side/plan/undo.h"
#include "unit/plan_requests.h"

enum { OWN_MAX = 4, OTHERS_MAX = 6 };

static struct test_fabric others_alone;

static enum refusal undo_of(const struct plan *plan, struct plan **back)
{
	struct fabric_view *view = test_view(&fabric);
	enum refusal refused = plan_undo(view, &endpoint_vswitch, plan, back);

	fabric_view_destroy(view);
	if (!refused)
		assert_true((*back)->leads_back);
	return refused;
}

/* The agents have put the GUIDs back; what is left is written. */
static void carry_out(const struct plan *back)
{
	struct fabric_view *view = test_view(&fabric);
	struct plan_left left;

	assert_int_equal(plan_left(view, back, &left), REFUSAL_NONE);
	assert_true(left.links_done);
	fabric_view_destroy(view);
	for (uint32_t i = 0; i < left.sets.change_count; i++)
		change_write(&left.sets.changes[i]);
	plan_left_clear(&left);
}

static void do_plan(const struct plan *plan)
{
	seat(plan);
	plan_write(plan);
}

/* Moves of slots that @plan does not touch. */
static void want_others(const struct plan *plan)
{
	unsigned kept = 0;

	want_at_random(OTHERS_MAX);
	for (unsigned i = 0; i < wanted.count; i++) {
		unsigned from = fabric.slots[wanted.from[i]].identity;
		unsigned to = fabric.slots[wanted.to[i]].identity;

		if (is_transferred(plan, fabric.identities[from].lid) ||
		        is_transferred(plan, fabric.identities[to].lid))
			continue;
		wanted.requests[kept++] = wanted.requests[i];
	}
	wanted.count = kept;
}

/* The tables are then as if the plan had never been, to the byte. */
static void another_plan_in_between_stays(void **state)
{
	unsigned met = 0;

	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		struct plan *own, *others, *back;

		test_fabric_make(&fabric, seed);
		earlier = fabric;
		want_at_random(OWN_MAX);
		assert_int_equal(plan_wanted(PLAN_FAST, &own), REFUSAL_NONE);
		want_others(own);
		if (!wanted.count) {
			plan_destroy(own);
			continue;
		}
		met++;
		assert_int_equal(plan_wanted(PLAN_FAST, &others), REFUSAL_NONE);
		do_plan(others);
		others_alone = fabric;
		plan_destroy(others);

		fabric = earlier;
		do_plan(own);
		assert_int_equal(plan_wanted(PLAN_FAST, &others), REFUSAL_NONE);
		do_plan(others);
		assert_int_equal(undo_of(own, &back), REFUSAL_NONE);
		seat(back);
		carry_out(back);
		assert_memory_equal(
		        fabric.switches, others_alone.switches, sizeof(fabric.switches));
		assert_memory_equal(fabric.slots, others_alone.slots, sizeof(fabric.slots));
		plan_destroy(back);
		plan_destroy(others);
		plan_destroy(own);
	}
	assert_true(met > FABRICS / 2);
}

/* New routes for some of the LIDs; which, @routed says. */
static void sweep_some(bool *routed)
{
	for (unsigned slot = 0; slot < fabric.slot_count; slot++) {
		uint16_t lid = fabric.identities[fabric.slots[slot].identity].lid;

		routed[lid] = test_random(&fabric, 3) == 0;
		if (routed[lid])
			test_route(&fabric, &fabric.slots[slot]);
	}
}

/* Everybody is reached, LIDs of others are as the sweep has left them, and those of the plan that
 * it did not route anew as they were at first. */
static void check_swept(const struct plan *own, const bool *routed, const struct test_fabric *swept)
{
	assert_true(test_all_reachable(&fabric));
	for (unsigned lid = 0; lid < TEST_LFT; lid++) {
		const struct test_fabric *expected = is_transferred(own, lid) ? &earlier : swept;

		for (unsigned sw = 0; sw < fabric.switch_count; sw++)
			if (expected == swept || !routed[lid])
				assert_int_equal(fabric.switches[sw].lft[lid],
				        expected->switches[sw].lft[lid]);
	}
}

static void a_sweep_in_between_stays(void **state)
{
	static struct test_fabric swept;
	unsigned anew = 0;

	for (unsigned seed = 1; seed <= FABRICS; seed++) {
		bool routed[TEST_LFT] = {false}, is_any = false;
		struct plan *own, *back;

		test_fabric_make(&fabric, seed);
		earlier = fabric;
		want_at_random(1);
		assert_int_equal(plan_wanted(PLAN_FAST, &own), REFUSAL_NONE);
		do_plan(own);
		sweep_some(routed);
		swept = fabric;
		assert_int_equal(undo_of(own, &back), REFUSAL_NONE);
		seat(back);
		carry_out(back);
		for (uint32_t i = 0; i < own->transfer_count; i++)
			is_any |= routed[own->transfers[i].identity.lid];
		anew += is_any;
		if (is_any) /* both LIDs' entries are exchanged as the sweep has left them */
			for (uint32_t i = 0; i < own->transfer_count; i++)
				routed[own->transfers[i].identity.lid] = true;
		check_swept(own, routed, &swept);
		plan_destroy(back);
		plan_destroy(own);
	}
	assert_true(anew > FABRICS / 4 && anew < FABRICS);
}

static void a_vm_that_has_gone_on_is_not_called_back(void **state)
{
	struct plan *own, *on, *back = NULL;

	small_fabric();
	assert_int_equal(plan_between(0, 2, &own), REFUSAL_NONE);
	do_plan(own);
	assert_int_equal(plan_between(2, 3, &on), REFUSAL_NONE);
	do_plan(on);
	assert_int_equal(undo_of(own, &back), REFUSAL_STALE_PLAN);
	assert_null(back);
	plan_destroy(on);
	plan_destroy(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(another_plan_in_between_stays),
	        cmocka_unit_test(a_sweep_in_between_stays),
	        cmocka_unit_test(a_vm_that_has_gone_on_is_not_called_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
