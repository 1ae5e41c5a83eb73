/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/relay/roster.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *of_two[] = {"vm1/1.1", "vm2/1.1", "vm1/2.1", "vm2/1.1", "alone"};

static void each_name_is_there_once_and_in_order(void **state)
{
	struct roster *roster = roster_create(of_two, COUNT(of_two));
	static const char *const names[] = {"vm1/1.1", "vm2/1.1", "vm1/2.1", "alone"};

	assert_non_null(roster);
	assert_int_equal(roster_count(roster), COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++) {
		struct name name = name_whole(names[i]);

		assert_string_equal(roster_name(roster, i + 1)->text, names[i]);
		assert_string_equal(roster_texts(roster)[i], names[i]);
		assert_int_equal(roster_find(roster, &name), i + 1);
	}
	roster_release(roster);
}

static void it_keeps_names_of_its_own(void **state)
{
	char text[] = "vm1/1.1", *names[] = {text};
	struct roster *roster = roster_create(names, 1);

	assert_non_null(roster);
	memset(text, 'x', sizeof(text) - 1);
	assert_string_equal(roster_texts(roster)[0], "vm1/1.1");
	roster_release(roster);
}

static void those_of_a_vm_are_found(void **state)
{
	struct roster *roster = roster_create(of_two, COUNT(of_two));
	struct name vm1 = name_whole("vm1"), vm3 = name_whole("vm3"), alone = name_whole("alone");
	uint32_t at;

	assert_non_null(roster);
	at = roster_first_of(roster, &vm1);
	assert_int_equal(at, 1);
	at = roster_next_of(roster, at);
	assert_int_equal(at, 3);
	assert_int_equal(roster_next_of(roster, at), 0);
	assert_int_equal(roster_first_of(roster, &vm3), 0);
	assert_int_equal(roster_first_of(roster, &alone), 0);
	roster_release(roster);
}

static struct roster *get(struct rosters *rosters, char *const *names, size_t count)
{
	struct roster *roster = rosters_get(rosters, names, count);

	assert_non_null(roster);
	roster_release(roster); /* @rosters hold it still */
	return roster;
}

static void the_same_names_share_one(void **state)
{
	char *names[] = {"vm1/1.1", "vm2/1.1"}, *turned[] = {"vm2/1.1", "vm1/1.1"};
	struct rosters rosters = {0};
	struct roster *both = get(&rosters, names, 2), *first = get(&rosters, names, 1);

	assert_ptr_not_equal(both, first);
	assert_ptr_equal(get(&rosters, names, 2), both);
	assert_ptr_equal(get(&rosters, names, 1), first);
	assert_ptr_not_equal(get(&rosters, turned, 2), both);
	assert_ptr_equal(get(&rosters, names, 2), both);
	rosters_clear(&rosters);
}

static void the_longest_unused_is_given_up(void **state)
{
	char texts[2 * ROSTERS_KEPT][8], *names[1];
	struct rosters rosters = {0};
	struct roster *kept, *given_up;

	names[0] = strcpy(texts[0], "kept");
	kept = rosters_get(&rosters, names, 1);
	names[0] = strcpy(texts[1], "given");
	given_up = rosters_get(&rosters, names, 1);
	for (size_t i = 2; i < 2 * ROSTERS_KEPT; i++) {
		snprintf(texts[i], sizeof(texts[i]), "vm%zu", i);
		names[0] = texts[i];
		get(&rosters, names, 1);
		names[0] = texts[0];
		assert_ptr_equal(get(&rosters, names, 1), kept);
	}
	names[0] = texts[1];
	assert_ptr_not_equal(get(&rosters, names, 1), given_up);
	assert_string_equal(roster_texts(given_up)[0], "given"); /* it is held here */
	roster_release(given_up);
	rosters_clear(&rosters);
	assert_string_equal(roster_texts(kept)[0], "kept");
	roster_release(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_name_is_there_once_and_in_order),
	        cmocka_unit_test(it_keeps_names_of_its_own),
	        cmocka_unit_test(those_of_a_vm_are_found),
	        cmocka_unit_test(the_same_names_share_one),
	        cmocka_unit_test(the_longest_unused_is_given_up),
	};

	return cmocka_run_group_tests_name("notifier_roster", tests, NULL, NULL);
}
