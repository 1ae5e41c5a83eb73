/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Routes that change lead nowhere before they lead elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sm-side/plan/order.h"
#include "unit/plan_prefixes.h"
#include "unit/plan_order_cases.h"

static bool lid_is_dropped(uint16_t lid)
{
	for (unsigned i = 0; i < plan.transfer_count; i++)
		if (transfers[i].identity.lid == lid)
			return transfers[i].in_use;
	return false;
}

static void watch_what_has_traffic(void)
{
	for (unsigned i = 0; i < prefixes.lid_count; i++) {
		prefixes.lids[i].is_watched = lid_is_dropped(prefixes.lids[i].lid);
		prefixes.lids[i].may_be_dropped = true;
	}
}

static void dropped_first_nothing_goes_astray(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;

		case_make(seed, PLAN_DROP_FIRST);
		watch_what_has_traffic();
		sets_find(&before, &after, &sets);
		assert_true(sets.wave_count <= 2);
		assert_int_equal(sets.pause_after_wave_0, sets.wave_count == 2);
		assert_holds(&sets);
		plan_sets_clear(&sets);
	}
}

/* After the pause no switch that changes for a LID with traffic has its old entry any more, so
 * that old and new ones never stand beside each other. */
static void after_the_pause_no_old_entry_is_left(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		struct plan_sets sets;
		uint32_t count;

		case_make(seed, PLAN_DROP_FIRST);
		sets_find(&before, &after, &sets);
		for (uint32_t i = 0; i < sets.change_count && sets.wave_count == 2; i++)
			if (sets.changes[i].wave == 0)
				topology_write(&prefixes.at, sets.changes[i].switch_guid,
				        sets.changes[i].block, sets.changes[i].after);
		count = entries_find(&before, &after);
		for (uint32_t i = 0; i < count && sets.wave_count == 2; i++)
			if (lid_is_dropped(entries[i].lid))
				assert_int_equal(
				        prefixes.at.switches[entries[i].sw].lft[entries[i].lid],
				        LFT_NO_PORT);
		plan_sets_clear(&sets);
	}
}

static void half_of_a_drop_goes_on_or_back(void **state)
{
	for (unsigned seed = 0; seed < cases(); seed++) {
		case_make(seed, PLAN_DROP_FIRST);
		watch_what_has_traffic();
		assert_half_goes_on_or_back(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dropped_first_nothing_goes_astray),
	        cmocka_unit_test(after_the_pause_no_old_entry_is_left),
	        cmocka_unit_test(half_of_a_drop_goes_on_or_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
