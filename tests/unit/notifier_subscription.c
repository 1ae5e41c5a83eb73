/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* When a server subscribes, and when again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/notices/subscription.h"

static struct subscription s;

static void begin(void)
{
	s = (struct subscription){0};
	subscription_port(&s, 5, 1);
	assert_true(subscription_asks(&s, 0));
	subscription_answered(&s, true, 0);
	assert_true(s.stands);
}

static void nobody_is_asked_without_lid_or_sm(void **state)
{
	s = (struct subscription){0};
	assert_false(subscription_asks(&s, 1000000));
	subscription_port(&s, 5, 0);
	assert_false(subscription_asks(&s, 1000000));
	subscription_port(&s, 0, 1);
	assert_false(subscription_asks(&s, 1000000));
	subscription_port(&s, 5, 1);
	assert_true(subscription_asks(&s, 0));
}

static void once_is_enough(void **state)
{
	begin();
	subscription_port(&s, 5, 1);
	assert_int_equal(subscription_next(&s), UINT64_MAX);
}

static void another_sm_or_lid_or_a_doubt_ask_again(void **state)
{
	begin();
	subscription_port(&s, 5, 2);
	assert_true(subscription_asks(&s, 0));
	subscription_answered(&s, true, 0);
	subscription_port(&s, 6, 2);
	assert_true(subscription_asks(&s, 0));
	subscription_answered(&s, true, 0);
	subscription_doubt(&s);
	assert_true(subscription_asks(&s, 0));
	assert_false(subscription_asks(&s, 0));
	subscription_answered(&s, true, 0);
	assert_false(subscription_asks(&s, 0));
}

static void a_doubt_behind_the_question_asks_once_more(void **state)
{
	begin();
	subscription_doubt(&s);
	assert_true(subscription_asks(&s, 0));
	subscription_doubt(&s);
	assert_false(subscription_asks(&s, 0));
	subscription_answered(&s, true, 0);
	assert_true(subscription_asks(&s, 0));
	subscription_answered(&s, true, 0);
	assert_false(subscription_asks(&s, 0));
}

static void a_refusal_or_silence_is_followed_by_longer_pauses(void **state)
{
	uint64_t now = 0;
	unsigned pause = SUBSCRIPTION_AGAIN_MS;

	s = (struct subscription){0};
	subscription_port(&s, 5, 1);
	for (int i = 0; i < 8; i++) {
		assert_true(subscription_asks(&s, now));
		subscription_answered(&s, false, now);
		assert_int_equal(subscription_next(&s), now + pause);
		assert_false(subscription_asks(&s, now + pause - 1));
		now += pause;
		pause = pause * 2 < SUBSCRIPTION_AGAIN_MOST_MS ? pause * 2
		                                               : SUBSCRIPTION_AGAIN_MOST_MS;
	}
	/* Another SM does not wait for that. */
	assert_true(subscription_asks(&s, now));
	subscription_answered(&s, false, now);
	subscription_port(&s, 5, 3);
	assert_true(subscription_asks(&s, now));
	subscription_answered(&s, true, now);
	assert_true(s.stands);
}

static void an_answer_without_a_question_is_none(void **state)
{
	s = (struct subscription){0};
	subscription_port(&s, 5, 1);
	subscription_answered(&s, true, 0);
	assert_false(s.stands);
	assert_true(subscription_asks(&s, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nobody_is_asked_without_lid_or_sm),
	        cmocka_unit_test(once_is_enough),
	        cmocka_unit_test(another_sm_or_lid_or_a_doubt_ask_again),
	        cmocka_unit_test(a_doubt_behind_the_question_asks_once_more),
	        cmocka_unit_test(a_refusal_or_silence_is_followed_by_longer_pauses),
	        cmocka_unit_test(an_answer_without_a_question_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
