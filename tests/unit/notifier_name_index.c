/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/relay/name_index.h"

enum { NAMES = 1000, NAME_BYTES = 16 };

static uint32_t place_of(const struct name_index *index, const char *text)
{
	struct name name = name_whole(text);

	return name_index_find(index, &name);
}

static void each_is_found_at_its_place(void **state)
{
	static char texts[NAMES][NAME_BYTES];
	struct name_index index = {0};
	struct name name;

	for (uint32_t i = 0; i < NAMES; i++) {
		snprintf(texts[i], NAME_BYTES, "vm%u", i);
		assert_int_equal(place_of(&index, texts[i]), 0);
		name = name_whole(texts[i]);
		assert_int_equal(name_index_add(&index, &name), i + 1);
	}
	for (uint32_t i = 0; i < NAMES; i++) {
		assert_int_equal(place_of(&index, texts[i]), i + 1);
		assert_ptr_equal(index.names[i].text, texts[i]);
	}
	assert_int_equal(place_of(&index, "vm"), 0);
	assert_int_equal(place_of(&index, ""), 0);
	name_index_clear(&index);
}

static void name_that_is_there_is_not_added(void **state)
{
	static const char once[] = "vm1", again[] = "vm1";
	struct name_index index = {0};
	struct name name = name_whole(once);

	assert_int_equal(name_index_add(&index, &name), 1);
	name = name_whole(again);
	assert_int_equal(name_index_add(&index, &name), 1);
	assert_int_equal(index.count, 1);
	assert_ptr_equal(index.names[0].text, once);
	name_index_clear(&index);
}

static void part_is_the_name_that_it_says(void **state)
{
	struct name_index index = {0};
	struct name part = name_part("vm1/12.345", 3), longer = name_part("vm1/12.345", 4);

	assert_int_equal(name_index_add(&index, &part), 1);
	assert_int_equal(place_of(&index, "vm1"), 1);
	assert_int_equal(place_of(&index, "vm1/12.345"), 0);
	assert_int_equal(name_index_find(&index, &longer), 0);
	name_index_clear(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_is_found_at_its_place),
	        cmocka_unit_test(name_that_is_there_is_not_added),
	        cmocka_unit_test(part_is_the_name_that_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
