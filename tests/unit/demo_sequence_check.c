/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "demo-apps/verify/message.h"
#include "demo-apps/verify/sequence_check.h"

struct row {
	const char *what;
	unsigned count;
	uint64_t arrivals[8];
	uint64_t total;
	struct findings expected;
};

static const struct row rows[] = {
        {"in order", 4, {0, 1, 2, 3}, 4, {0}},
        {"one missing", 3, {0, 2, 3}, 4, {.lost = 1}},
        {"two missing in a row", 2, {0, 3}, 4, {.lost = 2}},
        {"the last missing", 3, {0, 1, 2}, 4, {.lost = 1}},
        {"one twice", 5, {0, 1, 1, 2, 3}, 4, {.duplicated = 1}},
        {"an old one again", 5, {0, 1, 2, 3, 0}, 4, {.duplicated = 1}},
        {"late, not lost", 4, {0, 2, 1, 3}, 4, {.out_of_order = 1}},
        {"late and then again", 5, {0, 2, 1, 1, 3}, 4, {.out_of_order = 1, .duplicated = 1}},
        {"middle of a hole comes late", 3, {0, 4, 2}, 5, {.lost = 2, .out_of_order = 1}},
        {"more than were sent", 3, {0, 1, 2}, 2, {.duplicated = 1}},
};

static void every_departure_from_once_and_in_order_is_counted(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sequence_check check = {0};
		struct findings found = {0};

		for (unsigned n = 0; n < rows[i].count; n++)
			sequence_check_arrived(&check, rows[i].arrivals[n], &found);
		sequence_check_finish(&check, rows[i].total, &found);
		if (memcmp(&found, &rows[i].expected, sizeof(found)))
			fail_msg("%s", rows[i].what);
	}
}

static void every_bit_of_a_message_counts(void **state)
{
	enum { LENGTH = 61 };
	unsigned char bytes[LENGTH];
	uint64_t number = 0;

	message_fill(bytes, LENGTH, 5, 77);
	assert_int_equal(message_check(bytes, LENGTH, 5, &number), MESSAGE_GOOD);
	assert_int_equal(number, 77);
	for (unsigned bit = 0; bit < LENGTH * 8; bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(message_check(bytes, LENGTH, 5, &number), MESSAGE_CORRUPT);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static void message_of_another_stream_does_not_match(void **state)
{
	unsigned char bytes[64];
	uint64_t number;

	message_fill(bytes, sizeof(bytes), message_stream(true, 3, false), 1);
	assert_int_equal(
	        message_check(bytes, 64, message_stream(true, 4, false), &number), MESSAGE_CORRUPT);
	assert_int_equal(message_check(bytes, 64, message_stream(false, 3, false), &number),
	        MESSAGE_CORRUPT);
	assert_int_equal(
	        message_check(bytes, 64, message_stream(true, 3, true), &number), MESSAGE_CORRUPT);
}

static void message_cut_short_does_not_match(void **state)
{
	unsigned char bytes[64];
	uint64_t number;

	message_fill(bytes, sizeof(bytes), 1, 1);
	for (size_t length = 0; length < sizeof(bytes); length++)
		assert_int_equal(message_check(bytes, length, 1, &number), MESSAGE_CORRUPT);
}

static void swapped_words_of_a_message_are_seen(void **state)
{
	unsigned char bytes[64], word[8];
	uint64_t number;

	message_fill(bytes, sizeof(bytes), 1, 1);
	memcpy(word, bytes, 8);
	memcpy(bytes, bytes + 8, 8);
	memcpy(bytes + 8, word, 8);
	assert_int_equal(message_check(bytes, 64, 1, &number), MESSAGE_CORRUPT);
}

static void pattern_knows_its_place(void **state)
{
	unsigned char bytes[40];

	pattern_fill(bytes, 1000, sizeof(bytes), 9);
	assert_true(pattern_matches(bytes, 1000, sizeof(bytes), 9));
	assert_true(pattern_matches(bytes + 3, 1003, 10, 9));
	assert_false(pattern_matches(bytes, 1001, sizeof(bytes), 9));
	assert_false(pattern_matches(bytes, 1000, sizeof(bytes), 8));
	bytes[39] ^= 4;
	assert_false(pattern_matches(bytes, 1000, sizeof(bytes), 9));
}

static void progress_word_checks_itself(void **state)
{
	uint64_t value;

	assert_true(progress_decode(progress_encode(123456), &value));
	assert_int_equal(value, 123456);
	for (unsigned bit = 0; bit < 64; bit++)
		assert_false(progress_decode(progress_encode(123456) ^ 1ULL << bit, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_departure_from_once_and_in_order_is_counted),
	        cmocka_unit_test(every_bit_of_a_message_counts),
	        cmocka_unit_test(message_of_another_stream_does_not_match),
	        cmocka_unit_test(message_cut_short_does_not_match),
	        cmocka_unit_test(swapped_words_of_a_message_are_seen),
	        cmocka_unit_test(pattern_knows_its_place),
	        cmocka_unit_test(progress_word_checks_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
