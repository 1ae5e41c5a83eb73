/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who polls in vain for long sleeps, and not less the longer it does. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simfabric/poll_nap.h"

static void it_is_due_now_and_then(void **state)
{
	assert_false(poll_nap_is_due(NAP_AFTER - 1));
	assert_true(poll_nap_is_due(NAP_AFTER));
	assert_false(poll_nap_is_due(NAP_AFTER + 1));
	assert_true(poll_nap_is_due(2 * NAP_AFTER));
}

static void each_is_longer_up_to_the_longest(void **state)
{
	for (unsigned naps = 1; naps <= LONGEST_NAP; naps++)
		assert_int_equal(poll_nap_ns(naps * NAP_AFTER), naps * NAP_NS);
	assert_int_equal(poll_nap_ns((LONGEST_NAP + 1) * NAP_AFTER), LONGEST_NAP * NAP_NS);
}

/* Hours of polling, and where its time in nanoseconds would not fit into 32 bits. */
static void the_longest_stays_the_longest(void **state)
{
	const unsigned polls[] = {UINT_MAX / NAP_NS * NAP_AFTER,
	        (UINT_MAX / NAP_NS + 1) * NAP_AFTER, INT_MAX, UINT_MAX};

	for (size_t i = 0; i < sizeof(polls) / sizeof(polls[0]); i++)
		assert_int_equal(poll_nap_ns(polls[i]), LONGEST_NAP * NAP_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(it_is_due_now_and_then),
	        cmocka_unit_test(each_is_longer_up_to_the_longest),
	        cmocka_unit_test(the_longest_stays_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
