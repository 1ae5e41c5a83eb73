/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is kept for an end, and given to one that lies, has bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/notifier_lossy_wire.h"

/* What is kept goes when the other end has it, and much is asked about before it is too much. */
static void little_is_kept(void **state)
{
	size_t most = 0;

	wire_make(BEAT_MS, 0, 1);
	for (int i = 0; i < 100000; i++) {
		struct byte_queue *kept = &wire.a.repeats.kept;

		give(&wire.a);
		while (wire.count)
			deliver();
		most = kept->end - kept->start > most ? kept->end - kept->start : most;
	}
	assert_in_range(most, REPEATS_ASK_BYTES, REPEATS_ASK_BYTES + 1000);
	wire_end();
}

static Tether__Frame *lie(uint64_t number, uint64_t heard, uint64_t said, bool missing)
{
	static Tether__Heartbeat beat;
	static Tether__Interest interest;
	static Tether__Frame frame;

	tether__heartbeat__init(&beat);
	tether__interest__init(&interest);
	tether__frame__init(&frame);
	frame.number = number;
	frame.heard = heard;
	frame.body_case = number ? TETHER__FRAME__BODY_INTEREST : TETHER__FRAME__BODY_HEARTBEAT;
	if (number)
		frame.interest = &interest;
	else
		frame.heartbeat = &beat;
	beat.said = said;
	beat.missing = missing;
	return &frame;
}

static void lies_cost_who_tells_them(void **state)
{
	struct repeats *repeats = &wire.a.repeats;
	unsigned again = 0;

	wire_make(0, 0, 1);
	for (int i = 0; i < 5; i++)
		give(&wire.a);
	/* It has what was never said: that says nothing. */
	assert_int_equal(repeats_heard(repeats, lie(0, UINT64_MAX, 0, false), 1000, ASK_MS), 0);
	assert_int_equal(repeats->had, 0);
	/* It does not count, and has counted. */
	assert_int_equal(repeats_heard(repeats, lie(0, 0, 0, false), 1000, ASK_MS), 0);
	assert_int_equal(repeats->had, 0);
	/* All of it again, a thousand times in a second. */
	for (uint64_t ms = 0; ms < 1000; ms++)
		again += !!(repeats_heard(repeats, lie(0, 1, 0, true), 2000 + ms, ASK_MS) &
		            REPEATS_AGAIN);
	assert_in_range(again, 2, 1000 / REPEATS_AGAIN_MS);
	/* It has said what nobody has heard: it is told so, now and then, and what is next counts.
	 */
	assert_int_equal(
	        repeats_heard(repeats, lie(UINT64_MAX, 1, 0, false), 3000, ASK_MS), REPEATS_SPEAK);
	assert_int_equal(repeats_heard(repeats, lie(UINT64_MAX, 1, 0, false), 3001, ASK_MS), 0);
	assert_int_equal(repeats_heard(repeats, lie(1, 1, 0, false), 3002, ASK_MS), REPEATS_PASS);
	/* Who did not count at first does not begin to. */
	repeats_clear(repeats);
	assert_int_equal(repeats_heard(repeats, lie(0, 0, 0, false), 4000, ASK_MS), 0);
	give(&wire.a);
	assert_int_equal(repeats_heard(repeats, lie(0, 2, 0, true), 4000, ASK_MS), 0);
	assert_int_equal(repeats_heard(repeats, lie(9, 2, 0, false), 4000, ASK_MS), REPEATS_PASS);
	wire_end();
}

/* All that is behind, for each frame that it takes in the same moment. */
static void who_takes_one_at_a_time_is_given_few(void **state)
{
	enum { KEPT = 1000 };
	struct repeats *repeats = &wire.a.repeats;
	size_t all = 0, length;
	const uint8_t *bytes;
	size_t whole;

	wire_make(0, 0, 1);
	for (int i = 0; i < KEPT; i++)
		give(&wire.a);
	whole = repeats->kept.end - repeats->kept.start;
	for (uint64_t heard = 1; heard <= KEPT; heard++) {
		if (!(repeats_heard(repeats, lie(0, heard, 0, true), 5000, ASK_MS) & REPEATS_AGAIN))
			continue;
		repeats_again(repeats, &bytes, &length);
		all += length;
	}
	/* Once all, and twice each. */
	assert_in_range(all, whole, 3 * whole + 1000);
	wire_end();
}

/* It says nothing of numbers, whoever is there. */
static void who_is_told_not_to_does_not_count(void **state)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Heartbeat beat = TETHER__HEARTBEAT__INIT;
	struct repeats repeats;

	repeats_pretend("off");
	repeats_begin(&repeats);
	frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame.heartbeat = &beat;
	assert_int_equal(repeats_heard(&repeats, lie(2, 1, 0, false), 0, ASK_MS), REPEATS_PASS);
	assert_int_equal(repeats_heard(&repeats, lie(0, 1, 7, true), 0, ASK_MS), 0);
	repeats_number(&repeats, &frame);
	repeats_beat(&repeats, &beat, true);
	assert_int_equal(frame.number + frame.heard + beat.said + beat.missing + beat.asks, 0);
	frame.body_case = TETHER__FRAME__BODY__NOT_SET;
	repeats_number(&repeats, &frame);
	assert_int_equal(frame.number + frame.heard, 0);
	repeats_pretend(NULL);
}

/* Who is far behind gets some at once, whole frames, and the rest as he goes on. */
static void much_is_said_again_in_parts(void **state)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;
	struct repeats repeats;
	const uint8_t *first, *next;
	size_t length;
	char *name = malloc(REPEATS_AT_ONCE);

	assert_non_null(name);
	repeats_begin(&repeats);
	memset(name, 'x', REPEATS_AT_ONCE - 1);
	name[REPEATS_AT_ONCE - 1] = '\0';
	hello.name = name;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	for (int i = 0; i < 3; i++) {
		uint8_t *bytes;

		repeats_number(&repeats, &frame);
		assert_int_equal(frame_encode(&frame, &bytes, &length), 0);
		assert_int_equal(repeats_said(&repeats, &frame, bytes, length, 0, ASK_MS), 0);
		free(bytes);
	}
	repeats_again(&repeats, &first, &length);
	assert_in_range(length, REPEATS_AT_ONCE, REPEATS_AT_ONCE + 100);
	repeats_heard(&repeats, lie(0, 2, 0, true), 0, ASK_MS);
	repeats_again(&repeats, &next, &length);
	assert_in_range(length, REPEATS_AT_ONCE, REPEATS_AT_ONCE + 100);
	repeats_heard(&repeats, lie(0, 4, 0, false), 0, ASK_MS);
	repeats_again(&repeats, &next, &length);
	assert_int_equal(length, 0);
	repeats_clear(&repeats);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(little_is_kept),
	        cmocka_unit_test(lies_cost_who_tells_them),
	        cmocka_unit_test(who_takes_one_at_a_time_is_given_few),
	        cmocka_unit_test(who_is_told_not_to_does_not_count),
	        cmocka_unit_test(much_is_said_again_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
