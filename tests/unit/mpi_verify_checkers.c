/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "demo-apps/mpi_verify/arrivals.h"
#include "demo-apps/mpi_verify/content.h"
#include "demo-apps/mpi_verify/sizes.h"
#include "demo-apps/mpi_verify/sums.h"

static const struct content_id a_message = {
        .seed = 1, .space = 2, .sender = 3, .receiver = 4, .tag = 5, .number = 100};

static void every_bit_of_a_message_counts(void **state)
{
	enum { LENGTH = 61 };
	unsigned char bytes[LENGTH];

	content_fill(bytes, LENGTH, &a_message);
	assert_true(content_matches(bytes, LENGTH, &a_message));
	for (unsigned bit = 0; bit < LENGTH * 8; bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		assert_false(content_matches(bytes, LENGTH, &a_message));
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static void message_of_another_length_does_not_match(void **state)
{
	unsigned char bytes[64];

	content_fill(bytes, sizeof(bytes), &a_message);
	for (size_t length = CONTENT_DISTINCT; length < sizeof(bytes); length++)
		assert_false(content_matches(bytes, length, &a_message));
}

static void message_of_another_stream_does_not_match(void **state)
{
	struct content_id other[6];
	unsigned char bytes[64];

	for (unsigned i = 0; i < 6; i++)
		other[i] = a_message;
	other[0].seed++;
	other[1].space++;
	other[2].sender++;
	other[3].receiver++;
	other[4].tag++;
	other[5].number++;
	content_fill(bytes, sizeof(bytes), &a_message);
	for (unsigned i = 0; i < 6; i++)
		assert_false(content_matches(bytes, sizeof(bytes), &other[i]));
}

static void sender_and_receiver_are_not_exchanged_unnoticed(void **state)
{
	struct content_id back = a_message;
	unsigned char bytes[16];

	back.sender = a_message.receiver;
	back.receiver = a_message.sender;
	content_fill(bytes, sizeof(bytes), &a_message);
	assert_false(content_matches(bytes, sizeof(bytes), &back));
}

static void a_message_in_the_place_of_another_is_recognised(void **state)
{
	struct content_id there = a_message;
	unsigned char bytes[4096];
	uint64_t number;

	for (int off = -CONTENT_REACH; off <= CONTENT_REACH; off++) {
		there.number = a_message.number + (uint64_t)(int64_t)off;
		content_fill(bytes, sizeof(bytes), &there);
		assert_true(content_identify(bytes, sizeof(bytes), &a_message, &number));
		assert_int_equal(number, there.number);
	}
	bytes[4000] ^= 1;
	assert_false(content_identify(bytes, sizeof(bytes), &a_message, &number));
}

static void a_short_message_is_not_taken_for_another(void **state)
{
	unsigned char byte;
	uint64_t number;

	content_fill(&byte, 1, &a_message);
	byte ^= 1;
	assert_false(content_identify(&byte, 1, &a_message, &number));
}

struct row {
	const char *what;
	unsigned count;
	uint64_t number[8];
	struct findings expected;
};

static const struct row rows[] = {
        {"in order", 4, {0, 1, 2, 3}, {{0}}},
        {"one missing", 3, {0, 2, 3}, {{[FINDING_lost] = 1}}},
        {"two missing in a row", 2, {0, 3}, {{[FINDING_lost] = 2}}},
        {"one twice", 5, {0, 1, 1, 2, 3}, {{[FINDING_duplicated] = 1}}},
        {"an old one again", 5, {0, 1, 2, 3, 0}, {{[FINDING_duplicated] = 1}}},
        {"late, not lost", 4, {0, 2, 1, 3}, {{[FINDING_reordered] = 1}}},
        {"late, then again", 5, {0, 2, 1, 1, 3},
                {{[FINDING_reordered] = 1, [FINDING_duplicated] = 1}}},
};

static void every_departure_from_once_and_in_order_is_counted(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arrivals arrivals = {0};
		struct findings found = {{0}};

		for (unsigned n = 0; n < rows[i].count; n++)
			arrivals_add(&arrivals, rows[i].number[n], &found);
		if (memcmp(&found, &rows[i].expected, sizeof(found)))
			fail_msg("%s", rows[i].what);
	}
}

static void a_cycle_of_rounds_has_every_length(void **state)
{
	struct sizes all, some;
	unsigned seen = 0, shorts = 0;

	sizes_all(&all, SIZES_LONGEST);
	assert_int_equal(all.length[0], 0);
	assert_int_equal(all.length[all.count - 1], SIZES_LONGEST + 1);
	for (unsigned i = 0; i < all.count; i++)
		shorts += all.length[i] <= SIZES_SHORT;
	for (unsigned round = 0; round < SIZES_CYCLE; round++) {
		sizes_of_round(&some, SIZES_LONGEST, round);
		seen += some.count - shorts;
	}
	assert_int_equal(seen, all.count - shorts);
}

static void no_length_is_above_the_longest(void **state)
{
	uint64_t random = 1;

	for (unsigned i = 0; i < 10000; i++)
		assert_in_range(sizes_draw(&random, 1000), 0, 1000);
}

static void an_operand_too_few_or_too_many_is_told_from_damage(void **state)
{
	const unsigned ranks = 5;
	uint64_t sum = sum_expected(&a_message, ranks, 7);
	struct content_id of = a_message;

	assert_int_equal(sum_check(sum, &a_message, ranks, 7), FINDING_COUNT);
	for (of.sender = 0; of.sender < ranks; of.sender++) {
		uint64_t operand = content_value(&of, 7);

		assert_int_equal(
		        sum_check(sum + operand, &a_message, ranks, 7), FINDING_duplicated);
		assert_int_equal(sum_check(sum - operand, &a_message, ranks, 7), FINDING_lost);
	}
	assert_int_equal(sum_check(sum ^ 1, &a_message, ranks, 7), FINDING_corrupted);
}

static void tickets_are_drawn_once_each(void **state)
{
	struct findings found = {{0}};
	uint64_t all[] = {3, 1, 0, 2}, hole[] = {0, 1, 3, 4}, twice[] = {0, 1, 1, 2},
	         wild[] = {0, 1, 2, 99};

	tickets_check(all, 4, 0, &found);
	assert_int_equal(findings_sum(&found), 0);
	tickets_check(hole, 4, 0, &found);
	assert_int_equal(found.count[FINDING_lost], 1);
	tickets_check(twice, 4, 0, &found);
	assert_int_equal(found.count[FINDING_duplicated], 1);
	tickets_check(wild, 4, 0, &found);
	assert_int_equal(found.count[FINDING_corrupted], 1);
	assert_int_equal(findings_sum(&found), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_bit_of_a_message_counts),
	        cmocka_unit_test(message_of_another_length_does_not_match),
	        cmocka_unit_test(message_of_another_stream_does_not_match),
	        cmocka_unit_test(sender_and_receiver_are_not_exchanged_unnoticed),
	        cmocka_unit_test(a_message_in_the_place_of_another_is_recognised),
	        cmocka_unit_test(a_short_message_is_not_taken_for_another),
	        cmocka_unit_test(every_departure_from_once_and_in_order_is_counted),
	        cmocka_unit_test(a_cycle_of_rounds_has_every_length),
	        cmocka_unit_test(no_length_is_above_the_longest),
	        cmocka_unit_test(an_operand_too_few_or_too_many_is_told_from_damage),
	        cmocka_unit_test(tickets_are_drawn_once_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
