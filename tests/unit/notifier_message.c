/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/wire/message.h"

enum { NAMES = 20000, NAME_BYTES = 16, LONG_BYTES = 200000 };

/* Names, a message in it, and one that is larger than a piece. */
static void answer_fill(Tether__Answer *answer, Tether__Counts *counts)
{
	static char texts[NAMES][NAME_BYTES], large[LONG_BYTES];
	static char *names[NAMES + 1];

	tether__answer__init(answer);
	tether__counts__init(counts);
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(texts[i], NAME_BYTES, "vm%zu/1.%zu", i, i % 7);
		names[i] = texts[i];
	}
	memset(large, 'x', LONG_BYTES - 1);
	names[NAMES] = large;
	answer->migration = 7;
	answer->answered = names;
	answer->n_answered = NAMES + 1;
	counts->qps = 3;
	answer->counts = counts;
}

static void assert_same(const Tether__Answer *answer, const Tether__Answer *copy)
{
	size_t size = tether__answer__get_packed_size(answer);
	uint8_t *first = malloc(size), *second = malloc(size);

	assert_int_equal(tether__answer__get_packed_size(copy), size);
	assert_true(first && second);
	tether__answer__pack(answer, first);
	tether__answer__pack(copy, second);
	assert_memory_equal(first, second, size);
	free(first);
	free(second);
}

static void a_copy_says_the_same(void **state)
{
	Tether__Answer answer, *copy;
	Tether__Counts counts;

	answer_fill(&answer, &counts);
	copy = message_copy(&answer.base);
	assert_non_null(copy);
	assert_same(&answer, copy);
	tether__answer__free_unpacked(copy, NULL);
}

static void copies_in_pieces_say_the_same_and_go_together(void **state)
{
	struct message_piece *pieces = NULL;
	Tether__Answer answer, bare = TETHER__ANSWER__INIT, *copy, *another;
	Tether__Counts counts;

	answer_fill(&answer, &counts);
	copy = message_copy_in_pieces(&answer.base, &pieces);
	another = message_copy_in_pieces(&bare.base, &pieces);
	assert_true(copy && another);
	assert_same(&answer, copy);
	assert_same(&bare, another);
	message_pieces_free(pieces);
}

static void no_pieces_are_freed(void **state)
{
	message_pieces_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_copy_says_the_same),
	        cmocka_unit_test(copies_in_pieces_say_the_same_and_go_together),
	        cmocka_unit_test(no_pieces_are_freed),
	};

	return cmocka_run_group_tests_name("notifier_message", tests, NULL, NULL);
}
