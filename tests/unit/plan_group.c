/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Plans that wait at the same time: who goes together, and what one plan of them writes. */
#include <stdlib.h>

#include "sm-side/plan/conflict.h"
#include "sm-side/plan/group.h"
#include "sm-side/plan/undo.h"
#include "unit/plan_requests.h"

enum { PLANS_MAX = 5, OWN_MAX = 3 };

/* Plans of the same tables, by arrival, and those that go together. */
static struct {
	unsigned count, going;
	struct plan *plans[PLANS_MAX];
	const struct plan *goes[PLANS_MAX];
} group;

/* Who has waited and goes now, as a text: "x" goes, "-" stays. */
static const char *formed(const struct plan *const *waiting, unsigned count)
{
	static char text[PLANS_MAX + 1];
	bool goes[PLANS_MAX];

	plan_group_form(waiting, count, goes);
	for (unsigned i = 0; i < count; i++)
		text[i] = goes[i] ? 'x' : '-';
	text[count] = 0;
	return text;
}

static struct plan_transfer transfer_of(unsigned who)
{
	return (struct plan_transfer){.identity = {0x100 + who, 0x200 + who, (uint16_t)who},
	        .from = {9, (uint8_t)who},
	        .to = {8, (uint8_t)who}};
}

static void who_goes_together(void **state)
{
	struct plan_transfer one = transfer_of(1), two = transfer_of(2), three = transfer_of(3);
	const struct plan first = {.transfer_count = 1, .transfers = &one};
	const struct plan again = {.transfer_count = 1, .transfers = &one};
	const struct plan other = {.transfer_count = 1, .transfers = &two};
	const struct plan third = {.transfer_count = 1, .transfers = &three};
	const struct plan ordered = {
	        .order = PLAN_CONSISTENT, .transfer_count = 1, .transfers = &two};
	const struct plan recabled = {.generation = 1, .transfer_count = 1, .transfers = &two};

	assert_string_equal(formed((const struct plan *[]){&first}, 1), "x");
	assert_string_equal(formed((const struct plan *[]){&first, &other, &third}, 3), "xxx");
	/* The second waits for the first, others do not. */
	assert_string_equal(formed((const struct plan *[]){&first, &again, &other}, 3), "x-x");
	/* Another order, other cabling: not in one. Who shares the VM with one that waits waits. */
	assert_string_equal(formed((const struct plan *[]){&first, &ordered, &third}, 3), "x-x");
	assert_string_equal(formed((const struct plan *[]){&first, &ordered, &other}, 3), "x--");
	assert_string_equal(formed((const struct plan *[]){&first, &recabled, &third}, 3), "x-x");
	/* A turn of its own. */
	assert_string_equal(formed((const struct plan *[]){NULL, &first, NULL}, 3), "x--");
	assert_string_equal(formed((const struct plan *[]){&first, NULL, &other}, 3), "x-x");
}

static void plans_make(enum plan_order order, enum plan_reach reach)
{
	bool goes[PLANS_MAX];

	group.count = 2 + test_random(&fabric, PLANS_MAX - 1);
	for (unsigned i = 0; i < group.count; i++) {
		struct fabric_view *view = test_view(&fabric);
		struct plan_request request = {.order = order, .reach = reach};
		enum refusal refused;

		want_at_random(1 + test_random(&fabric, OWN_MAX));
		request.move_count = wanted.count;
		request.moves = wanted.requests;
		refused = plan_make(view, &endpoint_vswitch, &request, &group.plans[i]);
		if (refused) { /* a cycle of channels; where there is none, another way is had */
			assert_int_equal(refused, REFUSAL_DEADLOCK);
			request.reach = PLAN_DETERMINISTIC;
			assert_int_equal(
			        plan_make(view, &endpoint_vswitch, &request, &group.plans[i]),
			        REFUSAL_NONE);
		}
		fabric_view_destroy(view);
	}
	plan_group_form((const struct plan *const *)group.plans, group.count, goes);
	group.going = 0;
	for (unsigned i = 0; i < group.count; i++)
		if (goes[i])
			group.goes[group.going++] = group.plans[i];
}

static void plans_destroy(void)
{
	for (unsigned i = 0; i < group.count; i++)
		plan_destroy(group.plans[i]);
}

/* The agents exchange the GUIDs of all of them, then the Sets go out as one plan's. *@joined and
 * *@sets are the caller's. */
static void carry_out(struct plan **joined, struct plan_sets *sets)
{
	struct plan_left left[PLANS_MAX];
	struct fabric_view *view;

	for (unsigned i = 0; i < group.going; i++)
		seat(group.goes[i]);
	view = test_view(&fabric);
	for (unsigned i = 0; i < group.going; i++)
		assert_int_equal(plan_left(view, group.goes[i], &left[i]), REFUSAL_NONE);
	*joined = plan_group_join(group.goes, group.going);
	assert_non_null(*joined);
	assert_int_equal(plan_group_sets(view, *joined, left, group.going, sets), REFUSAL_NONE);
	for (unsigned i = 0; i < group.going; i++)
		plan_left_clear(&left[i]);
	fabric_view_destroy(view);
	for (uint32_t i = 0; i < sets->change_count; i++)
		change_write(&sets->changes[i]);
}

/* Of which the tables say now what all of the group's plans wanted. */
static void check_entries(const struct plan *joined)
{
	uint32_t entries = 0;

	for (unsigned i = 0; i < group.going; i++)
		entries += group.goes[i]->entry_count;
	assert_int_equal(joined->entry_count, entries);
	for (uint32_t i = 0; i < entries; i++) {
		const struct plan_entry *entry = &joined->entries[i];

		assert_int_equal(fabric.switches[entry->sw].lft[entry->lid], entry->after);
		if (i)
			assert_true(entry[-1].switch_guid < entry->switch_guid ||
			            (entry[-1].switch_guid == entry->switch_guid &&
			                    entry[-1].lid < entry->lid));
	}
}

/* Each Set is somebody's, and in `fast` each block is written once. */
static void check_sets(const struct plan_sets *sets, enum plan_order order)
{
	if (order == PLAN_FAST)
		assert_int_equal(
		        sets->change_count, test_blocks_differing(&earlier, &fabric, false) +
		                                    test_blocks_differing(&earlier, &fabric, true));
	for (uint32_t i = 0; i < sets->change_count; i++) {
		unsigned writers = 0;

		for (unsigned k = 0; k < group.going; k++)
			writers += plan_writes_block(group.goes[k], sets->changes[i].switch_guid,
			        sets->changes[i].block);
		assert_true(writers);
	}
}

static uint32_t sets_one_by_one(void)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < group.going; i++)
		count += group.goes[i]->sets.change_count;
	return count;
}

/* What one of them undoes is its own, whatever went out with it. In the end all is as it was. */
static void undo_one_by_one(void)
{
	for (unsigned i = 0; i < group.going; i++) {
		struct fabric_view *view = test_view(&fabric);
		struct plan_left left;
		struct plan *back;

		assert_int_equal(
		        plan_undo(view, &endpoint_vswitch, group.goes[i], &back), REFUSAL_NONE);
		fabric_view_destroy(view);
		seat(back);
		view = test_view(&fabric);
		assert_int_equal(plan_left(view, back, &left), REFUSAL_NONE);
		for (uint32_t k = 0; k < left.sets.change_count; k++)
			change_write(&left.sets.changes[k]);
		assert_true(test_all_reachable(&fabric));
		plan_left_clear(&left);
		plan_destroy(back);
		fabric_view_destroy(view);
	}
	for (unsigned sw = 0; sw < fabric.switch_count; sw++)
		assert_memory_equal(fabric.switches[sw].lft, earlier.switches[sw].lft,
		        sizeof(fabric.switches[sw].lft));
}

static unsigned saved, groups;

static void check_group(unsigned seed, enum plan_order order, enum plan_reach reach)
{
	struct plan_sets sets;
	struct plan *joined;

	test_fabric_make(&fabric, seed);
	plans_make(order, reach);
	earlier = fabric;
	carry_out(&joined, &sets);
	assert_true(test_all_reachable(&fabric));
	check_entries(joined);
	check_sets(&sets, order);
	groups += group.going > 1;
	if (order == PLAN_FAST && sets_one_by_one() > sets.change_count)
		saved++;
	undo_one_by_one();
	plan_sets_clear(&sets);
	plan_destroy(joined);
	plans_destroy();
}

static void a_group_writes_what_its_plans_want_and_each_block_once(void **state)
{
	for (unsigned seed = 1; seed <= FABRICS; seed++)
		for (unsigned kind = 0; kind < 6; kind++)
			check_group(seed * 6 + kind, (enum plan_order)(kind / 2),
			        kind % 2 ? PLAN_MINIMUM : PLAN_DETERMINISTIC);
	assert_true(groups > FABRICS && saved > FABRICS / 2);
}

static struct plan_request request_of_wanted(struct plan_move_request *moves, unsigned already)
{
	memcpy(moves + already, wanted.requests, wanted.count * sizeof(*moves));
	return (struct plan_request){.move_count = already + wanted.count, .moves = moves};
}

/* Where all routes go with their VMs, planning the moves anew as one request would change nothing.
 */
static void one_request_of_all_moves_has_the_same_sets(void **state)
{
	unsigned pairs = 0;

	for (unsigned seed = 1; seed <= 2 * FABRICS; seed++) {
		struct plan_move_request moves[2 * MOVES_MAX];
		struct plan_request request;
		struct plan *plan, *joined;
		struct plan_sets sets;

		test_fabric_make(&fabric, seed);
		group.count = group.going = 2;
		want_at_random(OWN_MAX);
		request = request_of_wanted(moves, 0);
		assert_int_equal(plan_wanted(PLAN_FAST, &group.plans[0]), REFUSAL_NONE);
		want_at_random(OWN_MAX);
		request = request_of_wanted(moves, request.move_count);
		assert_int_equal(plan_wanted(PLAN_FAST, &group.plans[1]), REFUSAL_NONE);
		group.goes[0] = group.plans[0];
		group.goes[1] = group.plans[1];
		if (plans_conflict(group.plans[0], group.plans[1]) != PLANS_SHARE_MOVERS) {
			struct fabric_view *view = test_view(&fabric);

			assert_int_equal(
			        plan_make(view, &endpoint_vswitch, &request, &plan), REFUSAL_NONE);
			fabric_view_destroy(view);
			carry_out(&joined, &sets);
			assert_int_equal(sets.change_count, plan->sets.change_count);
			assert_memory_equal(sets.changes, plan->sets.changes,
			        sets.change_count * sizeof(*sets.changes));
			plan_sets_clear(&sets);
			plan_destroy(joined);
			plan_destroy(plan);
			pairs++;
		}
		plans_destroy();
	}
	assert_true(pairs > FABRICS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_goes_together),
	        cmocka_unit_test(a_group_writes_what_its_plans_want_and_each_block_once),
	        cmocka_unit_test(one_request_of_all_moves_has_the_same_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
