/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* rc-verify's book of posted receives: what has to be told from what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "demo-apps/rc_verify/receive_book.h"

enum { DEPTH = 4 };

static int setup(void **state)
{
	static struct receive_book book;

	*state = &book;
	return receive_book_init(&book, DEPTH);
}

static int teardown(void **state)
{
	receive_book_finish(*state);
	return 0;
}

static void post_all(struct receive_book *book)
{
	uint64_t number;

	while (receive_book_post(book, &number))
		;
}

static void numbers_go_on_where_receives_complete_in_order(void **state)
{
	struct receive_book *book = *state;
	uint64_t number;

	for (uint64_t i = 0; i < DEPTH; i++) {
		assert_true(receive_book_post(book, &number));
		assert_int_equal(number, i);
	}
	assert_false(receive_book_post(book, &number));
	for (uint64_t i = 0; i < 3 * DEPTH; i++) {
		assert_true(receive_book_complete(book, i));
		assert_true(receive_book_post(book, &number));
		assert_int_equal(number, i + DEPTH);
	}
}

static void they_may_complete_in_any_order(void **state)
{
	struct receive_book *book = *state;
	uint64_t number;

	post_all(book);
	assert_true(receive_book_complete(book, 2));
	assert_true(receive_book_complete(book, 0));
	assert_true(receive_book_post(book, &number));
	assert_int_equal(number, 2 + DEPTH);
	assert_true(receive_book_post(book, &number));
	assert_int_equal(number, 0 + DEPTH);
	assert_true(receive_book_complete(book, 1));
}

static void one_that_comes_twice_is_seen(void **state)
{
	struct receive_book *book = *state;

	post_all(book);
	assert_true(receive_book_complete(book, 1));
	assert_false(receive_book_complete(book, 1));
	post_all(book);
	assert_false(receive_book_complete(book, 1));
	assert_true(receive_book_complete(book, 1 + DEPTH));
}

static void one_that_was_never_posted_is_seen(void **state)
{
	struct receive_book *book = *state;
	uint64_t number;

	assert_true(receive_book_post(book, &number));
	assert_false(receive_book_complete(book, 1));
	assert_false(receive_book_complete(book, DEPTH));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(numbers_go_on_where_receives_complete_in_order),
	        TEST(they_may_complete_in_any_order),
	        TEST(one_that_comes_twice_is_seen),
	        TEST(one_that_was_never_posted_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
