/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/name.h"

static void letters_digits_and_a_few_signs_are_fit(void **state)
{
	static const char *const fit[] = {
	        "a", "7", "vm1", "VM-1", "rack2:hyp3", "a.b_c@d", "_", "-", ":", "@", "a.", "a..b"};

	for (size_t i = 0; i < ARRAY_SIZE(fit); i++)
		if (!name_is_fit(fit[i]))
			fail_msg("'%s'", fit[i]);
}

static void what_leads_out_of_a_folder_or_a_path_is_not(void **state)
{
	static const char *const unfit[] = {"", ".", "..", ".vm1", "/", "vm1/12", "../vm1", "a b",
	        " a", "a\n", "a\t", "a?b", "a#b", "a%41", "a&b", "a=b", "a\\b", "a\"b", "a,b",
	        "a;b", "a+b", "a~b", "a*b", "\x7f", "\xe4", "\xc3\xa4"};

	for (size_t i = 0; i < ARRAY_SIZE(unfit); i++)
		if (name_is_fit(unfit[i]))
			fail_msg("'%s'", unfit[i]);
}

static void each_character_alone_is_fit_or_not(void **state)
{
	static const char signs[] = "_-:@";

	for (int c = 1; c < 256; c++) {
		char name[] = {(char)c, 0};
		bool fit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		           (c >= 'a' && c <= 'z') || strchr(signs, c);

		if (name_is_fit(name) != fit)
			fail_msg("character %d", c);
	}
}

static void sixty_four_characters_are_the_most(void **state)
{
	char name[66];

	memset(name, 'a', 65);
	name[65] = 0;
	assert_false(name_is_fit(name));
	name[64] = 0;
	assert_int_equal(strlen(name), NAME_MOST);
	assert_true(name_is_fit(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(letters_digits_and_a_few_signs_are_fit),
	        cmocka_unit_test(what_leads_out_of_a_folder_or_a_path_is_not),
	        cmocka_unit_test(each_character_alone_is_fit_or_not),
	        cmocka_unit_test(sixty_four_characters_are_the_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
