/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Whoever is expected and told of nowhere is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sm-side/migration/roll_call.h"

enum { MANY = 1000 };

static char *expected[] = {(char *)"vm1/1.1", (char *)"vm1/2.1", (char *)"vm2/1.1"};

static Tether__Answer answer_of(Tether__Outcome outcome)
{
	Tether__Answer answer = TETHER__ANSWER__INIT;

	answer.outcome = outcome;
	return answer;
}

static void who_is_told_of_in_any_way_is_accounted_for(void **unused)
{
	Tether__Answer said = answer_of(TETHER__OUTCOME__OUTCOME_PARTIAL);
	struct roll_call roll;

	said.answered = &expected[2];
	said.missing = &expected[0];
	said.ended = &expected[1];
	said.n_answered = said.n_missing = said.n_ended = 1;
	assert_int_equal(roll_call_take(&roll, expected, 3, &said), 0);
	assert_int_equal(roll.untold, 0);
	assert_int_equal(roll.answer.n_missing, 1);
	assert_int_equal(roll.answer.outcome, TETHER__OUTCOME__OUTCOME_PARTIAL);
	roll_call_clear(&roll);
}

static void who_is_told_of_nowhere_is_missing(void **unused)
{
	static const Tether__Outcome outcomes[][2] = {
	        {TETHER__OUTCOME__OUTCOME_DONE, TETHER__OUTCOME__OUTCOME_PARTIAL},
	        {TETHER__OUTCOME__OUTCOME_PARTIAL, TETHER__OUTCOME__OUTCOME_PARTIAL},
	        {TETHER__OUTCOME__OUTCOME_REFUSED, TETHER__OUTCOME__OUTCOME_REFUSED},
	        {TETHER__OUTCOME__OUTCOME_FAILED, TETHER__OUTCOME__OUTCOME_FAILED},
	};

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++) {
		Tether__Answer said = answer_of(outcomes[i][0]);
		struct roll_call roll;

		said.answered = expected;
		said.n_answered = 1;
		said.missing = &expected[2];
		said.n_missing = 1;
		assert_int_equal(roll_call_take(&roll, expected, 3, &said), 0);
		assert_int_equal(roll.untold, 1);
		assert_int_equal(roll.answer.outcome, outcomes[i][1]);
		assert_int_equal(roll.answer.n_missing, 2);
		assert_string_equal(roll.answer.missing[0], "vm2/1.1");
		assert_string_equal(roll.answer.missing[1], "vm1/2.1");
		roll_call_clear(&roll);
	}
}

static void nobody_is_expected_of_a_first_step(void **unused)
{
	Tether__Answer said = answer_of(TETHER__OUTCOME__OUTCOME_DONE);
	struct roll_call roll;

	assert_int_equal(roll_call_take(&roll, NULL, 0, &said), 0);
	assert_int_equal(roll.untold, 0);
	assert_int_equal(roll.answer.outcome, TETHER__OUTCOME__OUTCOME_DONE);
	roll_call_clear(&roll);
}

/* Whatever the order in which they are told: each but the one that is left out. */
static void one_of_many_is_found(void **unused)
{
	static char names[MANY][24];
	static char *all[MANY], *told[MANY];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "vm%u/%u.1", i % 7, i);
		all[i] = names[i];
		told[i] = names[(i * 37 + 11) % MANY];
	}
	for (unsigned left = 0; left < MANY; left += 97) {
		Tether__Answer said = answer_of(TETHER__OUTCOME__OUTCOME_DONE);
		char *without = told[left];
		struct roll_call roll;

		told[left] = told[(left + 1) % MANY];
		said.answered = told;
		said.n_answered = MANY;
		assert_int_equal(roll_call_take(&roll, all, MANY, &said), 0);
		assert_int_equal(roll.untold, 1);
		assert_string_equal(roll.answer.missing[0], without);
		roll_call_clear(&roll);
		told[left] = without;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_is_told_of_in_any_way_is_accounted_for),
	        cmocka_unit_test(who_is_told_of_nowhere_is_missing),
	        cmocka_unit_test(nobody_is_expected_of_a_first_step),
	        cmocka_unit_test(one_of_many_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
