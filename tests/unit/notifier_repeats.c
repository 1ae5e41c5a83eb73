/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is lost on a link is said again, in order and once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/notifier_lossy_wire.h"

static void nothing_is_said_beside_while_nothing_is_lost(void **state)
{
	wire_make(0, 0, 1);
	for (int i = 0; i < 1000; i++)
		exchange();
	assert_int_equal(wire.a.said, 1000);
	assert_int_equal(wire.b.said, 1000);
	wire_end();
}

/* Of the last frame nobody else speaks: one question, one answer, and silence. */
static void last_word_is_asked_about_once(void **state)
{
	wire_make(0, 0, 1);
	exchange();
	for (int i = 0; i < LONG_MS; i++)
		turn();
	assert_int_equal(wire.b.said, 2);
	assert_int_equal(wire.b.asked, 1);
	assert_int_equal(wire.a.said, 2);
	wire_end();
}

static void every_frame_is_heard_in_order_and_once(void **state)
{
	static const unsigned losses[] = {10, 30, 50};
	static const unsigned beats[] = {0, BEAT_MS};

	for (size_t i = 0; i < ARRAY_SIZE(losses) * ARRAY_SIZE(beats) * 20; i++) {
		wire_make(beats[i % 2], losses[i / 2 % 3], (uint32_t)i);
		for (int round = 0; round < 50; round++) {
			for (uint32_t burst = chance(20); burst; burst--)
				give(&wire.a);
			for (uint32_t burst = chance(20); burst; burst--)
				give(&wire.b);
			if (chance(2))
				until_all_are_heard();
		}
		until_all_are_heard();
		assert_true(wire.losses > 50);
		wire_end();
	}
}

/* Each of a long row, and the deadlines of the steps leave time for it. */
static void a_tenth_is_made_good_within_a_steps_deadline(void **state)
{
	uint64_t longest_ms = 0;

	for (uint32_t seed = 1; seed <= 3000; seed++) {
		uint64_t took_ms;

		wire_make(seed % 2 ? 0 : BEAT_MS, 10, seed);
		give(&wire.a);
		took_ms = until_all_are_heard();
		give(&wire.b);
		took_ms += until_all_are_heard();
		longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
		wire_end();
	}
	print_message("# the longest: %u ms\n", (unsigned)longest_ms);
	assert_true(longest_ms > BEAT_MS);
	assert_true(longest_ms < 2500);
}

static void a_gap_is_named_at_once(void **state)
{
	wire_make(0, 0, 1);
	exchange();
	wire.lose_next = 1;
	for (int i = 0; i < 10; i++)
		give(&wire.a);
	assert_true(until_all_are_heard() <= 2);
	assert_int_equal(wire.b.said, 3); /* one word for the ten, and one that it has them */
	wire_end();
}

static void first_frame_is_missed_too(void **state)
{
	wire_make(0, 0, 1);
	wire.lose_next = 1;
	give(&wire.a);
	assert_in_range(until_all_are_heard(), ASK_MS, ASK_MS + 5);
	wire_end();
}

static void who_is_silent_is_asked_less_and_less(void **state)
{
	wire_make(0, 100, 1);
	give(&wire.a);
	for (int i = 0; i < LONG_MS; i++)
		turn();
	assert_in_range(wire.a.asked, REPEATS_HURRIES, REPEATS_HURRIES + LONG_MS / REPEATS_REST_MS);
	wire.lost = 0;
	assert_in_range(until_all_are_heard(), 0, REPEATS_REST_MS + 5);
	wire_end();
}

static void who_does_not_count_gets_nothing_twice(void **state)
{
	wire_make(0, 0, 1);
	wire.b.counts_not = true;
	for (int i = 0; i < 10; i++)
		exchange();
	for (int i = 0; i < LONG_MS; i++)
		turn();
	assert_int_equal(wire.a.said, 10);
	assert_int_equal(wire.a.repeats.kept.size, 0);
	wire_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_is_said_beside_while_nothing_is_lost),
	        cmocka_unit_test(last_word_is_asked_about_once),
	        cmocka_unit_test(every_frame_is_heard_in_order_and_once),
	        cmocka_unit_test(a_tenth_is_made_good_within_a_steps_deadline),
	        cmocka_unit_test(a_gap_is_named_at_once),
	        cmocka_unit_test(first_frame_is_missed_too),
	        cmocka_unit_test(who_is_silent_is_asked_less_and_less),
	        cmocka_unit_test(who_does_not_count_gets_nothing_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
