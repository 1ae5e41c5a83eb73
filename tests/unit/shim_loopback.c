/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A queue pair that is connected to itself: requester and responder of one device, one log, one
 * completion queue. What two queue pairs of one VM promise, other tests show for each place of the
 * other end (harness_ends).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/shim_harness.h"

enum { SENT_AT = 512, READ_AT = 1024, ADDED_AT = 2048, THERE = 4096 };

static int setup(void **state)
{
	static struct harness h;

	h = (struct harness){0};
	harness_open(&h);
	end_create_qp(&h.vm, &h);
	end_connect(&h.vm, &h.vm, FAKE_LID_VM);
	*state = &h;
	return 0;
}

static uint64_t *counter(struct end *end)
{
	return (uint64_t *)(void *)(end->memory + ADDED_AT);
}

/* The other end's half of its memory. */
static struct end there(const struct end *end)
{
	struct end there = *end;

	there.memory += THERE;
	return there;
}

static int write_text(struct end *end, uint64_t wr_id, const char *text)
{
	struct end to = there(end);

	strcpy((char *)end->memory + SENT_AT, text);
	return end_rdma(end, &to, IBV_WR_RDMA_WRITE, wr_id, SENT_AT, 8,
	        IBV_SEND_SIGNALED | IBV_SEND_INLINE);
}

static char *written(const struct end *end)
{
	return (char *)end->memory + THERE + SENT_AT;
}

static void what_was_not_executed_is_replayed_once(void **state)
{
	struct harness *h = *state;

	write_text(&h->vm, 1, "self");
	harness_move(h);
	assert_string_equal(written(&h->vm), "");
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_string_equal(written(&h->vm), "self");
	harness_expect_one(h, &h->vm, 1);
}

static void executed_and_unacknowledged_is_not_executed_again(void **state)
{
	struct harness *h = *state;

	write_text(&h->vm, 1, "self");
	end_run_unacknowledged(&h->vm, 1);
	strcpy(written(&h->vm), "seen");
	harness_move(h);
	assert_int_equal(end_pending(&h->vm), 0);
	assert_string_equal(written(&h->vm), "seen");
	harness_expect_one(h, &h->vm, 1);
}

/* The receive that it takes is its own, too. */
static void a_send_to_itself_is_taken_once(void **state)
{
	struct harness *h = *state;

	for (unsigned executed = 0; executed < 2; executed++) {
		end_receive(&h->vm, 50, SENT_AT, 8);
		end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
		end_run_unacknowledged(&h->vm, executed);
		harness_move(h);
		assert_int_equal(end_run(&h->vm, 9), !executed);
		assert_int_equal(harness_poll(h, &h->vm), 2);
		assert_int_equal(h->wc[0].wr_id + h->wc[1].wr_id, 51);
		assert_int_equal(h->wc[0].status | h->wc[1].status, IBV_WC_SUCCESS);
		assert_int_equal(fake_receives(real_of(h->vm.qp)), 0);
	}
}

static void a_send_that_waits_for_its_own_receive_is_replayed(void **state)
{
	struct harness *h = *state;

	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->vm, 1), 0);
	harness_move(h);
	end_receive(&h->vm, 50, SENT_AT, 8);
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_int_equal(harness_poll(h, &h->vm), 2);
}

static void an_unanswered_read_is_replayed_and_what_is_behind_it_is_not(void **state)
{
	struct harness *h = *state;

	struct end to = there(&h->vm);

	strcpy((char *)to.memory + READ_AT, "data");
	end_rdma(&h->vm, &to, IBV_WR_RDMA_READ, 1, READ_AT, 8, IBV_SEND_SIGNALED);
	write_text(&h->vm, 2, "self");
	end_run_unacknowledged(&h->vm, 2);
	strcpy(written(&h->vm), "seen");
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_string_equal((char *)h->vm.memory + READ_AT, "data");
	assert_string_equal(written(&h->vm), "seen");
}

static void an_atomic_without_its_answer_stops_the_move_before_the_vote(void **state)
{
	struct harness *h = *state;

	*counter(&h->vm) = 40;
	end_fetch_add(&h->vm, &h->vm, 1, ADDED_AT, 2);
	end_run_unacknowledged(&h->vm, 1);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	assert_string_equal(harness_reason(h), "atomic-unanswered");
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	fake_acknowledge(real_of(h->vm.qp));
	harness_expect_one(h, &h->vm, 1);
	harness_move(h);
	assert_int_equal(*counter(&h->vm), 42);
}

static void aborted_after_the_vote_it_goes_on_where_it_was(void **state)
{
	struct harness *h = *state;

	write_text(&h->vm, 1, "self");
	end_run_unacknowledged(&h->vm, 1);
	write_text(&h->vm, 2, "more");
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_string_equal(written(&h->vm), "more");
}

static void after_moves_its_number_and_keys_are_what_they_were(void **state)
{
	struct harness *h = *state;
	uint32_t number = h->vm.qp->qp_num, rkey = h->vm.mr->rkey;

	for (uint64_t i = 1; i < 6; i++) {
		harness_move(h);
		assert_int_equal(h->vm.qp->qp_num, number);
		assert_int_equal(h->vm.mr->rkey, rkey);
		write_text(&h->vm, i, "self");
		assert_int_equal(end_run(&h->vm, 1), 1);
		harness_expect_one(h, &h->vm, i);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_was_not_executed_is_replayed_once),
	        TEST(executed_and_unacknowledged_is_not_executed_again),
	        TEST(a_send_to_itself_is_taken_once),
	        TEST(a_send_that_waits_for_its_own_receive_is_replayed),
	        TEST(an_unanswered_read_is_replayed_and_what_is_behind_it_is_not),
	        TEST(an_atomic_without_its_answer_stops_the_move_before_the_vote),
	        TEST(aborted_after_the_vote_it_goes_on_where_it_was),
	        TEST(after_moves_its_number_and_keys_are_what_they_were),
	};

	return HARNESS_RUN_ON_EACH_LINK(tests);
}
