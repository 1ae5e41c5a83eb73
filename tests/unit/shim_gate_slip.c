/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The control to nobody_slips_through_a_closing_gate: the same gate built without its barrier lets
 * somebody slip through. If it did not, that test would prove nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TETHER_GATE_WITHOUT_MEMBARRIER
#include "preload/gate.c"
#include "tests/unit/shim_gate_race.h"

static void without_the_barrier_somebody_slips(void **state)
{
	unsigned slips = 0;

#ifdef TETHER_TSAN
	skip(); /* sequentially consistent there: needs no barrier */
#endif
	for (int tries = 0; tries < 20 && !slips; tries++)
		slips = gate_race(GATE_RACE_PAUSES);
	assert_true(slips > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(without_the_barrier_somebody_slips)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
