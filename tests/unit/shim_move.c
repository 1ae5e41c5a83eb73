/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Exactly once: what becomes of work in each state in which a stop can find it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_sides.h"

BOTH_WAYS(finished_work_is_left_alone)
{
	assert_int_equal(write8(s, 1, "done", IBV_SEND_SIGNALED), 0);
	end_run(s.from, 1);
	harness_expect_one(h, s.from, 1);
	strcpy((char *)s.to->memory + 8, "mine");
	harness_move(h);
	assert_int_equal(end_pending(s.from), 0);
	assert_string_equal(there(s, 1), "mine");
	assert_int_equal(harness_poll(h, s.from), 0);
}

BOTH_WAYS(what_was_not_executed_is_replayed_once)
{
	write8(s, 1, "one", IBV_SEND_SIGNALED);
	write8(s, 2, "two", 0);
	harness_move(h);
	assert_int_equal(end_pending(s.from), 2);
	assert_int_equal(end_run(s.from, 9), 2);
	assert_string_equal(there(s, 1), "one");
	assert_string_equal(there(s, 2), "two");
	harness_expect_one(h, s.from, 1);
}

BOTH_WAYS(executed_and_unacknowledged_is_not_executed_again)
{
	write8(s, 1, "sent", IBV_SEND_SIGNALED);
	end_run_unacknowledged(s.from, 1);
	assert_string_equal(there(s, 1), "sent");
	strcpy((char *)s.to->memory + 8, "seen");
	harness_move(h);
	assert_int_equal(end_pending(s.from), 0);
	assert_string_equal(there(s, 1), "seen");
	harness_expect_one(h, s.from, 1);
}

BOTH_WAYS(unsignalled_and_executed_is_neither_replayed_nor_reported)
{
	write8(s, 1, "sent", 0);
	end_run_unacknowledged(s.from, 1);
	harness_move(h);
	assert_int_equal(end_pending(s.from), 0);
	assert_int_equal(harness_poll(h, s.from), 0);
}

BOTH_WAYS(a_message_of_which_a_part_arrived_is_replayed_whole)
{
	memset(s.from->memory + 4096, 'x', 3 * FAKE_MTU);
	end_rdma(s.from, s.to, IBV_WR_RDMA_WRITE, 1, 4096, 3 * FAKE_MTU, IBV_SEND_SIGNALED);
	fake_execute_part(real_of(s.from->qp), 2);
	harness_move(h);
	assert_int_equal(end_run(s.from, 9), 1);
	assert_memory_equal(s.to->memory + 4096, s.from->memory + 4096, 3 * FAKE_MTU);
	harness_expect_one(h, s.from, 1);
	memset(s.to->memory + 4096, 0, 3 * FAKE_MTU);
}

BOTH_WAYS(a_send_without_a_receive_is_replayed_and_taken_once)
{
	strcpy((char *)s.from->memory, "hi");
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(s.from, 1), 0);
	harness_move(h);
	assert_int_equal(end_run(s.from, 1), 0);
	end_receive(s.to, 50, 256, 8);
	assert_int_equal(end_run(s.from, 9), 1);
	harness_expect_one(h, s.from, 1);
	harness_expect_one(h, s.to, 50);
	assert_string_equal((char *)s.to->memory + 256, "hi");
}

BOTH_WAYS(posted_receives_are_there_after_the_move)
{
	for (uint64_t i = 0; i < 3; i++)
		end_receive(s.to, 50 + i, (uint32_t)(256 + 8 * i), 8);
	end_send(s.from, 1, 0, 8, 0);
	end_run(s.from, 1);
	harness_expect_one(h, s.to, 50);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(s.to->qp)), 2);
	end_send(s.from, 2, 0, 8, 0);
	end_send(s.from, 3, 0, 8, 0);
	end_run(s.from, 9);
	assert_int_equal(harness_poll(h, s.to), 2);
	assert_int_equal(h->wc[0].wr_id, 51);
	assert_int_equal(h->wc[1].wr_id, 52);
}

/* Not before both sides have voted. */
static void release_late(struct harness *h)
{
	if (h->settled && h->now_ms % 50 == 0)
		fake_release_receives();
}

/* The sender has its acknowledgement, the receiver does not see the receive yet. */
BOTH_WAYS(a_receive_whose_completion_is_late_is_waited_for)
{
	end_receive(s.to, 50, 256, 8);
	end_receive(s.to, 51, 264, 8);
	fake.hold_receives = true;
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	end_run(s.from, 1);
	harness_expect_one(h, s.from, 1);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	harness_expect_one(h, s.to, 50);
	assert_int_equal(fake_receives(real_of(s.to->qp)), 1);
	end_send(s.from, 2, 0, 8, 0);
	end_run(s.from, 1);
	harness_expect_one(h, s.to, 51);
}

/* Nobody has it: neither acknowledgement nor receive completion, but it was executed. */
BOTH_WAYS(a_late_receive_of_unacknowledged_work_is_waited_for_too)
{
	end_receive(s.to, 50, 256, 8);
	fake.hold_receives = true;
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	end_run_unacknowledged(s.from, 1);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	harness_expect_one(h, s.to, 50);
	harness_expect_one(h, s.from, 1);
	assert_int_equal(end_pending(s.from), 0);
}

BOTH_WAYS(an_unanswered_read_is_replayed)
{
	strcpy((char *)s.to->memory + 512, "data");
	end_rdma(s.from, s.to, IBV_WR_RDMA_READ, 1, 512, 8, IBV_SEND_SIGNALED);
	end_run_unacknowledged(s.from, 1);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), 0);
	assert_int_equal(end_run(s.from, 9), 1);
	harness_expect_one(h, s.from, 1);
	assert_string_equal((char *)s.from->memory + 512, "data");
}

/* The WRITE behind it was executed; its completion still comes in its turn. */
BOTH_WAYS(completions_stay_in_order_behind_a_replayed_read)
{
	end_rdma(s.from, s.to, IBV_WR_RDMA_READ, 1, 512, 8, IBV_SEND_SIGNALED);
	write8(s, 2, "sent", IBV_SEND_SIGNALED);
	end_run_unacknowledged(s.from, 2);
	strcpy((char *)s.to->memory + 16, "seen");
	write8(s, 3, "next", IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), 0);
	assert_int_equal(end_pending(s.from), 2);
	end_run(s.from, 1);
	assert_int_equal(harness_poll(h, s.from), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
	end_run(s.from, 1);
	harness_expect_one(h, s.from, 3);
	assert_string_equal(there(s, 2), "seen");
}

BOTH_WAYS(a_second_move_before_the_read_is_done_changes_nothing)
{
	end_rdma(s.from, s.to, IBV_WR_RDMA_READ, 1, 512, 8, IBV_SEND_SIGNALED);
	write8(s, 2, "sent", IBV_SEND_SIGNALED);
	end_run_unacknowledged(s.from, 2);
	strcpy((char *)s.to->memory + 16, "seen");
	harness_move(h);
	harness_move(h);
	end_run(s.from, 9);
	assert_int_equal(harness_poll(h, s.from), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_string_equal(there(s, 2), "seen");
}

/* Behind a SEND that waits for a receive nothing is executed; but it may find one at any time. */
BOTH_WAYS(an_atomic_behind_a_blocked_send_is_executed_once_after_all)
{
	uint64_t *counter = (uint64_t *)(void *)(s.to->memory + 1024);

	*counter = 40;
	end_send(s.from, 1, 0, 8, 0);
	end_fetch_add(s.from, s.to, 2, 1024, 2);
	assert_int_equal(end_run(s.from, 9), 0);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	end_receive(s.to, 50, 256, 8);
	assert_int_equal(end_run(s.from, 9), 2);
	harness_move(h);
	assert_int_equal(*counter, 42);
	harness_expect_one(h, s.from, 2);
	harness_expect_one(h, s.to, 50);
}

BOTH_WAYS(an_atomic_without_its_answer_stops_the_move_before_the_vote)
{
	uint64_t *counter = (uint64_t *)(void *)(s.to->memory + 1024);

	*counter = 40;
	end_fetch_add(s.from, s.to, 1, 1024, 2);
	end_run_unacknowledged(s.from, 1);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	assert_string_equal(harness_reason(h), "atomic-unanswered");
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(*counter, 42);
	write8(s, 2, "goes on", IBV_SEND_SIGNALED);
	/* the transport's retry brings the answer after all */
	fake_acknowledge(real_of(s.from->qp));
	harness_expect_one(h, s.from, 1);
	end_run(s.from, 1);
	harness_expect_one(h, s.from, 2);
}

static void inline_data_survives_its_buffer(void **state)
{
	struct harness *h = *state;
	struct sides s = from_vm(h);

	write8(s, 1, "first", IBV_SEND_INLINE);
	strcpy((char *)h->vm.memory + 8, "later");
	harness_move(h);
	end_run(&h->vm, 1);
	assert_string_equal(there(s, 1), "first");
}

/* ---- shared receive queues ---- */

BOTH_WAYS(shared_buffers_are_used_once_each)
{
	for (uint64_t i = 0; i < 3; i++)
		end_receive(s.to, 50 + i, (uint32_t)(256 + 8 * i), 8);
	end_send(s.from, 1, 0, 8, 0);
	end_run(s.from, 1);
	harness_expect_one(h, s.to, 50);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(s.to->qp)), 2);
	end_send(s.from, 2, 0, 8, 0);
	end_send(s.from, 3, 0, 8, 0);
	end_run(s.from, 9);
	assert_int_equal(harness_poll(h, s.to), 2);
	assert_int_equal(h->wc[0].wr_id, 51);
	assert_int_equal(h->wc[1].wr_id, 52);
}

/* ---- other adapters ---- */

BOTH_WAYS(completions_of_an_earlier_incarnation_are_not_shown)
{
	fake.reset_purges = false;
	fake.err_flushes_receives = false;
	end_receive(s.to, 50, 256, 8);
	write8(s, 1, "sent", IBV_SEND_SIGNALED);
	write8(s, 2, "then", 0);
	end_run_unacknowledged(s.from, 1);
	harness_move(h);
	harness_expect_one(h, s.from, 1);
	assert_int_equal(end_run(s.from, 9), 1);
	end_send(s.from, 3, 0, 8, 0);
	end_run(s.from, 1);
	harness_expect_one(h, s.to, 50);
}

/* A provider that neither purges nor is quick: what ERR flushed turns up after RESUME. */
static void flushes_that_come_after_the_move_are_not_errors(void **state)
{
	struct harness *h = *state;
	struct sides s = from_peer(h);

	fake.reset_purges = false;
	fake.hold_flushes = true;
	end_receive(&h->peer, 60, 256, 8);
	write8(s, 1, "sent", IBV_SEND_SIGNALED);
	harness_move(h);
	fake_release_flushes();
	assert_int_equal(harness_poll(h, &h->peer), 0);
	assert_int_equal(end_run(&h->peer, 9), 1);
	harness_expect_one(h, &h->peer, 1);
	harness_move(h);
	write8(s, 2, "more", IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->peer, 9), 1);
	harness_expect_one(h, &h->peer, 2);
}

/* Anew, on devices that do not say how far they have received: nothing, or what they were given. */
static void begin_dead(struct harness *h, bool as_given)
{
	harness_close(h);
	harness_begin(h, (struct harness){.psns_are_dead = true});
	fake.rq_psns_are_as_given = as_given;
}

BOTH_WAYS(without_a_live_frontier_finished_work_goes_on)
{
	begin_dead(h, false);
	write8(s, 1, "done", IBV_SEND_SIGNALED);
	end_run(s.from, 1);
	harness_expect_one(h, s.from, 1);
	harness_move(h);
	write8(s, 2, "more", IBV_SEND_SIGNALED);
	end_run(s.from, 1);
	harness_expect_one(h, s.from, 2);
}

static void without_a_live_frontier_unfinished_work_ends_with_an_error(void **state)
{
	struct harness *h = *state;

	begin_dead(h, false);
	write8(from_vm(h), 1, "sent", IBV_SEND_SIGNALED);
	end_run_unacknowledged(&h->vm, 1);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(end_pending(&h->vm), 0);
}

/* An empty field is a number where numbers wrap, and this one would be in the middle. */
BOTH_WAYS(an_empty_frontier_is_none_where_numbers_wrap)
{
	begin_dead(h, false);
	for (uint64_t i = 0; i < HARNESS_DEPTH; i++)
		write8(s, i, "sent", IBV_SEND_SIGNALED);
	assert_int_equal(end_run_unacknowledged(s.from, HARNESS_DEPTH), HARNESS_DEPTH);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), HARNESS_DEPTH);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(end_pending(s.from), 0);
}

static void without_a_live_frontier_reads_alone_are_replayed(void **state)
{
	struct harness *h = *state;

	begin_dead(h, false);
	end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(end_run(&h->vm, 1), 1);
	harness_expect_one(h, &h->vm, 1);
}

/* As if nothing had been received; of WRITEs nobody could tell. */
BOTH_WAYS(a_frontier_as_it_was_given_is_none)
{
	begin_dead(h, true);
	write8(s, 1, "sent", IBV_SEND_SIGNALED);
	write8(s, 2, "too", IBV_SEND_SIGNALED);
	assert_int_equal(end_run_unacknowledged(s.from, 2), 2);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), 2);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(end_pending(s.from), 0);
}

/* Of a vendor whose devices count; this one does not. */
BOTH_WAYS(receives_belie_a_frontier_that_stands_still)
{
	fake.rq_psns_are_as_given = true;
	end_receive(s.to, 50, 0, 8);
	end_send(s.from, 1, 8, 8, IBV_SEND_SIGNALED);
	assert_int_equal(end_run_unacknowledged(s.from, 1), 1);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(end_pending(s.from), 0);
	harness_close(h);
	harness_begin(h, (struct harness){0});
}

#define EITHER(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
#define SHARED(test) cmocka_unit_test_setup_teardown(test, harness_setup_srq, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        EITHER(finished_work_is_left_alone),
	        EITHER(what_was_not_executed_is_replayed_once),
	        EITHER(executed_and_unacknowledged_is_not_executed_again),
	        EITHER(unsignalled_and_executed_is_neither_replayed_nor_reported),
	        EITHER(a_message_of_which_a_part_arrived_is_replayed_whole),
	        EITHER(a_send_without_a_receive_is_replayed_and_taken_once),
	        EITHER(posted_receives_are_there_after_the_move),
	        EITHER(a_receive_whose_completion_is_late_is_waited_for),
	        EITHER(a_late_receive_of_unacknowledged_work_is_waited_for_too),
	        EITHER(an_unanswered_read_is_replayed),
	        EITHER(completions_stay_in_order_behind_a_replayed_read),
	        EITHER(a_second_move_before_the_read_is_done_changes_nothing),
	        EITHER(an_atomic_behind_a_blocked_send_is_executed_once_after_all),
	        EITHER(an_atomic_without_its_answer_stops_the_move_before_the_vote),
	        EITHER(inline_data_survives_its_buffer),
	        SHARED(shared_buffers_are_used_once_each),
	        EITHER(completions_of_an_earlier_incarnation_are_not_shown),
	        EITHER(flushes_that_come_after_the_move_are_not_errors),
	        EITHER(without_a_live_frontier_finished_work_goes_on),
	        EITHER(without_a_live_frontier_unfinished_work_ends_with_an_error),
	        EITHER(an_empty_frontier_is_none_where_numbers_wrap),
	        EITHER(without_a_live_frontier_reads_alone_are_replayed),
	        EITHER(a_frontier_as_it_was_given_is_none),
	        EITHER(receives_belie_a_frontier_that_stands_still),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
