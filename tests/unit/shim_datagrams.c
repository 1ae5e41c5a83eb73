/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* UD and UC through a move: what was not sent is sent once, nothing is sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

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
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 0);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
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
		assert_int_equal(harness_poll(h, &h->vm), 2);
		assert_int_equal(h->wc[0].wr_id, 0);
		assert_int_equal(h->wc[1].wr_id, 2);
		assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
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
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].wr_id, 1);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
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

static void a_move_given_up_after_the_vote_goes_on_in_place(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *real = real_of(h->vm.qp);

	letter_has_gone(h, &h->vm, &h->peer);
	post_receive(&h->vm, 0);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_ptr_equal(real_of(h->vm.qp), real);
	assert_int_equal(fake_receives(real), 1);
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

/* ---- UD: who has sent it, and what its handle is needed for ---- */

static void rebuild_with_number(struct harness *h, uint32_t first)
{
	int next = fake.slot + 1;

	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = next;
	fake_next_number(first);
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
}

/* The new function gives each the number by which another is known. */
static void numbers_that_were_another_s_mean_who_they_meant(void **state)
{
	struct harness *h = *state;
	struct end second = second_of(h, &h->vm, &h->peer);

	harness_stop(h);
	/* One region first. */
	rebuild_with_number(h, second.qp->qp_num - 1);
	assert_int_equal(real_of(h->vm.qp)->qp_num, second.qp->qp_num);
	post_receive(&h->vm, 0);
	end_receive(&second, 71, INBOX + 512, LENGTH + GRH);
	h->peer.remote_qpn = second.qp->qp_num;
	send_letter(&h->peer, 3, 0);
	assert_int_equal(end_run(&h->peer, 9), 1);
	harness_expect_one(h, &second, 71);
	post_receive(&h->peer, 0);
	send_letter(&second, 4, 0);
	assert_int_equal(end_run(&second, 9), 1);
	expect_letter(h, &h->peer, 0, 4);
	h->peer.remote_qpn = h->vm.qp->qp_num;
	send_letter(&h->peer, 5, 0);
	assert_int_equal(end_run(&h->peer, 9), 1);
	expect_letter(h, &h->vm, 0, 5);
	second_end(&second);
}

/* What was received before the move is of who had the number then. */
static void what_came_before_is_of_who_sent_it_then(void **state)
{
	struct harness *h = *state;
	struct end second = second_of(h, &h->vm, &h->peer);

	post_receive(&h->peer, 0);
	fake.hold_receives = true;
	send_letter(&second, 4, 0);
	end_run(&second, 9);
	harness_stop(h);
	fake_release_receives();
	rebuild_with_number(h, second.qp->qp_num - 1);
	h->peer.remote_qpn = second.qp->qp_num;
	expect_letter(h, &h->peer, 0, 4);
	second_end(&second);
}

/* As a device does, which copies the address with the work. */
static void a_handle_may_be_destroyed_behind_its_post(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr there = {.dlid = FAKE_LID_PEER, .port_num = 1};
	struct ibv_ah *to_peer = h->vm.ah;
	unsigned live;

	letter_has_gone(h, &h->vm, &h->peer);
	post_receive(&h->peer, 0);
	post_receive(&h->peer, 1);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	harness_stop(h);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_destroy_ah(to_peer), 0);
	harness_go_on(h);
	assert_int_equal(end_run(&h->vm, 9), 2);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->peer.memory[INBOX + 128 + GRH], 'b');
	assert_int_equal(harness_poll(h, &h->vm), 2);
	live = fake.live_objects;
	h->vm.ah = ibv_create_ah(h->vm.pd, &there);
	assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
	h->vm.ah = NULL;
	assert_int_equal(fake.live_objects, live - 1);
}

static struct ibv_ah *to_peer_of(const struct harness *h)
{
	struct ibv_ah_attr there = {.dlid = FAKE_LID_PEER, .port_num = 1};

	return ibv_create_ah(h->vm.pd, &there);
}

/* One for each message, and a completion now and then. */
static void handles_of_done_work_do_not_pile_up(void **state)
{
	struct harness *h = *state;
	struct ibv_ah *own = h->vm.ah;
	unsigned live = fake.live_objects;

	for (uint64_t n = 0; n < 1000; n++) {
		h->vm.ah = to_peer_of(h);
		assert_int_equal(send_letter(&h->vm, n % 8, n % 4 ? 0 : IBV_SEND_SIGNALED), 0);
		assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
		assert_true(fake.live_objects < live + 100);
		end_run(&h->vm, 9);
		harness_poll(h, &h->vm);
	}
	h->vm.ah = own;
	harness_move(h);
	assert_true(fake.live_objects < live + HARNESS_DEPTH);
}

struct destroyer {
	struct ibv_ah *ah;
	bool done;
};

static void *destroy_it(void *at)
{
	struct destroyer *d = at;

	assert_int_equal(ibv_destroy_ah(d->ah), 0);
	__atomic_store_n(&d->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Who posts is not disturbed by each of them. */
static void who_destroys_a_handle_does_not_look_at_the_queues(void **state)
{
	struct harness *h = *state;
	struct gate *gate = &queue_pair_of(h->vm.qp)->send_gate;
	struct destroyer d = {.ah = to_peer_of(h)};
	enum gate_pass pass;
	bool is_disturbed;
	pthread_t thread;

	send_letter(&h->vm, 0, 0);
	pass = gate_enter(gate);
	assert_int_equal(pass, GATE_OWNED);
	pthread_create(&thread, NULL, destroy_it, &d);
	while (!__atomic_load_n(&d.done, __ATOMIC_ACQUIRE) &&
	        __atomic_load_n(&gate->owner, __ATOMIC_RELAXED))
		sched_yield();
	is_disturbed = !__atomic_load_n(&gate->owner, __ATOMIC_RELAXED);
	gate_leave(gate, pass);
	pthread_join(thread, NULL);
	assert_false(is_disturbed);
}

/* ---- UC: both ends begin anew ---- */

static void both_ends_of_a_connection_go_on(void **state)
{
	struct harness *h = *state;
	struct end *ends[] = {&h->vm, &h->peer};

	letter_has_gone(h, ends[0], ends[1]);
	letter_has_gone(h, ends[1], ends[0]);
	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[1 - i % 2];

		post_receive(to, 0);
		send_letter(from, (uint64_t)i, IBV_SEND_SIGNALED);
		harness_move(h);
		assert_int_equal(end_run(from, 9), 1);
		harness_expect_one(h, from, (uint64_t)i);
		expect_letter(h, to, 0, (uint64_t)i);
	}
}

static void a_write_reaches_the_region_as_it_is_called_now(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	strcpy((char *)h->peer.memory, "text");
	assert_int_equal(end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), 0);
	assert_int_equal(end_run(&h->peer, 1), 1);
	assert_string_equal((char *)h->vm.memory, "text");
}

/* Nobody has taken it: a lost message stays lost, and the connection goes on. */
static void what_was_lost_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(&h->peer, 1), 1);
	post_receive(&h->vm, 0);
	harness_move(h);
	harness_expect_one(h, &h->peer, 0);
	assert_int_equal(end_pending(&h->peer), 0);
	send_letter(&h->peer, 1, 0);
	end_run(&h->peer, 1);
	expect_letter(h, &h->vm, 0, 1);
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
	        UD(only_sends_are_accepted),
	        BOTH(peers_reach_it_by_the_number_that_they_know),
	        UD(numbers_that_were_another_s_mean_who_they_meant),
	        UD(what_came_before_is_of_who_sent_it_then),
	        UD(a_handle_may_be_destroyed_behind_its_post),
	        UD(handles_of_done_work_do_not_pile_up),
	        UD(who_destroys_a_handle_does_not_look_at_the_queues),
	        BOTH(what_was_sent_and_given_back_is_not_sent_again),
	        BOTH(what_is_given_back_without_a_word_is_not_sent_again),
	        BOTH(the_number_that_it_was_given_is_no_word),
	        BOTH(what_the_device_before_has_shown_is_believed),
	        BOTH(a_device_of_another_make_has_to_show_it_again),
	        UD(what_another_queue_pair_has_shown_is_believed),
	        UC(both_ends_of_a_connection_go_on),
	        UC(a_write_reaches_the_region_as_it_is_called_now),
	        UC(what_was_lost_is_not_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
