/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Plans in flight at the same time: what may be mixed, and what may not. */
#include "sm-side/plan/conflict.h"
#include "unit/plan_requests.h"

enum { OWN_MAX = 3 };

/* Both plans' Sets as they were planned, mixed at random. False: one finds what it does not expect.
 */
static bool write_mixed(const struct plan *a, const struct plan *b)
{
	uint32_t i = 0, j = 0;

	while (i < a->sets.change_count || j < b->sets.change_count) {
		bool first = j == b->sets.change_count ||
		             (i < a->sets.change_count && test_random(&fabric, 2));
		const struct plan_change *change =
		        first ? &a->sets.changes[i++] : &b->sets.changes[j++];

		for (unsigned sw = 0; sw < fabric.switch_count; sw++) {
			uint8_t *block =
			        fabric.switches[sw].lft + (size_t)change->block * LFT_BLOCK_LIDS;

			if (fabric.switches[sw].guid != change->switch_guid)
				continue;
			if (memcmp(block, change->before, LFT_BLOCK_LIDS))
				return false;
			memcpy(block, change->after, LFT_BLOCK_LIDS);
		}
	}
	return true;
}

/* By slots alone: does any identity or slot take part in both? */
static bool share_slots(const struct plan *a, const struct plan *b)
{
	for (uint32_t i = 0; i < a->transfer_count; i++)
		for (uint32_t j = 0; j < b->transfer_count; j++)
			if (slot_of(a->transfers[i].identity.port_guid) ==
			        slot_of(b->transfers[j].identity.port_guid))
				return true;
	return false;
}

static unsigned blocks_written(void)
{
	return test_blocks_differing(&earlier, &fabric, false) +
	       test_blocks_differing(&earlier, &fabric, true);
}

/* Where movers are different, mixing goes wrong exactly where blocks are shared. */
static void plans_that_are_apart_can_be_mixed(void **state)
{
	unsigned met[3] = {0};

	for (unsigned seed = 1; seed <= 2 * FABRICS; seed++) {
		struct plan *a, *b;
		enum plan_conflict conflict;

		test_fabric_make(&fabric, seed);
		want_at_random(1 + seed % OWN_MAX);
		assert_int_equal(plan_wanted(PLAN_FAST, &a), REFUSAL_NONE);
		want_at_random(1);
		assert_int_equal(plan_wanted(PLAN_FAST, &b), REFUSAL_NONE);
		conflict = plans_conflict(a, b);
		assert_int_equal(plans_conflict(b, a), conflict);
		met[conflict]++;
		assert_int_equal(conflict == PLANS_SHARE_MOVERS, share_slots(a, b));
		earlier = fabric;
		if (conflict != PLANS_SHARE_MOVERS)
			assert_int_equal(write_mixed(a, b), conflict == PLANS_APART);
		if (conflict == PLANS_APART)
			assert_int_equal(
			        blocks_written(), a->sets.change_count + b->sets.change_count);
		plan_destroy(a);
		plan_destroy(b);
	}
	assert_true(met[PLANS_APART] && met[PLANS_SHARE_BLOCKS] && met[PLANS_SHARE_MOVERS]);
}

/* Nobody is at an empty slot, but two cannot come to it. */
static void plans_to_one_empty_slot_share_it(void **state)
{
	struct plan_transfer x = {.identity = {1, 2, 3}, .to = {9, 4}};
	struct plan_transfer y = {.identity = {5, 6, 7}, .to = {9, 4}};
	struct plan a = {.transfer_count = 1, .transfers = &x};
	struct plan b = {.transfer_count = 1, .transfers = &y};

	assert_int_equal(plans_conflict(&a, &b), PLANS_SHARE_MOVERS);
	y.to.port = 5;
	assert_int_equal(plans_conflict(&a, &b), PLANS_APART);
	y.identity.lid = 3;
	assert_int_equal(plans_conflict(&a, &b), PLANS_SHARE_MOVERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(plans_that_are_apart_can_be_mixed),
	        cmocka_unit_test(plans_to_one_empty_slot_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
