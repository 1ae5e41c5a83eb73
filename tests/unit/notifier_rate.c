/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Who says much is listened to later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/link/rate.h"
#include "notifier/link/refusal_log.h"
#include "notifier/link/shared_rates.h"

enum { PER_S = 100, AT_ONCE = 50, NOW_MS = 5000 };

static unsigned take(struct rate *rate, unsigned count, uint64_t now_ms)
{
	return rate_take(rate, PER_S, AT_ONCE, count, now_ms);
}

static void so_many_may_be_said_at_once(void **state)
{
	struct rate rate = {0};

	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_int_equal(take(&rate, 1, NOW_MS), 0);
	assert_int_equal(take(&rate, 1, NOW_MS), 1000 / PER_S);
}

static void silence_is_saved_up_to_that(void **state)
{
	struct rate rate = {0};

	assert_int_equal(take(&rate, AT_ONCE, NOW_MS), 0);
	assert_int_equal(take(&rate, AT_ONCE, NOW_MS + 500), 0);
	assert_int_equal(take(&rate, AT_ONCE, NOW_MS + 60000), 0);
	assert_int_equal(take(&rate, 1, NOW_MS + 60000), 1000 / PER_S);
}

static void steady_talk_is_never_held_up(void **state)
{
	struct rate rate = {0};

	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(take(&rate, 1, NOW_MS + i * 1000 / PER_S), 0);
}

static void more_than_that_takes_its_time_in_all(void **state)
{
	struct rate rate = {0};
	uint64_t now_ms = NOW_MS;

	for (unsigned i = 0; i < 1000; i++)
		now_ms += take(&rate, 1, now_ms);
	assert_in_range(now_ms - NOW_MS, (1000 - AT_ONCE) * 1000 / PER_S - 1000 / PER_S,
	        (1000 - AT_ONCE) * 1000 / PER_S + 1000 / PER_S);
}

static void pause_has_an_end_and_the_rest_is_owed(void **state)
{
	struct rate rate = {0};

	assert_int_equal(take(&rate, 1000, NOW_MS), RATE_PAUSE_MOST_MS);
	assert_int_equal(take(&rate, 0, NOW_MS + RATE_PAUSE_MOST_MS), RATE_PAUSE_MOST_MS);
	assert_int_equal(take(&rate, 0, NOW_MS + 9500), 0);
}

static void without_a_limit_there_is_none(void **state)
{
	struct rate rate = {0};

	assert_int_equal(rate_take(&rate, 0, 0, 1000000, NOW_MS), 0);
}

/* By name, until it is paid. */
static void what_is_owed_outlives_who_owes(void **state)
{
	struct shared_rates *rates = shared_rates_create(PER_S, AT_ONCE);
	struct shared_rate *first = shared_rate_hold(rates, "vm1", NOW_MS), *again, *other;

	assert_int_equal(take(&first->rate, 2 * AT_ONCE, NOW_MS), 500);
	shared_rate_release(first);
	other = shared_rate_hold(rates, "vm2", NOW_MS + 999);
	assert_int_equal(take(&other->rate, AT_ONCE, NOW_MS + 999), 0);
	again = shared_rate_hold(rates, "vm1", NOW_MS);
	assert_int_equal(take(&again->rate, 0, NOW_MS), 500);
	shared_rate_release(again);
	shared_rate_release(other);
	/* Whoever has paid is forgotten with the next that is new. */
	again = shared_rate_hold(rates, "vm3", NOW_MS + 60000);
	assert_null(again->next);
	shared_rate_release(again);
	shared_rates_destroy(rates);
}

/* However many have been here. */
static void who_owes_nothing_and_has_gone_is_forgotten(void **state)
{
	struct shared_rates *rates = shared_rates_create(PER_S, AT_ONCE);
	struct shared_rate *stays[100], *comes;
	char name[16];

	for (unsigned i = 0; i < ARRAY_SIZE(stays); i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		stays[i] = shared_rate_hold(rates, name, NOW_MS);
	}
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "other%u", i);
		comes = shared_rate_hold(rates, name, NOW_MS + i);
		assert_int_equal(comes->holders, 1);
		shared_rate_release(comes);
		assert_true(rates->count <= 2 * ARRAY_SIZE(stays));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(stays); i++) {
		assert_ptr_equal(shared_rate_hold(rates, stays[i]->name, NOW_MS), stays[i]);
		assert_int_equal(stays[i]->holders, 2);
	}
	shared_rates_destroy(rates);
}

/* Takes what it gets, 1 MiB at a time; how much. */
static unsigned memory_taken(struct shared_rates *rates, struct shared_rate *rate, unsigned most)
{
	const size_t step = 1 << 20;
	unsigned taken = 0;

	for (; taken < most && shared_rate_has_room(rates, rate, step); taken++)
		shared_rate_held(rates, rate, rate->held, rate->held + step);
	return taken;
}

static void memory_of_all_together_has_a_bound_that_leaves_each_a_little(void **state)
{
	const struct {
		const char *name;
		unsigned wants, gets;
	} rows[] = {
	        {"vm1", 1000, 512}, /* as much as it may */
	        {"vm2", 1000, 512},
	        {"vm3", 300, 300},
	        {"vm4", 1000, 362}, /* half of what is left */
	        {"vm5", 1000, 181},
	        {"vm6", 1000, 91},
	        {"vm7", 1000, 45},
	        {"vm8", 1000, 23},
	        {"vm9", 1000, 16},
	        {"vm10", 1000, 16},
	};
	struct shared_rates *rates = shared_rates_create(0, 0);
	struct shared_rate *held[sizeof(rows) / sizeof(*rows)];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		held[i] = shared_rate_hold(rates, rows[i].name, NOW_MS);
		assert_int_equal(memory_taken(rates, held[i], rows[i].wants), rows[i].gets);
	}
	shared_rate_held(rates, held[0], held[0]->held, 0);
	assert_true(memory_taken(rates, held[9], 1000) > 100);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		shared_rate_held(rates, held[i], held[i]->held, 0);
		shared_rate_release(held[i]);
	}
	assert_int_equal(rates->held, 0);
	shared_rates_destroy(rates);
}

/* A flood of one peer's lines hides nobody else's, and how many were left out is said. */
static void lines_about_one_peer_are_few_and_the_rest_is_counted(void **state)
{
	struct refusal_log log = {0};
	unsigned said = 0;
	uint32_t unsaid, other;

	for (unsigned i = 0; i < 1000; i++)
		said += refusal_may_be_said(&log, "vm1", NOW_MS, &unsaid);
	assert_int_equal(said, REFUSALS_AT_ONCE);
	assert_true(refusal_may_be_said(&log, "vm2", NOW_MS, &other));
	assert_int_equal(other, 0);
	assert_false(refusal_may_be_said(&log, "vm1", NOW_MS + 999, &unsaid));
	assert_true(refusal_may_be_said(&log, "vm1", NOW_MS + 1000, &unsaid));
	assert_int_equal(unsaid, 1000 - REFUSALS_AT_ONCE + 1);
	assert_false(refusal_may_be_said(&log, "vm1", NOW_MS + 1000, &unsaid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(so_many_may_be_said_at_once),
	        cmocka_unit_test(silence_is_saved_up_to_that),
	        cmocka_unit_test(steady_talk_is_never_held_up),
	        cmocka_unit_test(more_than_that_takes_its_time_in_all),
	        cmocka_unit_test(pause_has_an_end_and_the_rest_is_owed),
	        cmocka_unit_test(without_a_limit_there_is_none),
	        cmocka_unit_test(what_is_owed_outlives_who_owes),
	        cmocka_unit_test(who_owes_nothing_and_has_gone_is_forgotten),
	        cmocka_unit_test(memory_of_all_together_has_a_bound_that_leaves_each_a_little),
	        cmocka_unit_test(lines_about_one_peer_are_few_and_the_rest_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
