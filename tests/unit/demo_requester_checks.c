/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "demo-apps/rc_verify/add_ledger.h"
#include "demo-apps/verify/message.h"
#include "demo-apps/verify/pauses.h"
#include "demo-apps/rc_verify/send_queue.h"
#include "demo-apps/rc_verify/workload.h"

static struct add_ledger ledger;
static struct findings found;

static int fresh(void **state)
{
	memset(&ledger, 0, sizeof(ledger));
	memset(&found, 0, sizeof(found));
	return 0;
}

static void results_in_any_order_tile(void **state)
{
	add_ledger_took(&ledger, 30, 5, &found);
	add_ledger_took(&ledger, 10, 20, &found);
	add_ledger_took(&ledger, 0, 10, &found);
	add_ledger_finish(&ledger, &found);
	assert_true(findings_none(&found));
	assert_int_equal(ledger.total, 35);
}

/* Without a signal a result is taken late; everybody else goes on meanwhile. */
static void result_that_is_taken_late_is_no_repeat(void **state)
{
	add_ledger_took(&ledger, 5, 1, &found);
	for (uint64_t n = 0; n < 3 * ADD_LEDGER_PIECES; n++)
		add_ledger_took(&ledger, 7 + n, 1, &found);
	assert_int_equal(ledger.pieces, 2);
	add_ledger_took(&ledger, 6, 1, &found);
	add_ledger_took(&ledger, 0, 5, &found);
	add_ledger_finish(&ledger, &found);
	assert_true(findings_none(&found));
	assert_int_equal(ledger.tiled, ledger.total);
}

static void add_that_ran_twice_leaves_a_piece_nobody_took(void **state)
{
	add_ledger_took(&ledger, 0, 10, &found);
	add_ledger_took(&ledger, 20, 10, &found);
	add_ledger_finish(&ledger, &found);
	assert_int_equal(found.duplicated, 1);
}

static void result_given_twice_is_seen(void **state)
{
	add_ledger_took(&ledger, 0, 10, &found);
	add_ledger_took(&ledger, 0, 10, &found);
	assert_int_equal(found.duplicated, 1);
}

static void overlapping_results_are_seen_ahead_of_the_tiled_part(void **state)
{
	add_ledger_took(&ledger, 100, 10, &found);
	add_ledger_took(&ledger, 105, 10, &found);
	assert_int_equal(found.duplicated, 1);
}

static void queue_push(struct send_queue *queue, bool is_signalled)
{
	struct work work = {.is_signalled = is_signalled};

	send_queue_push(queue, &work);
}

static void signal_completes_what_is_before_it(void **state)
{
	struct send_queue queue;

	assert_int_equal(send_queue_init(&queue, 4), 0);
	queue_push(&queue, false);
	queue_push(&queue, false);
	queue_push(&queue, true);
	queue_push(&queue, false);
	assert_int_equal(send_queue_room(&queue), 0);
	assert_int_equal(send_queue_complete(&queue, 2, &found), 3);
	assert_int_equal(send_queue_room(&queue), 3);
	assert_true(send_queue_is_mute(&queue));
	assert_true(findings_none(&found));
	send_queue_finish(&queue);
}

static void skipped_completion_is_lost(void **state)
{
	struct send_queue queue;

	assert_int_equal(send_queue_init(&queue, 4), 0);
	queue_push(&queue, true);
	queue_push(&queue, true);
	assert_int_equal(send_queue_complete(&queue, 1, &found), 2);
	assert_int_equal(found.lost, 1);
	send_queue_finish(&queue);
}

static void completion_given_twice_is_a_repeat(void **state)
{
	struct send_queue queue;

	assert_int_equal(send_queue_init(&queue, 4), 0);
	queue_push(&queue, true);
	assert_int_equal(send_queue_complete(&queue, 0, &found), 1);
	assert_int_equal(send_queue_complete(&queue, 0, &found), 0);
	assert_int_equal(found.duplicated, 1);
	send_queue_finish(&queue);
}

static void completion_without_a_signal_is_an_error(void **state)
{
	struct send_queue queue;

	assert_int_equal(send_queue_init(&queue, 4), 0);
	queue_push(&queue, false);
	assert_int_equal(send_queue_complete(&queue, 0, &found), 0);
	assert_int_equal(found.errors, 1);
	send_queue_finish(&queue);
}

static void mix_has_every_kind_and_stays_in_bounds(void **state)
{
	struct workload workload = {.seed = 42,
	        .limits = {.length_max = 4096,
	                .inline_max = 64,
	                .sges_max = WORK_SGES,
	                .pattern_length = 16384,
	                .signal_every = 4,
	                .has_atomics = true}};
	unsigned seen[WORK_KIND_COUNT] = {0}, silent = 0, inlined = 0, gathered = 0, longest = 0;
	struct work work;

	for (int i = 0; i < 20000; i++) {
		workload_next(&workload, &work);
		seen[work.kind]++;
		silent += !work.is_signalled;
		inlined += work.is_inline;
		gathered += work.sges > 1;
		longest = work.length > longest ? work.length : longest;
		assert_true(work.length <= 4096);
		assert_true(work.sges >= 1 && work.sges <= WORK_SGES);
		assert_true(!work.is_inline || work.length <= 64);
		assert_true(work.kind != WORK_read || work.offset + work.length <= 16384);
	}
	for (int kind = 0; kind < WORK_KIND_COUNT; kind++)
		assert_true(seen[kind] > 0);
	assert_true(silent > 0 && inlined > 0 && gathered > 0 && longest > 2048);
}

static void longest_pauses_are_kept_in_order_of_time(void **state)
{
	static struct pauses pauses;
	struct pause out[2];
	uint64_t now = 1000;

	memset(&pauses, 0, sizeof(pauses));
	pauses_completion(&pauses, now);
	for (int i = 0; i < 3 * PAUSES_KEPT; i++)
		pauses_completion(&pauses, now += 3000);
	pauses_completion(&pauses, now += 90000);
	pauses_completion(&pauses, now += 3000);
	pauses_completion(&pauses, now += 95000);
	assert_int_equal(pauses_longest(&pauses, out, 2), 2);
	assert_int_equal(out[0].length_us, 90000);
	assert_int_equal(out[1].length_us, 95000);
	assert_int_equal(out[1].start_us, now - 95000);
}

#define FRESH(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        FRESH(results_in_any_order_tile),
	        FRESH(result_that_is_taken_late_is_no_repeat),
	        FRESH(add_that_ran_twice_leaves_a_piece_nobody_took),
	        FRESH(result_given_twice_is_seen),
	        FRESH(overlapping_results_are_seen_ahead_of_the_tiled_part),
	        FRESH(signal_completes_what_is_before_it),
	        FRESH(skipped_completion_is_lost),
	        FRESH(completion_given_twice_is_a_repeat),
	        FRESH(completion_without_a_signal_is_an_error),
	        FRESH(mix_has_every_kind_and_stays_in_bounds),
	        FRESH(longest_pauses_are_kept_in_order_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
