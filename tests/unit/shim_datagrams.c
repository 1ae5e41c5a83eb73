/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UD and UC through a move: what was not sent is sent once, nothing is sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_letters.h"

static int setup_shared(void **state)
{
	static struct harness h;

	harness_begin(&h, (struct harness){.type = IBV_QPT_UD, .with_srq = true});
	*state = &h;
	return 0;
}

static void what_was_received_before_and_after_arrives(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++)
		post_receive(&h->peer, n);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->vm, 9), 1);
	expect_letter(h, &h->peer, 0, 0);
	harness_move(h);
	harness_expect_one(h, &h->vm, 0);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 1);
	expect_letter(h, &h->peer, 1, 1);
	harness_move(h);
	send_letter(&h->vm, 2, 0);
	assert_int_equal(end_run(&h->vm, 9), 1);
	expect_letter(h, &h->peer, 2, 2);
}

static void peers_reach_it_by_the_number_that_they_know(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++) {
		post_receive(&h->vm, 0);
		send_letter(&h->peer, n, 0);
		assert_int_equal(end_run(&h->peer, 9), 1);
		expect_letter(h, &h->vm, 0, n);
		harness_move(h);
	}
	assert_int_not_equal(real_of(h->vm.qp)->qp_num, h->vm.qp->qp_num);
}

static void what_was_not_sent_is_sent_once(void **state)
{
	struct harness *h = *state;

	letter_has_gone(h, &h->vm, &h->peer);
	post_receive(&h->peer, 0);
	post_receive(&h->peer, 1);
	send_letter(&h->vm, 0, 0);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	assert_int_equal(end_pending(&h->vm), 2);
	assert_int_equal(end_run(&h->vm, 9), 2);
	harness_expect_one(h, &h->vm, 1);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	harness_move(h);
	assert_int_equal(end_pending(&h->vm), 0);
}

/* Sent is done, whatever became of it; so it is not sent again. */
static void what_was_sent_without_a_completion_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	send_letter(&h->vm, 1, 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 2, false), 2);
	harness_move(h);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_expect_one(h, &h->vm, 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
}

/* Successes, in this order, and no more. */
static void expect_two(struct harness *h, struct end *end, uint64_t first, uint64_t second)
{
	assert_int_equal(harness_poll(h, end), 2);
	assert_int_equal(h->wc[0].wr_id, first);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[1].wr_id, second);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
}

/* Neither its completion nor a flush has come: the success is made up. */
static void a_completion_that_never_comes_is_made_up(void **state)
{
	struct harness *h = *state;

	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	fake.hold_flushes = true;
	harness_move(h);
	fake.hold_flushes = false;
	assert_int_equal(end_pending(&h->vm), 0);
	expect_two(h, &h->vm, 0, 1);
}

/* A device that knows only of what it has completed. What it has sent its PSN says. */
static void what_was_sent_and_given_back_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	fake.err_gives_back_what_was_sent = true;
	for (int round = 0; round < 2; round++) {
		for (uint64_t n = 0; n < 4; n++)
			post_receive(&h->peer, n);
		for (uint64_t n = 0; n < 4; n++)
			send_letter(&h->vm, n, n == 1 ? 0 : IBV_SEND_SIGNALED);
		assert_int_equal(fake_execute(real_of(h->vm.qp), 3, false), 3);
		harness_move(h);
		assert_int_equal(end_pending(&h->vm), 1);
		expect_two(h, &h->vm, 0, 2);
		assert_int_equal(end_run(&h->vm, 9), 1);
		harness_expect_one(h, &h->vm, 3);
		assert_int_equal(harness_poll(h, &h->peer), 4);
		assert_int_equal(fake_receives(real_of(h->peer.qp)), 0);
	}
}

/* Lost at worst, but never twice there. */
static void what_is_given_back_without_a_word_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	fake.err_gives_back_what_was_sent = true;
	fake.psns_are_live = false;
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->vm, 1), 1);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	send_letter(&h->vm, 2, 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, false), 1);
	harness_move(h);
	assert_int_equal(end_pending(&h->vm), 0);
	expect_two(h, &h->vm, 0, 1);
}

/* A device that answers what it was given cannot be told from one that has sent nothing. */
static void the_number_that_it_was_given_is_no_word(void **state)
{
	struct harness *h = *state;

	fake.err_gives_back_what_was_sent = true;
	fake.sq_psns_are_as_given = true;
	for (int round = 0; round < 2; round++) {
		send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
		send_letter(&h->vm, 1, 0);
		assert_int_equal(fake_execute(real_of(h->vm.qp), 2, false), 2);
		harness_move(h);
		assert_int_equal(end_pending(&h->vm), 0);
		harness_expect_one(h, &h->vm, 0);
	}
}

static void sends_nothing_after_a_move_to(struct harness *h, uint32_t part)
{
	letter_has_gone(h, &h->vm, &h->peer);
	fake.part = part;
	harness_move(h);
	send_letter(&h->vm, 0, 0);
	harness_move(h);
}

static void what_the_device_before_has_shown_is_believed(void **state)
{
	struct harness *h = *state;

	sends_nothing_after_a_move_to(h, fake.part);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void a_device_of_another_make_has_to_show_it_again(void **state)
{
	struct harness *h = *state;

	sends_nothing_after_a_move_to(h, fake.part + 1);
	assert_int_equal(end_pending(&h->vm), 0);
	letter_has_gone(h, &h->vm, &h->peer);
	sends_nothing_after_a_move_to(h, fake.part);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void what_another_queue_pair_has_shown_is_believed(void **state)
{
	struct harness *h = *state;
	struct end second = second_of(h, &h->vm, &h->peer);

	letter_has_gone(h, &h->vm, &h->peer);
	send_letter(&second, 0, 0);
	harness_move(h);
	assert_int_equal(end_pending(&second), 1);
	second_end(&second);
}

static void what_is_posted_meanwhile_is_kept(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	for (uint64_t n = 0; n < HARNESS_DEPTH; n++)
		assert_int_equal(send_letter(&h->vm, n, IBV_SEND_SIGNALED), 0);
	assert_int_equal(send_letter(&h->vm, 9, 0), ENOMEM);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_go_on(h);
	assert_int_equal(end_pending(&h->vm), HARNESS_DEPTH);
	end_run(&h->vm, HARNESS_DEPTH);
	assert_int_equal(harness_poll(h, &h->vm), HARNESS_DEPTH);
}

static void posted_receives_are_there_after_the_move(void **state)
{
	struct harness *h = *state;

	post_receive(&h->vm, 0);
	post_receive(&h->vm, 1);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), 2);
	assert_int_equal(harness_poll(h, &h->vm), 0);
}

static void a_move_given_up_before_the_vote_leaves_it_alone(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *real = real_of(h->vm.qp);

	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	assert_int_equal(fake_pending(real), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_ptr_equal(real_of(h->vm.qp), real);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 0);
}

/* With a receive, and a letter that has not gone. */
static void is_voted_for(struct harness *h)
{
	letter_has_gone(h, &h->vm, &h->peer);
	post_receive(&h->vm, 0);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	harness_stop(h);
}

static void a_move_given_up_after_the_vote_goes_on_in_place(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *real = real_of(h->vm.qp);

	is_voted_for(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_ptr_equal(real_of(h->vm.qp), real);
	assert_int_equal(fake_receives(real), 1);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 0);
}

/* No evidence names it, so the root may ask for nothing more. */
static void a_vote_that_nobody_hears_of_ends_with_the_abort(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *real = real_of(h->vm.qp);

	is_voted_for(h);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_ptr_equal(real_of(h->vm.qp), real);
	assert_int_equal(fake_receives(real), 1);
	assert_int_equal(end_run(&h->vm, 9), 2);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(context_of(h->vm.context)->phase, PHASE_RUNNING);
	harness_move(h);
	send_letter(&h->vm, 2, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 2);
}

/* It may be asked for its vote again where others have evidence. */
static void it_votes_again_behind_an_abort(void **state)
{
	struct harness *h = *state;

	post_receive(&h->vm, 0);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_ERR);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 0);
}

static void only_sends_are_accepted(void **state)
{
	struct harness *h = *state;

	assert_int_equal(end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), EINVAL);
	harness_stop(h);
	assert_int_equal(end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), EINVAL);
	harness_go_on(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(what_was_received_before_and_after_arrives),
	        cmocka_unit_test_setup_teardown(
	                what_was_received_before_and_after_arrives, setup_shared, harness_teardown),
	        BOTH(what_was_not_sent_is_sent_once),
	        BOTH(what_was_sent_without_a_completion_is_not_sent_again),
	        BOTH(a_completion_that_never_comes_is_made_up),
	        BOTH(what_is_posted_meanwhile_is_kept),
	        BOTH(posted_receives_are_there_after_the_move),
	        BOTH(a_move_given_up_before_the_vote_leaves_it_alone),
	        BOTH(a_move_given_up_after_the_vote_goes_on_in_place),
	        UD(a_vote_that_nobody_hears_of_ends_with_the_abort),
	        UD(it_votes_again_behind_an_abort),
	        UD(only_sends_are_accepted),
	        BOTH(peers_reach_it_by_the_number_that_they_know),
	        BOTH(what_was_sent_and_given_back_is_not_sent_again),
	        BOTH(what_is_given_back_without_a_word_is_not_sent_again),
	        BOTH(the_number_that_it_was_given_is_no_word),
	        BOTH(what_the_device_before_has_shown_is_believed),
	        BOTH(a_device_of_another_make_has_to_show_it_again),
	        UD(what_another_queue_pair_has_shown_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
