/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Which LIDs are given to whom, and when again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sm-side/plan/lid_pool.h"

static uint16_t taken(struct lid_pool *pool)
{
	uint16_t lid = 0;

	assert_int_equal(lid_pool_take(pool, &lid), REFUSAL_NONE);
	return lid;
}

static void the_lowest_free_one_is_taken(void **state)
{
	struct lid_pool *pool = lid_pool_create(LID_LOWEST);

	assert_false(lid_pool_is_free(pool, 0));
	lid_pool_hold(pool, 1);
	lid_pool_hold(pool, 3);
	assert_int_equal(taken(pool), 2);
	assert_int_equal(taken(pool), 4);
	assert_int_equal(lid_pool_give_back(pool, 2, 10), 0);
	lid_pool_wake(pool, 10);
	assert_int_equal(taken(pool), 2);
	lid_pool_destroy(pool);
}

static void the_next_free_one_is_above_the_last_and_around(void **state)
{
	struct lid_pool *pool = lid_pool_create(LID_NEXT);

	assert_int_equal(taken(pool), 1);
	assert_int_equal(lid_pool_give_back(pool, 1, 0), 0);
	lid_pool_wake(pool, 0);
	assert_int_equal(taken(pool), 2);
	for (unsigned lid = 3; lid <= LID_UNICAST_MAX; lid++)
		assert_int_equal(taken(pool), lid);
	assert_int_equal(taken(pool), 1);
	lid_pool_destroy(pool);
}

static void one_that_was_given_back_rests_until_its_time(void **state)
{
	struct lid_pool *pool = lid_pool_create(LID_LOWEST), *copy;

	assert_int_equal(taken(pool), 1);
	assert_int_equal(lid_pool_give_back(pool, 1, 100), 0);
	lid_pool_wake(pool, 99);
	assert_false(lid_pool_is_free(pool, 1));
	assert_int_equal(taken(pool), 2);
	copy = lid_pool_copy(pool);
	lid_pool_wake(pool, 100);
	assert_int_equal(taken(pool), 1);
	assert_false(lid_pool_is_free(copy, 1));
	lid_pool_wake(copy, 100);
	assert_true(lid_pool_is_free(copy, 1));
	lid_pool_destroy(copy);
	lid_pool_destroy(pool);
}

/* Somebody was found with it, or it was given back twice: it has one rest, and none when held. */
static void one_that_is_held_does_not_rest(void **state)
{
	struct lid_pool *pool = lid_pool_create(LID_LOWEST);

	assert_int_equal(lid_pool_give_back(pool, 5, 100), 0);
	lid_pool_hold(pool, 5);
	lid_pool_wake(pool, 100);
	assert_false(lid_pool_is_free(pool, 5));
	assert_int_equal(lid_pool_give_back(pool, 5, 100), 0);
	assert_int_equal(lid_pool_give_back(pool, 5, 200), 0);
	lid_pool_wake(pool, 100);
	assert_false(lid_pool_is_free(pool, 5));
	lid_pool_wake(pool, 200);
	assert_true(lid_pool_is_free(pool, 5));
	lid_pool_destroy(pool);
}

static void there_are_49151_of_them(void **state)
{
	struct lid_pool *pool = lid_pool_create(LID_LOWEST);
	uint16_t lid = 7;

	for (unsigned i = 1; i <= 49151; i++)
		assert_int_equal(taken(pool), i);
	assert_int_equal(lid_pool_take(pool, &lid), REFUSAL_NO_FREE_LID);
	assert_int_equal(lid, 7);
	assert_false(lid_pool_is_free(pool, 49152));
	assert_int_equal(lid_pool_give_back(pool, 30000, 0), 0);
	lid_pool_wake(pool, 0);
	assert_int_equal(taken(pool), 30000);
	lid_pool_destroy(pool);
}

static void who_has_one_in_the_view_holds_it(void **state)
{
	struct lid_pool *pool = lid_pool_create(LID_LOWEST);
	struct fabric_view *view = fabric_view_create();
	struct view_end_port port = {.port_guid = 1, .lid = 4, .lmc = 2};

	fabric_view_add_switch(view, 1, 2, NULL, 0);
	view->switches[0].lid = 2;
	fabric_view_add_end_port(view, &port);
	port = (struct view_end_port){.port_guid = 2};
	fabric_view_add_end_port(view, &port);
	assert_int_equal(fabric_view_finish(view), 0);
	lid_pool_hold_view(pool, view);
	assert_int_equal(taken(pool), 1);
	assert_int_equal(taken(pool), 3);
	assert_int_equal(taken(pool), 8);
	fabric_view_destroy(view);
	lid_pool_destroy(pool);
}

static void the_top_is_raised_in_strides_as_far_as_a_table_goes(void **state)
{
	assert_int_equal(lid_pool_top(1, 0), LID_TOP_STRIDE - 1);
	assert_int_equal(lid_pool_top(LID_TOP_STRIDE - 1, 0), LID_TOP_STRIDE - 1);
	assert_int_equal(lid_pool_top(LID_TOP_STRIDE, 0), 2 * LID_TOP_STRIDE - 1);
	assert_int_equal(lid_pool_top(LID_TOP_STRIDE, LID_TOP_STRIDE + 100), LID_TOP_STRIDE + 99);
	assert_int_equal(lid_pool_top(LID_UNICAST_MAX, 0), LID_UNICAST_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_lowest_free_one_is_taken),
	        cmocka_unit_test(the_next_free_one_is_above_the_last_and_around),
	        cmocka_unit_test(one_that_was_given_back_rests_until_its_time),
	        cmocka_unit_test(one_that_is_held_does_not_rest),
	        cmocka_unit_test(there_are_49151_of_them),
	        cmocka_unit_test(who_has_one_in_the_view_holds_it),
	        cmocka_unit_test(the_top_is_raised_in_strides_as_far_as_a_table_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
