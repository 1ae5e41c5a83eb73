/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A name is never two GIDs, and no GID two VMs'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "notifier/relay/gid_book.h"
#include "tests/unit/gid_twins.h"

enum { MANY = 1000 };

static int hold(struct gid_book *book, const uint8_t gid[GID_BYTES], const char *vm)
{
	return gid_book_hold(book, gid_name(gid), gid, vm);
}

static void the_second_gid_of_a_name_is_refused(void **state)
{
	struct gid_book *book = gid_book_create();
	uint8_t one[GID_BYTES], other[GID_BYTES];

	assert_true(gid_twins(one, other));
	assert_int_equal(gid_name(one), gid_name(other));
	assert_int_equal(hold(book, one, NULL), 0);
	assert_int_equal(hold(book, one, "vm1"), 0);
	assert_int_equal(gid_book_check(book, gid_name(other), other, NULL), -EEXIST);
	assert_int_equal(hold(book, other, NULL), -EEXIST);
	assert_int_equal(hold(book, other, "vm1"), -EEXIST);
	gid_book_let_go(book, gid_name(one), false);
	assert_int_equal(hold(book, other, NULL), -EEXIST);
	gid_book_let_go(book, gid_name(one), true);
	assert_int_equal(hold(book, other, NULL), 0);
	gid_book_destroy(book);
}

static void a_gid_is_the_vms_that_announces_it_first_for_as_long_as_it_does(void **state)
{
	struct gid_book *book = gid_book_create();
	uint8_t gid[GID_BYTES];
	uint32_t name;

	numbered_gid(1, gid);
	name = gid_name(gid);
	assert_int_equal(hold(book, gid, NULL), 0);
	assert_null(gid_book_vm(book, name));
	assert_int_equal(hold(book, gid, "vm1"), 0);
	assert_int_equal(hold(book, gid, "vm1"), 0);
	assert_string_equal(gid_book_vm(book, name), "vm1");
	assert_int_equal(hold(book, gid, "vm2"), -EACCES);
	assert_int_equal(hold(book, gid, NULL), 0); /* who wants to talk to it */
	gid_book_let_go(book, name, true);
	assert_int_equal(hold(book, gid, "vm2"), -EACCES);
	gid_book_let_go(book, name, true);
	assert_null(gid_book_vm(book, name));
	assert_int_equal(hold(book, gid, "vm2"), 0);
	assert_string_equal(gid_book_vm(book, name), "vm2");
	gid_book_destroy(book);
}

static void what_was_nobodys_is_whose_word_comes(void **state)
{
	struct gid_book *book = gid_book_create();
	uint8_t gid[GID_BYTES];

	numbered_gid(1, gid);
	assert_int_equal(hold(book, gid, ""), 0);
	assert_null(gid_book_vm(book, gid_name(gid)));
	assert_int_equal(hold(book, gid, "vm1"), 0);
	assert_string_equal(gid_book_vm(book, gid_name(gid)), "vm1");
	assert_int_equal(hold(book, gid, ""), -EACCES);
	gid_book_destroy(book);
}

static void count(void *context, const char *vm, const uint8_t gid[GID_BYTES])
{
	++*(unsigned *)context;
}

static void of_many_each_is_found(void **state)
{
	struct gid_book *book = gid_book_create();
	uint8_t gid[GID_BYTES];
	unsigned of_vm1 = 0, of_vm2 = 0, of_vm3 = 0, of_all = 0;

	for (uint32_t i = 1; i <= MANY; i++) {
		numbered_gid(i, gid);
		assert_int_equal(hold(book, gid, i % 4 ? "vm1" : "vm2"), 0);
	}
	gid_book_each(book, "vm1", count, &of_vm1);
	gid_book_each(book, "vm2", count, &of_vm2);
	gid_book_each(book, "vm3", count, &of_vm3);
	assert_int_equal(of_vm1, MANY / 4 * 3);
	assert_int_equal(of_vm2, MANY / 4);
	gid_book_each(book, NULL, count, &of_all);
	assert_int_equal(of_vm3, 0);
	assert_int_equal(of_all, MANY);
	assert_true(gid_book_find(book, gid_name(gid), gid));
	for (uint32_t i = 1; i <= MANY; i++) {
		numbered_gid(i, gid);
		gid_book_let_go(book, gid_name(gid), true);
		gid_book_let_go(book, gid_name(gid), true); /* once too often */
	}
	of_vm1 = 0;
	gid_book_each(book, "vm1", count, &of_vm1);
	assert_int_equal(of_vm1, 0);
	assert_false(gid_book_find(book, gid_name(gid), gid));
	gid_book_destroy(book);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_second_gid_of_a_name_is_refused),
	        cmocka_unit_test(a_gid_is_the_vms_that_announces_it_first_for_as_long_as_it_does),
	        cmocka_unit_test(what_was_nobodys_is_whose_word_comes),
	        cmocka_unit_test(of_many_each_is_found),
	};

	return cmocka_run_group_tests_name("gid_book", tests, NULL, NULL);
}
