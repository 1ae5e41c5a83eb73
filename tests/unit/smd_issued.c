/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The list of what a CA has issued. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "sm-side/cli/issued.h"

static const char list[] = "0a 100 0 sm/smd\n"
                           "0b 100 0 host/hyp1\n"
                           "0c 200 50 host/hyp2\n"
                           "0d 200 0 host/hyp1\n";

static void read_list(struct issued *issued, const char *text)
{
	size_t line;

	*issued = (struct issued){0};
	assert_int_equal(issued_parse(issued, text, &line), 0);
}

static void a_list_is_written_as_it_was_read(void **state)
{
	CLEANUP_FREE char *text = NULL;
	struct issued issued;
	size_t length;

	read_list(&issued, list);
	assert_int_equal(issued.count, 4);
	assert_string_equal(issued.rows[0].identity.name, "smd");
	assert_int_equal(issued.rows[2].until, 200);
	assert_int_equal(issued.rows[2].revoked, 50);
	text = issued_write(&issued, &length);
	assert_int_equal(length, strlen(list));
	assert_string_equal(text, list);
	issued_clear(&issued);
}

static void an_empty_list_is_an_empty_text(void **state)
{
	struct issued issued = {0};
	size_t length = 1;
	CLEANUP_FREE char *text = issued_write(&issued, &length);

	assert_int_equal(length, 0);
	assert_string_equal(text, "");
}

static void all_of_a_name_are_revoked_or_one_by_its_serial(void **state)
{
	struct peer_identity hyp1 = {PEER_HOST, "hyp1"};
	struct issued issued;

	read_list(&issued, list);
	assert_int_equal(issued_revoke(&issued, &hyp1, NULL, 70), 2);
	assert_int_equal(issued.rows[0].revoked, 0);
	assert_int_equal(issued.rows[1].revoked, 70);
	assert_int_equal(issued.rows[3].revoked, 70);
	assert_int_equal(issued_revoke(&issued, &hyp1, NULL, 80), 0);
	assert_int_equal(issued_revoke(&issued, NULL, "0c", 80), 0);
	assert_int_equal(issued.rows[2].revoked, 50);
	assert_int_equal(issued_revoke(&issued, NULL, "0a", 80), 1);
	assert_int_equal(issued.rows[0].revoked, 80);
	issued_clear(&issued);
}

static void a_line_that_is_none_is_named(void **state)
{
	static const char *const bad[] = {"0b 100 0", "0b 100 0 guest/vm1", "xy 100 0 host/hyp1",
	        "0b soon 0 host/hyp1", "0b 100 0 host/hyp1 more",
	        "0123456789abcdef0123456789abcdef0 100 0 host/hyp1"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[128] = "0a 100 0 sm/smd\n";
		struct issued issued = {0};
		size_t line;

		strcat(text, bad[i]);
		if (issued_parse(&issued, text, &line) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(line, 2);
		issued_clear(&issued);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_list_is_written_as_it_was_read),
	        cmocka_unit_test(an_empty_list_is_an_empty_text),
	        cmocka_unit_test(all_of_a_name_are_revoked_or_one_by_its_serial),
	        cmocka_unit_test(a_line_that_is_none_is_named),
	};

	return cmocka_run_group_tests_name("smd_issued", tests, NULL, NULL);
}
