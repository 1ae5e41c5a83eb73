/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "simfabric/mkey.h"
#include "simfabric/topology.h"

enum { KEY = 0x4711, WRONG = 0x4712, LEASE_S = 3 };

static const uint64_t second = 1000000000;
static struct port port;
static struct fabric fabric = {.ports = &port};

static void set_key(uint8_t protect, uint16_t lease_s)
{
	memset(&port, 0, sizeof(port));
	port_info_set_mkey(port.info, KEY);
	port_info_set_mkey_protect(port.info, protect);
	port_info_set_mkey_lease_s(port.info, lease_s);
}

static void protection_decides_who_may_get(void **state)
{
	static const struct {
		uint8_t protect;
		bool is_get;
		uint64_t key;
		enum mkey_verdict verdict;
	} rows[] = {
	        {0, true, WRONG, MKEY_PASS},
	        {0, false, WRONG, MKEY_REFUSE},
	        {0, false, KEY, MKEY_PASS},
	        {1, true, WRONG, MKEY_PASS_HIDDEN},
	        {1, true, KEY, MKEY_PASS},
	        {1, false, WRONG, MKEY_REFUSE},
	        {2, true, WRONG, MKEY_REFUSE},
	        {2, true, KEY, MKEY_PASS},
	        {3, true, WRONG, MKEY_REFUSE},
	        {3, false, 0, MKEY_REFUSE},
	        {3, false, KEY, MKEY_PASS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set_key(rows[i].protect, 0);
		assert_int_equal(
		        mkey_check(&fabric, 0, rows[i].is_get, rows[i].key, 0), rows[i].verdict);
		assert_int_equal(
		        port_info_mkey_violations(port.info), rows[i].verdict == MKEY_REFUSE);
	}
}

static void no_key_lets_everybody_in(void **state)
{
	memset(&port, 0, sizeof(port));
	port_info_set_mkey_protect(port.info, 3);
	assert_int_equal(mkey_check(&fabric, 0, false, WRONG, 0), MKEY_PASS);
}

static void lease_that_runs_out_takes_the_protection_away(void **state)
{
	set_key(3, LEASE_S);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 10 * second), MKEY_REFUSE);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 12 * second), MKEY_REFUSE);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 13 * second), MKEY_PASS);
	assert_int_equal(port_info_mkey_protect(port.info), 0);
	assert_int_equal(port_info_mkey(port.info), KEY);
}

static void right_key_ends_the_lease(void **state)
{
	set_key(3, LEASE_S);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 10 * second), MKEY_REFUSE);
	assert_int_equal(mkey_check(&fabric, 0, false, KEY, 11 * second), MKEY_PASS);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 14 * second), MKEY_REFUSE);
}

static void lease_of_zero_never_ends(void **state)
{
	set_key(2, 0);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, second), MKEY_REFUSE);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 1000000 * second), MKEY_REFUSE);
}

static void violations_stop_at_their_largest_value(void **state)
{
	set_key(2, 0);
	port_info_set_mkey_violations(port.info, 0xffff);
	assert_int_equal(mkey_check(&fabric, 0, true, WRONG, 0), MKEY_REFUSE);
	assert_int_equal(port_info_mkey_violations(port.info), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(protection_decides_who_may_get),
	        cmocka_unit_test(no_key_lets_everybody_in),
	        cmocka_unit_test(lease_that_runs_out_takes_the_protection_away),
	        cmocka_unit_test(right_key_ends_the_lease),
	        cmocka_unit_test(lease_of_zero_never_ends),
	        cmocka_unit_test(violations_stop_at_their_largest_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
