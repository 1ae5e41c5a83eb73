/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The control to nobody_slips_through_a_closing_gate: the same gate built without its barrier lets
 * somebody slip through. If it did not, that test would prove nothing. Under ThreadSanitizer the
 * gate is compiled in the form that needs no barrier.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TETHER_GATE_WITHOUT_MEMBARRIER
#include "preload/gate.c" /* NOLINT(bugprone-suspicious-include): another build of the same room */
#include "tests/unit/shim_gate_race.h"

#ifdef TETHER_TSAN
static void the_sequentially_consistent_form_needs_no_barrier(void **state)
{
	assert_int_equal(gate_race(GATE_RACE_PAUSES), 0);
}
#else
/* Who may not run before all others waits for two processors at the same time on a busy machine. */
static void without_the_barrier_somebody_slips(void **state)
{
	unsigned slips = 0;

	for (int tries = 0; tries < 1000 && !slips; tries++)
		slips = gate_race(GATE_RACE_PAUSES);
	assert_true(slips > 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef TETHER_TSAN
	        cmocka_unit_test(the_sequentially_consistent_form_needs_no_barrier),
#else
	        cmocka_unit_test(without_the_barrier_somebody_slips),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
