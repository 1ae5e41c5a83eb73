/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/relay/vm_names.h"

enum { VMS = 500, PROCESSES = 3, NAME_BYTES = 32 };

static void name_make(char name[NAME_BYTES], unsigned vm, unsigned process)
{
	snprintf(name, NAME_BYTES, "vm%u/%u.1", vm, process);
}

static size_t count_of(const struct vm_names *names, const char *text)
{
	struct name vm = name_whole(text);
	size_t count = 0;

	for (uint32_t at = vm_names_first(names, &vm); at; at = vm_names_next(names, at))
		count++;
	return count;
}

static void each_vm_has_its_own_in_order_and_no_other(void **state)
{
	static char texts[VMS * PROCESSES][NAME_BYTES];
	struct vm_names names = {0};
	char text[NAME_BYTES];
	struct name vm;
	uint32_t before;

	/* One of each VM after the other, so that they lie far apart. */
	for (unsigned i = 0; i < VMS * PROCESSES; i++) {
		name_make(texts[i], i % VMS, i / VMS);
		assert_int_equal(vm_names_add(&names, texts[i]), 0);
	}
	for (unsigned i = 0; i < VMS; i++) {
		snprintf(text, sizeof(text), "vm%u", i);
		assert_int_equal(count_of(&names, text), PROCESSES);
		vm = name_whole(text);
		before = 0;
		for (uint32_t at = vm_names_first(&names, &vm); at;
		        at = vm_names_next(&names, at)) {
			assert_int_equal((at - 1) % VMS, i);
			assert_ptr_equal(names.names[at - 1], texts[at - 1]);
			assert_true(at > before);
			before = at;
		}
	}
	vm_names_clear(&names);
}

static void name_without_vm_has_a_place_and_is_nobodys(void **state)
{
	static const char *const texts[] = {"host1", "vm1/1.1", "vm1/", "/1.1", "vm1", "vm1/2.1"};
	struct vm_names names = {0};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(vm_names_add(&names, texts[i]), 0);
	assert_int_equal(names.count, ARRAY_SIZE(texts));
	assert_int_equal(count_of(&names, "vm1"), 2);
	assert_int_equal(count_of(&names, "host1"), 0);
	assert_int_equal(count_of(&names, ""), 0);
	assert_int_equal(count_of(&names, "vm"), 0);
	vm_names_clear(&names);
}

static void none_are_nobodys(void **state)
{
	struct vm_names names = {0};

	assert_int_equal(count_of(&names, "vm1"), 0);
	vm_names_clear(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_vm_has_its_own_in_order_and_no_other),
	        cmocka_unit_test(name_without_vm_has_a_place_and_is_nobodys),
	        cmocka_unit_test(none_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
