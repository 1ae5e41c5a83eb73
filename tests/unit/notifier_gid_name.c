/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* GIDs by the names that stand for them where LIDs do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/gid_name.h"
#include "tests/unit/gid_twins.h"

enum { MANY = 20000 };

static const uint8_t *gid_of(const char *text)
{
	static uint8_t gid[GID_BYTES];

	assert_int_equal(inet_pton(AF_INET6, text, gid), 1);
	return gid;
}

/* Builds that were made years apart have to agree. */
static void a_gid_has_the_name_that_it_has_for_good(void **state)
{
	static const struct {
		const char *gid;
		uint32_t name;
	} rows[] = {
	        {"::", 0},
	        {"::1", 0xb4c2cb2cu},
	        {"fe80::5054:ff:fe12:3456", 0x90a57474u},
	        {"::ffff:192.168.7.1", 0x8795cef2u},
	        {"fe80::", 0xcfcd80d9u},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (gid_name(gid_of(rows[i].gid)) != rows[i].name)
			fail_msg("%s is 0x%x", rows[i].gid, gid_name(gid_of(rows[i].gid)));
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Neighbours differ in a few bits of either half. */
static void names_are_above_lids_and_far_apart(void **state)
{
	CLEANUP_FREE uint32_t *names = calloc(2 * MANY, sizeof(*names));
	unsigned same = 0;

	for (uint32_t i = 0; i < 2 * MANY; i++) {
		uint8_t gid[GID_BYTES] = {0xfe, 0x80};
		uint32_t number = htonl(i / 2 + 1);

		memcpy(gid + (i % 2 ? 4 : 12), &number, sizeof(number));
		names[i] = gid_name(gid);
		assert_true(is_gid_name(names[i]));
	}
	qsort(names, 2 * MANY, sizeof(*names), by_value);
	for (size_t i = 1; i < 2 * MANY; i++)
		same += names[i] == names[i - 1];
	assert_true(same <= 4); /* of 31 bits, 0.4 are to be expected */
	assert_false(is_gid_name(LID_HIGHEST));
}

static void an_address_is_a_lid_or_the_name_of_its_gid(void **state)
{
	const uint8_t *gid = gid_of("fe80::1");
	uint32_t name = gid_name(gid);

	assert_true(gid_name_fits(0, NULL, 0));
	assert_true(gid_name_fits(LID_HIGHEST, NULL, 0));
	assert_true(gid_name_fits(7, gid, GID_BYTES));
	assert_true(gid_name_fits(name, gid, GID_BYTES));
	assert_false(gid_name_fits(name, NULL, 0));
	assert_false(gid_name_fits(name, gid, GID_BYTES - 1));
	assert_false(gid_name_fits(name ^ 1, gid, GID_BYTES));
	assert_false(gid_name_fits(LID_HIGHEST + 1, gid, GID_BYTES));
}

static void a_vm_has_an_address_of_its_own(void **state)
{
	uint8_t one[GID_BYTES], same[GID_BYTES], other[GID_BYTES];
	uint32_t name = gid_of_vm("vm1", one);

	assert_int_equal(name, gid_name(one));
	assert_int_equal(gid_of_vm("vm1", same), name);
	assert_memory_equal(one, same, GID_BYTES);
	assert_int_not_equal(gid_of_vm("vm2", other), name);
	assert_memory_equal(one, gid_of("fd74:6574:6865:72ff::"), 8);
	assert_memory_equal(one, gid_of("fd74:6574:6865:72ff:d710:2b01:84fd:91eb"), GID_BYTES);
}

static void a_name_leads_to_its_gid_alone(void **state)
{
	Tether__GidRows rows = TETHER__GID_ROWS__INIT;
	uint8_t gid[GID_BYTES], kept[GID_BYTES] = {7};
	struct gid_row row;
	size_t count;

	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(gid_rows_add(&rows, gid_of("fe80::1")), 0);
		assert_int_equal(gid_rows_add(&rows, gid_of("::ffff:10.0.0.1")), 0);
	}
	assert_int_equal(gid_rows_count(&rows, &count), 0);
	assert_int_equal(count, 2);
	assert_true(gid_rows_find(&rows, gid_name(gid_of("::ffff:10.0.0.1")), gid));
	assert_memory_equal(gid, gid_of("::ffff:10.0.0.1"), GID_BYTES);
	assert_false(gid_rows_find(&rows, gid_name(gid_of("fe80::2")), kept));
	assert_false(gid_rows_find(NULL, gid_name(gid_of("fe80::1")), kept));
	assert_int_equal(kept[0], 7);

	/* A row that is called what it is not. */
	row = gid_rows_get(&rows, 0);
	rows.gid_3[0] ^= 1;
	assert_int_equal(gid_rows_add(&rows, gid_of("fe80::1")), -EEXIST);
	assert_false(gid_rows_find(&rows, row.name, kept));
	rows_clear(&rows.base);
}

static void of_two_gids_with_one_name_neither_is_taken(void **state)
{
	Tether__GidRows rows = TETHER__GID_ROWS__INIT, more = TETHER__GID_ROWS__INIT;
	uint8_t one[GID_BYTES], twin[GID_BYTES], gid[GID_BYTES];
	size_t count;

	assert_true(gid_twins(one, twin));
	assert_int_equal(gid_rows_add(&rows, one), 0);
	assert_int_equal(gid_rows_add(&rows, twin), -EEXIST);
	assert_int_equal(gid_rows_add(&more, twin), 0);
	assert_int_equal(gid_rows_add(&more, gid_of("fe80::1")), 0);
	for (int twice = 0; twice < 2; twice++)
		assert_int_equal(rows_concatenate(&rows.base, &more.base), 0);
	assert_int_equal(gid_rows_compact(&rows), 0);
	assert_int_equal(gid_rows_count(&rows, &count), 0);
	assert_int_equal(count, 3);
	assert_false(gid_rows_find(&rows, gid_name(one), gid));
	assert_true(gid_rows_find(&rows, gid_name(gid_of("fe80::1")), gid));
	rows_clear(&rows.base);
	rows_clear(&more.base);
}

static void what_stands_for_no_gid_leads_nowhere(void **state)
{
	Tether__GidRows rows = TETHER__GID_ROWS__INIT;
	struct gid_row none = {0}, lid = {.name = 7, .gid_3 = 7};
	uint8_t gid[GID_BYTES];

	assert_int_equal(gid_rows_append(&rows, &none), 0);
	assert_int_equal(gid_rows_append(&rows, &lid), 0);
	assert_false(gid_rows_find(&rows, 0, gid));
	assert_false(gid_rows_find(&rows, 7, gid));
	rows.n_name--; /* columns that differ */
	assert_int_equal(gid_rows_add(&rows, gid_of("fe80::1")), -EBADMSG);
	assert_false(gid_rows_find(&rows, 7, gid));
	rows.n_name++;
	rows_clear(&rows.base);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_gid_has_the_name_that_it_has_for_good),
	        cmocka_unit_test(names_are_above_lids_and_far_apart),
	        cmocka_unit_test(an_address_is_a_lid_or_the_name_of_its_gid),
	        cmocka_unit_test(a_vm_has_an_address_of_its_own),
	        cmocka_unit_test(a_name_leads_to_its_gid_alone),
	        cmocka_unit_test(of_two_gids_with_one_name_neither_is_taken),
	        cmocka_unit_test(what_stands_for_no_gid_leads_nowhere),
	};

	return cmocka_run_group_tests_name("gid_name", tests, NULL, NULL);
}
