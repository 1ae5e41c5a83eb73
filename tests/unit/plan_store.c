/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Which plans are kept, with moves that do nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sm-side/identity/identity_move.h"
#include "sm-side/plugin/plan_store.h"

enum { KEPT = 256, MANY = 3 * KEPT };

struct identity_move {
	struct plan plan;
	bool has_begun, is_finished;
};

static unsigned alive;

const struct plan *identity_move_plan(const struct identity_move *move)
{
	return &move->plan;
}

bool identity_move_has_begun(const struct identity_move *move)
{
	return move->has_begun;
}

bool identity_move_is_finished(const struct identity_move *move)
{
	return move->is_finished;
}

void identity_move_destroy(struct identity_move *move)
{
	if (!move)
		return;
	alive--;
	free(move);
}

static struct identity_move *move_new(uint64_t hash)
{
	struct identity_move *move = calloc(1, sizeof(*move));

	assert_non_null(move);
	alive++;
	move->plan.hash = hash;
	return move;
}

static struct plan_store *store;

static int begin(void **state)
{
	store = plan_store_create();
	return store ? 0 : -1;
}

static int end(void **state)
{
	plan_store_destroy(store);
	return alive ? -1 : 0;
}

/* Plans that nobody carries out, all different. */
static void ask_for(unsigned count)
{
	static uint64_t next = 1000;

	for (unsigned i = 0; i < count; i++)
		plan_store_put(store, move_new(next++));
}

static bool is_kept(uint64_t hash)
{
	struct identity_move *move = plan_store_take(store, hash);

	if (!move)
		return false;
	plan_store_put(store, move);
	return true;
}

static void apply(uint64_t hash, bool succeeds)
{
	struct identity_move *move = plan_store_take(store, hash);

	assert_non_null(move);
	move->has_begun = true;
	move->is_finished = succeeds;
	plan_store_put(store, move);
}

static void a_plan_is_kept_until_so_many_newer_ones(void **state)
{
	plan_store_put(store, move_new(1));
	ask_for(KEPT - 1);
	assert_true(is_kept(1));
	ask_for(1);
	assert_false(is_kept(1));
}

/* Neither taking one out nor asking for the same one again makes a newer one. */
static void looking_at_plans_lets_none_go(void **state)
{
	plan_store_put(store, move_new(1));
	plan_store_put(store, move_new(2));
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(is_kept(2));
		plan_store_put(store, move_new(3));
	}
	assert_true(is_kept(1));
	assert_int_equal(alive, 3);
}

static void plans_that_are_asked_for_drive_out_none_that_has_begun(void **state)
{
	for (uint64_t hash = 1; hash <= 2; hash++) {
		plan_store_put(store, move_new(hash));
		apply(hash, hash == 2);
	}
	ask_for(MANY);
	assert_true(is_kept(1) && is_kept(2));
	assert_int_equal(alive, KEPT + 2);
}

static void of_those_that_have_begun_half_done_ones_stay_longest(void **state)
{
	for (uint64_t hash = 1; hash <= KEPT + 1; hash++) {
		plan_store_put(store, move_new(hash));
		apply(hash, hash > 1);
	}
	assert_true(is_kept(1) && is_kept(3));
	assert_false(is_kept(2));
	assert_int_equal(alive, KEPT);
}

static void one_that_is_worked_on_comes_back(void **state)
{
	struct identity_move *move;

	plan_store_put(store, move_new(1));
	move = plan_store_take(store, 1);
	assert_null(plan_store_take(store, 1));
	ask_for(MANY);
	move->has_begun = true;
	plan_store_put(store, move);
	assert_ptr_equal(plan_store_take(store, 1), move);
	plan_store_put(store, move);
}

/* The same plan made again knows nothing of what was before; one that is done is made anew. */
static void of_the_same_plan_twice_the_half_done_one_stays(void **state)
{
	struct identity_move *again = move_new(1), *move;

	plan_store_put(store, move_new(1));
	apply(1, false);
	plan_store_put(store, again);
	move = plan_store_take(store, 1);
	assert_true(move->has_begun);
	plan_store_put(store, move);
	apply(1, true);
	plan_store_put(store, move_new(1));
	move = plan_store_take(store, 1);
	assert_false(move->has_begun);
	plan_store_put(store, move);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(
	                a_plan_is_kept_until_so_many_newer_ones, begin, end),
	        cmocka_unit_test_setup_teardown(looking_at_plans_lets_none_go, begin, end),
	        cmocka_unit_test_setup_teardown(
	                plans_that_are_asked_for_drive_out_none_that_has_begun, begin, end),
	        cmocka_unit_test_setup_teardown(
	                of_those_that_have_begun_half_done_ones_stay_longest, begin, end),
	        cmocka_unit_test_setup_teardown(one_that_is_worked_on_comes_back, begin, end),
	        cmocka_unit_test_setup_teardown(
	                of_the_same_plan_twice_the_half_done_one_stays, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
