/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/relay/name_table.h"

enum { NAMES = 1000, NAME_BYTES = 16 };

struct named {
	struct name_node node;
	char name[NAME_BYTES];
};

static void *owner_of(const struct name_table *table, const char *name)
{
	const struct name_node *node = name_table_find(table, name);

	return node ? node->owner : NULL;
}

static void each_is_found_until_it_is_removed(void **state)
{
	static struct named all[NAMES];
	struct name_table table = {0};

	assert_null(owner_of(&table, "h0"));
	for (int i = 0; i < NAMES; i++) {
		snprintf(all[i].name, NAME_BYTES, "h%d", i);
		assert_int_equal(name_table_add(&table, &all[i].node, all[i].name, &all[i]), 0);
	}
	for (int i = 0; i < NAMES; i += 2)
		name_table_remove(&table, &all[i].node);
	for (int i = 0; i < NAMES; i++)
		assert_ptr_equal(owner_of(&table, all[i].name), i % 2 ? &all[i] : NULL);
	assert_null(owner_of(&table, "h"));
	assert_null(owner_of(&table, ""));
	assert_int_equal(table.count, NAMES / 2);
	name_table_clear(&table);
	assert_null(owner_of(&table, "h1"));
}

static void several_may_have_the_same(void **state)
{
	struct named first = {.name = "h1"}, second = {.name = "h1"}, other = {.name = "h2"};
	struct name_table table = {0};
	struct name_node *node;

	name_table_add(&table, &first.node, first.name, &first);
	name_table_add(&table, &other.node, other.name, &other);
	name_table_add(&table, &second.node, second.name, &second);
	node = name_table_find(&table, "h1");
	assert_ptr_equal(node->owner, &second);
	node = name_table_next(node);
	assert_ptr_equal(node->owner, &first);
	assert_null(name_table_next(node));
	name_table_remove(&table, &second.node);
	assert_ptr_equal(owner_of(&table, "h1"), &first);
	name_table_clear(&table);
}

static void removing_what_is_in_none_is_fine(void **state)
{
	struct named one = {.name = "h1"};
	struct name_table table = {0};

	name_table_remove(&table, &one.node);
	name_table_add(&table, &one.node, one.name, &one);
	name_table_remove(&table, &one.node);
	name_table_remove(&table, &one.node);
	assert_int_equal(table.count, 0);
	name_table_clear(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_found_until_it_is_removed),
	        cmocka_unit_test(several_may_have_the_same),
	        cmocka_unit_test(removing_what_is_in_none_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
