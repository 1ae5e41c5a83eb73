/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "simfabric/completion_queue.h"

static unsigned events;
static char qp_a, qp_b;

static void count_event(struct completion_queue *queue)
{
	events++;
}

static int open_queue(void **state)
{
	static struct completion_queue queue;

	events = 0;
	if (completion_queue_init(&queue, 5))
		return -1;
	queue.notify = count_event;
	*state = &queue;
	return 0;
}

static int close_queue(void **state)
{
	completion_queue_fini(*state);
	return 0;
}

static struct queue_pair *qp(char *which)
{
	return (struct queue_pair *)(void *)which;
}

static bool push(struct completion_queue *queue, uint64_t wr_id, char *of, uint64_t visible_ns)
{
	struct completion completion = {
	        .wc = {.wr_id = wr_id}, .qp = qp(of), .is_receive = true, .visible_ns = visible_ns};

	return completion_queue_push(queue, &completion, 100);
}

static void assert_pops(struct completion_queue *queue, uint64_t now_ns, uint64_t wr_id)
{
	struct completion *completion = completion_queue_peek(queue, now_ns);

	assert_non_null(completion);
	assert_int_equal(completion->wc.wr_id, wr_id);
	completion_queue_pop(queue);
}

static void one_too_many_overruns(void **state)
{
	struct completion_queue *queue = *state;

	for (uint64_t i = 0; i < 5; i++)
		assert_true(push(queue, i, &qp_a, 0));
	assert_false(queue->overrun);
	assert_false(push(queue, 5, &qp_a, 0));
	assert_true(queue->overrun);
	for (uint64_t i = 0; i < 5; i++)
		assert_pops(queue, 100, i);
	assert_null(completion_queue_peek(queue, 100));
}

static void held_completion_hides_those_behind_it(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_a, 200);
	push(queue, 2, &qp_b, 0);
	assert_null(completion_queue_peek(queue, 199));
	assert_pops(queue, 200, 1);
	assert_pops(queue, 200, 2);
}

static void held_completion_raises_its_event_when_it_shows(void **state)
{
	struct completion_queue *queue = *state;

	completion_queue_arm(queue, false, 100);
	push(queue, 1, &qp_a, 200);
	completion_queue_turn(queue, 199);
	assert_int_equal(events, 0);
	completion_queue_turn(queue, 200);
	assert_int_equal(events, 1);
	completion_queue_turn(queue, 300);
	assert_int_equal(events, 1);
}

static void push_at(struct completion_queue *queue, uint64_t now_ns)
{
	struct completion completion = {.wc = {.wr_id = 9}};

	assert_true(completion_queue_push(queue, &completion, now_ns));
}

static void arming_sees_a_held_completion_coming(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_a, 200);
	completion_queue_arm(queue, false, 100);
	completion_queue_turn(queue, 200);
	assert_int_equal(events, 1);
}

static void arming_does_not_count_what_is_there(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_a, 0);
	push(queue, 2, &qp_a, 150);
	completion_queue_arm(queue, false, 160);
	completion_queue_turn(queue, 1000);
	assert_int_equal(events, 0);
	push_at(queue, 1000);
	assert_int_equal(events, 1);
	push_at(queue, 1000);
	assert_int_equal(events, 1);
}

/* Nobody can poll it earlier. */
static void what_is_behind_a_held_one_raises_its_event_with_it(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_a, 150);
	completion_queue_arm(queue, false, 100);
	push_at(queue, 110);
	assert_int_equal(events, 0);
	completion_queue_turn(queue, 150);
	assert_int_equal(events, 1);
}

static void arming_sees_what_is_behind_a_held_one_coming(void **state)
{
	struct completion_queue *queue = *state;
	struct completion failed = {.wc = {.status = IBV_WC_WR_FLUSH_ERR}};

	push(queue, 1, &qp_a, 150);
	completion_queue_push(queue, &failed, 100);
	completion_queue_arm(queue, true, 110);
	completion_queue_turn(queue, 149);
	assert_int_equal(events, 0);
	completion_queue_turn(queue, 150);
	assert_int_equal(events, 1);
}

static void solicited_arm_waits_for_a_solicited_or_failed_one(void **state)
{
	struct completion_queue *queue = *state;
	struct completion completion = {.wc = {.wr_id = 1}};

	completion_queue_arm(queue, true, 0);
	completion_queue_push(queue, &completion, 0);
	assert_int_equal(events, 0);
	completion.solicited = true;
	completion_queue_push(queue, &completion, 0);
	assert_int_equal(events, 1);
	completion.solicited = false;
	completion.wc.status = IBV_WC_WR_FLUSH_ERR;
	completion_queue_arm(queue, true, 0);
	completion_queue_push(queue, &completion, 0);
	assert_int_equal(events, 2);
}

static void arm_for_all_is_not_weakened(void **state)
{
	struct completion_queue *queue = *state;

	completion_queue_arm(queue, false, 0);
	completion_queue_arm(queue, true, 0);
	push(queue, 1, &qp_a, 0);
	assert_int_equal(events, 1);
}

static void purge_takes_one_queue_pairs_completions(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_a, 0);
	push(queue, 2, &qp_b, 0);
	push(queue, 3, &qp_a, 0);
	push(queue, 4, &qp_b, 0);
	completion_queue_purge(queue, qp(&qp_a));
	assert_pops(queue, 100, 2);
	assert_pops(queue, 100, 4);
	assert_null(completion_queue_peek(queue, 100));
}

static void orphans_stay_without_their_queue_pair(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_a, 0);
	completion_queue_orphan(queue, qp(&qp_a));
	assert_null(completion_queue_peek(queue, 100)->qp);
	assert_pops(queue, 100, 1);
}

static void query_lets_go_what_was_held(void **state)
{
	struct completion_queue *queue = *state;

	completion_queue_arm(queue, false, 100);
	push(queue, 1, &qp_a, UINT64_MAX);
	assert_null(completion_queue_peek(queue, 1000));
	completion_queue_release_held(queue, qp(&qp_b));
	assert_null(completion_queue_peek(queue, 1000));
	completion_queue_release_held(queue, qp(&qp_a));
	completion_queue_turn(queue, 1000);
	assert_int_equal(events, 1);
	assert_pops(queue, 1000, 1);
}

static void what_is_given_back_is_written(void **state)
{
	struct completion_queue *queue = *state;

	push(queue, 1, &qp_b, 5000);
	push(queue, 2, &qp_a, 4000);
	push(queue, 3, &qp_b, 6000);
	completion_queue_write_out(queue, qp(&qp_a));
	completion_queue_orphan(queue, qp(&qp_a));
	assert_pops(queue, 100, 1);
	assert_pops(queue, 100, 2);
	assert_null(completion_queue_peek(queue, 100));
	assert_pops(queue, 6000, 3);
}

static void resize_keeps_what_waits(void **state)
{
	struct completion_queue *queue = *state;

	for (uint64_t i = 0; i < 3; i++)
		push(queue, i, &qp_a, 0);
	assert_pops(queue, 100, 0);
	push(queue, 3, &qp_a, 0);
	assert_int_equal(completion_queue_resize(queue, 2), -EINVAL);
	assert_int_equal(completion_queue_resize(queue, 3), 0);
	assert_false(push(queue, 4, &qp_a, 0));
	assert_int_equal(completion_queue_resize(queue, 100), 0);
	for (uint64_t i = 1; i < 4; i++)
		assert_pops(queue, 100, i);
}

static void full_queue_that_ignores_it_loses_the_oldest(void **state)
{
	struct completion_queue *queue = *state;

	queue->ignores_overrun = true;
	for (uint64_t i = 0; i < 7; i++)
		assert_true(push(queue, i, &qp_a, 0));
	assert_false(queue->overrun);
	for (uint64_t i = 2; i < 7; i++)
		assert_pops(queue, 100, i);
	assert_null(completion_queue_peek(queue, 100));
}

static void completion_tells_when_it_was_written(void **state)
{
	struct completion_queue *queue = *state;
	struct completion completion = {.completed_ns = 5};

	completion_queue_push(queue, &completion, 123);
	assert_int_equal(completion_queue_peek(queue, 200)->completed_ns, 123);
}

static void moderated_event_waits_for_the_count(void **state)
{
	struct completion_queue *queue = *state;

	completion_queue_moderate(queue, 3, 1000);
	for (int round = 1; round < 3; round++) {
		completion_queue_arm(queue, false, 100);
		push(queue, 1, &qp_a, 0);
		push(queue, 2, &qp_a, 0);
		completion_queue_turn(queue, 1099);
		assert_int_equal(events, round - 1);
		push(queue, 3, &qp_a, 0);
		assert_int_equal(events, round);
		while (completion_queue_peek(queue, 100))
			completion_queue_pop(queue);
	}
}

static void moderated_event_does_not_wait_for_ever(void **state)
{
	struct completion_queue *queue = *state;

	completion_queue_moderate(queue, 3, 1000);
	completion_queue_arm(queue, false, 100);
	push(queue, 1, &qp_a, 0);
	assert_int_equal(queue->notify_due_ns, 1100);
	completion_queue_turn(queue, 1100);
	assert_int_equal(events, 1);
	completion_queue_turn(queue, 5000);
	assert_int_equal(events, 1);
}

static void half_a_moderation_is_none(void **state)
{
	struct completion_queue *queue = *state;

	completion_queue_moderate(queue, 3, 0);
	completion_queue_arm(queue, false, 100);
	push(queue, 1, &qp_a, 0);
	assert_int_equal(events, 1);
	completion_queue_moderate(queue, 0, 1000);
	completion_queue_arm(queue, false, 100);
	push(queue, 2, &qp_a, 0);
	assert_int_equal(events, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_queue, close_queue)
	const struct CMUnitTest tests[] = {
	        TEST(one_too_many_overruns),
	        TEST(held_completion_hides_those_behind_it),
	        TEST(held_completion_raises_its_event_when_it_shows),
	        TEST(arming_sees_a_held_completion_coming),
	        TEST(arming_does_not_count_what_is_there),
	        TEST(what_is_behind_a_held_one_raises_its_event_with_it),
	        TEST(arming_sees_what_is_behind_a_held_one_coming),
	        TEST(solicited_arm_waits_for_a_solicited_or_failed_one),
	        TEST(arm_for_all_is_not_weakened),
	        TEST(purge_takes_one_queue_pairs_completions),
	        TEST(orphans_stay_without_their_queue_pair),
	        TEST(query_lets_go_what_was_held),
	        TEST(what_is_given_back_is_written),
	        TEST(resize_keeps_what_waits),
	        TEST(full_queue_that_ignores_it_loses_the_oldest),
	        TEST(completion_tells_when_it_was_written),
	        TEST(moderated_event_waits_for_the_count),
	        TEST(moderated_event_does_not_wait_for_ever),
	        TEST(half_a_moderation_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
