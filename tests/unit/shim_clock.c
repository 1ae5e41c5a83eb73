/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* One clock out of several devices': preload/shown_clock.c by numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "preload/shown_clock.h"

#define MS(count) ((uint64_t)(count)*1000000)
#define DAYS(n)   ((uint64_t)(n)*86400 * 1000000000)

static const struct clock_rate wide = {INT64_MAX, 156250}, narrow = {(1ull << 48) - 1, 427000},
                               whole = {UINT64_MAX, 1000000};

static uint64_t shown(const struct shown_clock *clock, uint64_t reading, uint64_t host_ns)
{
	return shown_clock_show(clock, shown_clock_of(clock, reading, host_ns));
}

static void the_first_device_is_shown_as_it_is(void **state)
{
	const struct clock_rate rates[] = {wide, narrow, whole};

	for (size_t i = 0; i < 3; i++) {
		struct shown_clock clock = {0};
		uint64_t begin = rates[i].mask - 5;

		shown_clock_begin(&clock, &rates[i], begin, MS(7));
		for (uint64_t ticks = 0; ticks < 10; ticks++) {
			uint64_t reading = (begin + ticks) & rates[i].mask;

			assert_int_equal(shown(&clock, reading, MS(7)), reading);
		}
		/* Also where the host's clock has stood still, or run ahead. */
		assert_int_equal(shown(&clock, 12345678, MS(7)), 12345678);
		assert_int_equal(shown(&clock, 12345678, DAYS(2)), 12345678);
	}
}

static void the_next_one_goes_on_at_the_rate_of_the_first(void **state)
{
	struct shown_clock clock = {0};
	uint64_t last = 5000;

	shown_clock_begin(&clock, &wide, 1000, MS(1));
	shown_clock_depart(&clock, &last, MS(2));
	assert_int_equal(shown_clock_without_device(&clock, MS(2)), 5000);
	assert_int_equal(shown_clock_without_device(&clock, MS(12)), 5000 + 10 * 156250);
	shown_clock_arrive(&clock, &whole, 77, MS(102));
	assert_int_equal(shown(&clock, 77, MS(102)), 5000 + 100 * 156250);
	assert_int_equal(shown(&clock, 77 + 1000000, MS(103)), 5000 + 101 * 156250);
	/* A stamp from before its first reading. */
	assert_int_equal(shown(&clock, 70, MS(103)), 5000 + 100 * 156250);
}

static void it_is_as_wide_as_the_first(void **state)
{
	struct shown_clock clock = {0};
	uint64_t last = narrow.mask;

	shown_clock_begin(&clock, &narrow, narrow.mask - 1, MS(1));
	shown_clock_depart(&clock, &last, MS(1));
	shown_clock_arrive(&clock, &whole, UINT64_MAX, MS(2));
	assert_int_equal(shown(&clock, UINT64_MAX, MS(2)), 427000 - 1);
	/* That of the device wraps unseen. */
	assert_int_equal(shown(&clock, 999999, MS(3)), 2 * 427000 - 1);
	/* So it goes on being compared, with what was counted before it wrapped. */
	assert_true(shown_clock_of(&clock, 999999, MS(3)) > narrow.mask);
}

static void a_narrow_one_may_wrap_between_two_looks(void **state)
{
	struct shown_clock clock = {0};
	uint64_t last = 0, day_ticks = DAYS(1) / 1000000 * narrow.khz;

	shown_clock_begin(&clock, &wide, 0, 0);
	shown_clock_depart(&clock, &last, 0);
	shown_clock_arrive(&clock, &narrow, 1000, 0);
	for (uint64_t days = 0; days < 100; days += 10) {
		uint64_t reading = (1000 + days * day_ticks) & narrow.mask;
		uint64_t right = DAYS(days) / 1000000 * wide.khz;

		assert_int_equal(shown(&clock, reading, DAYS(days)), right);
		/* The host's clock does not run as fast, or its guest was paused. */
		assert_int_equal(shown(&clock, reading, DAYS(days) + DAYS(3)), right);
		if (days)
			assert_int_equal(shown(&clock, reading, DAYS(days) - DAYS(3)), right);
	}
}

static void ticks_of_no_device_do_not_count(void **state)
{
	struct shown_clock clock = {0};

	shown_clock_begin(&clock, &wide, 1000, MS(1));
	shown_clock_depart(&clock, NULL, MS(11));
	assert_int_equal(shown(&clock, 77, MS(21)), 1000 + 20 * 156250);
}

static void a_device_that_cannot_be_read_is_left_by_the_hosts_clock(void **state)
{
	struct shown_clock clock = {0};

	shown_clock_begin(&clock, &wide, 1000, MS(1));
	shown_clock_depart(&clock, NULL, MS(11));
	assert_int_equal(shown_clock_without_device(&clock, MS(11)), 1000 + 10 * 156250);
	/* Once. */
	shown_clock_depart(&clock, NULL, MS(99));
	assert_int_equal(shown_clock_without_device(&clock, MS(11)), 1000 + 10 * 156250);
}

/* Devices of all kinds one after the other: never back, and as much as has passed. */
static void it_never_goes_back(void **state)
{
	const struct clock_rate rates[] = {wide, narrow, whole};
	uint64_t host_ns = MS(5), begin_ns = host_ns, counted, first;
	struct shown_clock clock = {0};
	unsigned seed = 1;

	shown_clock_begin(&clock, &narrow, narrow.mask - 77, host_ns);
	first = counted = shown_clock_of(&clock, narrow.mask - 77, host_ns);
	for (int moves = 0; moves < 200; moves++) {
		const struct clock_rate *rate = &rates[rand_r(&seed) % 3];
		uint64_t at = (uint64_t)rand_r(&seed) << 40, from_ns, reading, now, right;

		shown_clock_depart(&clock, NULL, host_ns);
		host_ns += (uint64_t)rand_r(&seed) % MS(900);
		shown_clock_arrive(&clock, rate, at & rate->mask, host_ns);
		from_ns = host_ns;
		for (int reads = 0; reads < 20; reads++) {
			host_ns += (uint64_t)rand_r(&seed) % MS(3);
			reading = at + (host_ns - from_ns) * rate->khz / 1000000;
			now = shown_clock_of(&clock, reading & rate->mask, host_ns);
			assert_true(now >= counted);
			counted = now;
		}
		right = (uint64_t)((unsigned __int128)(host_ns - begin_ns) * narrow.khz / 1000000);
		/* A tick or two is lost to rounding each time. */
		assert_in_range(counted - first, right - 3 * (uint64_t)(moves + 1), right);
	}
}

static void what_is_no_clock_is_not_counted_with(void **state)
{
	const struct clock_rate unsound[] = {{0, 156250}, {INT64_MAX, 0}, {0xf0, 156250}, {0, 0}};

	for (size_t i = 0; i < sizeof(unsound) / sizeof(*unsound); i++)
		assert_false(clock_rate_is_sound(&unsound[i]));
	assert_true(clock_rate_is_sound(&wide));
	assert_true(clock_rate_is_sound(&narrow));
	assert_true(clock_rate_is_sound(&whole));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_first_device_is_shown_as_it_is),
	        cmocka_unit_test(the_next_one_goes_on_at_the_rate_of_the_first),
	        cmocka_unit_test(it_is_as_wide_as_the_first),
	        cmocka_unit_test(a_narrow_one_may_wrap_between_two_looks),
	        cmocka_unit_test(ticks_of_no_device_do_not_count),
	        cmocka_unit_test(a_device_that_cannot_be_read_is_left_by_the_hosts_clock),
	        cmocka_unit_test(it_never_goes_back),
	        cmocka_unit_test(what_is_no_clock_is_not_counted_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
