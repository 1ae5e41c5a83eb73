/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Notices that come, do not come, come twice, late or from a liar: what is asked of the root then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notifier/notices/notice_watch.h"

enum { LID = 5, SIGNAL = 1000 };

static struct notice_watch watch;
static uint32_t request;
static uint64_t asked_for;

/* With a root that has said @known. */
static void begin(uint64_t known)
{
	notice_watch_init(&watch);
	watch.lid = LID;
	notice_watch_told(&watch, SIGNAL, known, 0, 0);
	assert_true(notice_watch_asks(&watch, 0, &request, &asked_for));
	notice_watch_told(&watch, SIGNAL, known, request, 0);
	watch.counts = (struct notice_counts){0};
}

static enum notice_verdict hear(uint64_t sequence)
{
	struct notice notice = {.lid = LID, .signal = SIGNAL, .sequence = sequence};

	return notice_watch_heard(&watch, &notice);
}

static bool asks(uint64_t now_ms)
{
	return notice_watch_asks(&watch, now_ms, &request, &asked_for);
}

static unsigned answer(uint64_t sequence, uint64_t now_ms)
{
	return notice_watch_told(&watch, SIGNAL, sequence, request, now_ms);
}

static void a_notice_is_a_question_once(void **state)
{
	begin(3);
	assert_int_equal(hear(4), NOTICE_NEWS);
	assert_int_equal(hear(4), NOTICE_REPEATED);
	assert_true(asks(0));
	assert_int_equal(asked_for, 4);
	assert_false(asks(0));
	assert_int_equal(hear(4), NOTICE_REPEATED);
	assert_int_equal(answer(4, 0), 0);
	assert_int_equal(hear(4), NOTICE_REPEATED);
	assert_int_equal(hear(2), NOTICE_REPEATED);
	assert_false(asks(1000000));
	assert_int_equal(watch.counts.pulls, 1);
	assert_int_equal(watch.counts.news, 1);
	assert_int_equal(watch.counts.repeated, 4);
	assert_int_equal(watch.counts.gaps, 0);
}

static void a_gap_is_counted_and_one_question_fills_it(void **state)
{
	begin(3);
	assert_int_equal(hear(6), NOTICE_NEWS);
	assert_int_equal(hear(4), NOTICE_NEWS);
	assert_true(asks(0));
	assert_int_equal(asked_for, 6);
	assert_int_equal(answer(6, 0), 0);
	assert_int_equal(hear(5), NOTICE_REPEATED);
	assert_false(asks(0));
	assert_int_equal(watch.counts.gaps, 1);
	assert_int_equal(watch.counts.pulls, 1);
}

static void what_comes_behind_a_question_is_another_one(void **state)
{
	begin(0);
	hear(1);
	assert_true(asks(0));
	assert_int_equal(hear(2), NOTICE_NEWS);
	assert_false(asks(0));
	assert_int_equal(answer(1, 0), 0);
	assert_true(asks(0));
	assert_int_equal(answer(2, 0), 0);
	assert_false(asks(0));
	assert_int_equal(watch.counts.forged, 0);
}

static void a_lost_notice_is_made_good_by_the_roots_hint(void **state)
{
	begin(0);
	assert_int_equal(notice_watch_next(&watch), UINT64_MAX);
	notice_watch_told(&watch, SIGNAL, 1, 0, 0);
	assert_int_equal(watch.known, 0);
	assert_true(asks(0));
	assert_int_equal(answer(1, 0), 0);
	assert_int_equal(watch.known, 1);
	assert_int_equal(hear(1), NOTICE_REPEATED);
	assert_false(asks(0));
}

static void forged_notices_cost_one_question_in_a_while_and_are_counted(void **state)
{
	begin(7);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(hear(100 + i), NOTICE_NEWS);
	assert_true(asks(10));
	assert_false(asks(10));
	assert_int_equal(answer(7, 20), 20);
	for (uint64_t now = 20; now < 20 + NOTICE_PAUSE_MS; now++) {
		hear(UINT64_MAX - now);
		assert_false(asks(now));
	}
	assert_int_equal(notice_watch_next(&watch), 20 + NOTICE_PAUSE_MS);
	assert_true(asks(20 + NOTICE_PAUSE_MS));
	answer(7, 20 + NOTICE_PAUSE_MS);
	assert_int_equal(watch.counts.forged, 20 + NOTICE_PAUSE_MS);
	assert_int_equal(watch.counts.pulls, 2);
	assert_false(asks(1000000));
}

static void a_liar_does_not_hold_up_the_root(void **state)
{
	begin(7);
	hear(100);
	assert_true(asks(0));
	assert_int_equal(answer(7, 0), 1);
	hear(101);
	assert_false(asks(1));
	notice_watch_told(&watch, SIGNAL, 8, 0, 1);
	assert_true(asks(1));
	/* What the liar said before that question is answered by it, too. */
	assert_int_equal(answer(8, 1), 1);
	assert_int_equal(hear(9), NOTICE_NEWS);
	assert_true(asks(1 + NOTICE_PAUSE_MS));
	assert_int_equal(answer(9, 1 + NOTICE_PAUSE_MS), 0);
}

static void a_notice_of_the_future_is_news_when_its_number_is_given(void **state)
{
	begin(7);
	hear(9);
	assert_true(asks(0));
	assert_int_equal(answer(7, 0), 1);
	assert_int_equal(hear(8), NOTICE_NEWS);
	assert_int_equal(hear(9), NOTICE_NEWS);
	assert_true(asks(NOTICE_PAUSE_MS));
	assert_int_equal(answer(9, NOTICE_PAUSE_MS), 0);
}

static void notices_of_another_start_or_server_mean_nothing(void **state)
{
	static const struct notice others[] = {{.lid = LID, .signal = SIGNAL - 1, .sequence = 99},
	        {.lid = LID, .signal = SIGNAL + 1, .sequence = 99},
	        {.lid = LID + 1, .signal = SIGNAL, .sequence = 99}};

	begin(3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(notice_watch_heard(&watch, &others[i]), NOTICE_STRANGE);
	notice_watch_root_lost(&watch);
	assert_int_equal(hear(4), NOTICE_STRANGE);
	assert_false(asks(0));
	assert_int_equal(watch.counts.strange, 4);
}

static void another_start_begins_anew(void **state)
{
	begin(50);
	hear(51);
	assert_true(asks(0));
	notice_watch_root_lost(&watch);
	notice_watch_told(&watch, SIGNAL + 1, 0, 0, 0);
	assert_int_equal(answer(51, 0), 0); /* of the one before */
	assert_true(asks(0));
	assert_int_equal(notice_watch_told(&watch, SIGNAL + 1, 2, request, 0), 0);
	assert_int_equal(watch.known, 2);
	assert_int_equal(hear(51), NOTICE_STRANGE);
}

static void an_answer_that_was_not_asked_for_is_none(void **state)
{
	begin(3);
	hear(4);
	assert_true(asks(0));
	assert_int_equal(notice_watch_told(&watch, SIGNAL, 9, request + 1, 0), 0);
	assert_false(asks(0));
	assert_int_equal(answer(4, 0), 0);
	assert_int_equal(answer(9, 0), 0);
	assert_int_equal(watch.known, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_notice_is_a_question_once),
	        cmocka_unit_test(a_gap_is_counted_and_one_question_fills_it),
	        cmocka_unit_test(what_comes_behind_a_question_is_another_one),
	        cmocka_unit_test(a_lost_notice_is_made_good_by_the_roots_hint),
	        cmocka_unit_test(forged_notices_cost_one_question_in_a_while_and_are_counted),
	        cmocka_unit_test(a_liar_does_not_hold_up_the_root),
	        cmocka_unit_test(a_notice_of_the_future_is_news_when_its_number_is_given),
	        cmocka_unit_test(notices_of_another_start_or_server_mean_nothing),
	        cmocka_unit_test(another_start_begins_anew),
	        cmocka_unit_test(an_answer_that_was_not_asked_for_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
