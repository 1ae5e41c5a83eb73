/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completion channels: the descriptor stays, arms and unread events move, what the application is
 * not shown wakes nobody, what is made up wakes who asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "preload/completion_channel.h"
#include "preload/control.h"
#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_harness.h"

static struct harness h;

static int setup(void **state)
{
	harness_begin(&h, (struct harness){.with_channel = true});
	return 0;
}

static int setup_shared(void **state)
{
	harness_begin(&h, (struct harness){.with_channel = true, .with_srq = true});
	return 0;
}

static int teardown(void **state)
{
	harness_close(&h);
	assert_int_equal(fake_unread_events(), 0);
	return 0;
}

/* ---- without a move: as libibverbs ---- */

static void descriptor_says_eagain_when_set_nonblocking(void **state)
{
	end_expect_silence(&h.vm);
	end_arm(&h.vm, 0);
	end_expect_silence(&h.vm);
	end_message(&h.peer, &h.vm, 1, 0);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_message(&h.peer, &h.vm, 2, 0);
	end_expect_silence(&h.vm);
}

static void solicited_arm_passes_over_what_is_not(void **state)
{
	end_arm(&h.vm, 1);
	end_message(&h.peer, &h.vm, 1, 0);
	end_expect_silence(&h.vm);
	end_message(&h.peer, &h.vm, 2, IBV_SEND_SOLICITED);
	end_expect_event(&h.vm);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
}

static void arming_again_with_an_event_unread_gives_two(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++) {
		end_arm(&h.vm, solicited);
		end_message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
		harness_expect_one(&h, &h.vm, 1);
		end_arm(&h.vm, solicited);
		end_expect_event(&h.vm);
		end_expect_silence(&h.vm);
		end_message(&h.peer, &h.vm, 2, IBV_SEND_SOLICITED);
		end_expect_event(&h.vm);
		harness_expect_one(&h, &h.vm, 2);
		end_expect_silence(&h.vm);
	}
}

/* The completion is seen, its event is not there yet: who polls only after one must get it. */
static void event_that_comes_after_arming_again_wakes(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++) {
		end_arm(&h.vm, solicited);
		fake.delays_events = true;
		end_message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
		end_arm(&h.vm, solicited);
		end_expect_silence(&h.vm);
		fake.delays_events = false;
		fake_delayed_events();
		end_expect_event(&h.vm);
		harness_expect_one(&h, &h.vm, 1);
		end_expect_silence(&h.vm);
		end_message(&h.peer, &h.vm, 2, IBV_SEND_SOLICITED);
		end_expect_event(&h.vm);
		harness_expect_one(&h, &h.vm, 2);
		end_expect_silence(&h.vm);
	}
}

static void event_that_comes_after_arming_again_moves(void **state)
{
	end_arm(&h.vm, 0);
	fake.delays_events = true;
	end_message(&h.peer, &h.vm, 1, 0);
	end_arm(&h.vm, 0);
	fake.delays_events = false;
	harness_move(&h);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_expect_silence(&h.vm);
	end_message(&h.peer, &h.vm, 2, 0);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 2);
}

static void two_events_that_come_after_arming_again_are_two(void **state)
{
	end_arm(&h.vm, 0);
	fake.delays_events = true;
	end_message(&h.peer, &h.vm, 1, 0);
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 2, 0);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	fake.delays_events = false;
	fake_delayed_events();
	end_expect_event(&h.vm);
	end_expect_event(&h.vm);
	end_expect_silence(&h.vm);
}

static void atomic_that_this_library_has_signalled_wakes_nobody(void **state)
{
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(h.vm.channel->fd);
	end_arm(&h.vm, 0);
	assert_int_equal(end_fetch_add_flagged(&h.vm, &h.peer, 0, 0, 0, 0), 0);
	assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
	/* Its end_arm is renewed. */
	assert_int_equal(ibv_get_cq_event(h.vm.channel, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
	end_expect_silence(&h.vm);
	end_message(&h.peer, &h.vm, 1, 0);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
}

/* ---- arms move ---- */

static void arm_moves_both_ends(void **state)
{
	int descriptor = h.vm.channel->fd;

	end_arm(&h.vm, 0);
	end_arm(&h.peer, 0);
	harness_move(&h);
	assert_int_equal(h.vm.channel->fd, descriptor);
	end_expect_silence(&h.vm);
	end_expect_silence(&h.peer);
	end_message(&h.peer, &h.vm, 1, IBV_SEND_SIGNALED);
	end_expect_event(&h.vm);
	end_expect_event(&h.peer);
	harness_expect_one(&h, &h.vm, 1);
	harness_expect_one(&h, &h.peer, 1);
}

static void solicited_arm_moves_as_one(void **state)
{
	end_arm(&h.vm, 1);
	end_arm(&h.peer, 1);
	end_message(&h.peer, &h.vm, 1, 0);
	end_message(&h.vm, &h.peer, 2, 0);
	harness_move(&h);
	end_expect_silence(&h.vm);
	end_expect_silence(&h.peer);
	end_message(&h.peer, &h.vm, 3, IBV_SEND_SOLICITED);
	end_message(&h.vm, &h.peer, 4, IBV_SEND_SOLICITED);
	end_expect_event(&h.vm);
	end_expect_event(&h.peer);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	assert_int_equal(harness_poll(&h, &h.peer), 2);
}

static void who_has_not_armed_is_not_woken(void **state)
{
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 1, 0);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	assert_int_equal(end_send(&h.vm, 2, 0, 64, IBV_SEND_SIGNALED), 0);
	harness_move(&h);
	end_message(&h.peer, &h.vm, 3, 0);
	end_expect_silence(&h.vm);
	harness_expect_one(&h, &h.vm, 3);
	assert_int_equal(end_receive(&h.peer, 2, 0, 64), 0);
	assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
	harness_expect_one(&h, &h.vm, 2);
	end_expect_silence(&h.vm);
}

static void armed_while_there_is_no_device(void **state)
{
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	end_arm(&h.vm, 0);
	end_arm(&h.peer, 0);
	end_expect_silence(&h.vm);
	fake.slot = 1;
	harness_arrive(&h);
	end_message(&h.peer, &h.vm, 1, IBV_SEND_SIGNALED);
	end_expect_event(&h.vm);
	end_expect_event(&h.peer);
}

/* ---- unread events move ---- */

static void event_that_nobody_has_read_moves(void **state)
{
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 1, 0);
	harness_stop(&h);
	assert_true(end_is_readable(&h.vm));
	harness_go_on(&h);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_expect_silence(&h.vm);
}

static void solicited_event_that_nobody_has_read_moves(void **state)
{
	end_arm(&h.vm, 1);
	end_message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
	harness_move(&h);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_expect_silence(&h.vm);
}

static void two_unread_events_and_an_arm_move(void **state)
{
	for (uint64_t i = 1; i < 3; i++) {
		end_arm(&h.vm, 0);
		end_message(&h.peer, &h.vm, i, 0);
		harness_expect_one(&h, &h.vm, i);
	}
	end_arm(&h.vm, 0);
	harness_move(&h);
	end_expect_event(&h.vm);
	end_expect_event(&h.vm);
	end_expect_silence(&h.vm);
	end_message(&h.peer, &h.vm, 3, 0);
	end_expect_event(&h.vm);
	end_expect_silence(&h.vm);
}

static void event_is_read_while_there_is_no_device(void **state)
{
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 1, 0);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_expect_silence(&h.vm);
	end_arm(&h.vm, 0);
	fake.slot = 1;
	harness_arrive(&h);
	end_expect_silence(&h.vm);
}

/* The completion is in the ring, the device's event is not there yet, and never comes. */
static void completion_without_its_event_wakes_all_the_same(void **state)
{
	end_arm(&h.vm, 0);
	fake.keeps_events = true;
	end_message(&h.peer, &h.vm, 1, 0);
	harness_move(&h);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_expect_silence(&h.vm);
}

/* It was acknowledged before the stop, shows behind the vote, and the queue goes before the device
 * has told of it. Whether it was solicited nobody knows any more: it passes for that. */
static void receive_that_shows_behind_the_vote_wakes_without_its_event(void **state)
{
	end_arm(&h.vm, 1);
	fake.hold_receives = fake.keeps_events = true;
	end_message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
	harness_stop(&h);
	fake_release_receives();
	harness_go_on(&h);
	end_expect_event(&h.vm);
	harness_expect_one(&h, &h.vm, 1);
	end_expect_silence(&h.vm);
}

static void events_of_a_destroyed_queue_are_dropped(void **state)
{
	struct ibv_cq *other = ibv_create_cq(h.vm.context, 4, &other, h.vm.channel, 0);
	struct ibv_qp_init_attr attr = {.send_cq = other,
	        .recv_cq = other,
	        .cap = {.max_send_wr = 2, .max_recv_wr = 2, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp_attr to = {.qp_state = IBV_QPS_INIT, .port_num = 1};
	struct ibv_recv_wr receive = {.wr_id = 1}, *bad;
	struct ibv_qp *qp = ibv_create_qp(h.vm.pd, &attr);

	assert_int_equal(
	        ibv_modify_qp(qp, &to,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	assert_int_equal(ibv_post_recv(qp, &receive, &bad), 0);
	assert_int_equal(ibv_req_notify_cq(other, 1), 0);
	to.qp_state = IBV_QPS_ERR;
	assert_int_equal(ibv_modify_qp(qp, &to, IBV_QP_STATE), 0);
	harness_move(&h);
	assert_true(end_is_readable(&h.vm));
	assert_int_equal(ibv_destroy_qp(qp), 0);
	assert_int_equal(ibv_destroy_comp_channel(h.vm.channel), EBUSY);
	assert_int_equal(ibv_destroy_cq(other), 0);
	end_expect_silence(&h.vm);
}

/* ---- what a move brings about ---- */

static void flushes_of_the_move_wake_nobody(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++) {
		end_arm(&h.vm, solicited);
		end_arm(&h.peer, solicited);
		/* No RECV: both come back. */
		assert_int_equal(end_send(&h.vm, 1, 0, 64, IBV_SEND_SIGNALED), 0);
		assert_int_equal(end_send(&h.peer, 1, 0, 64, IBV_SEND_SIGNALED), 0);
		harness_stop(&h);
		end_expect_silence(&h.vm);
		end_expect_silence(&h.peer);
		harness_go_on(&h);
		end_expect_silence(&h.vm);
		end_expect_silence(&h.peer);
		assert_int_equal(end_receive(&h.peer, 1, 0, 64), 0);
		assert_int_equal(end_receive(&h.vm, 1, 0, 64), 0);
		assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
		assert_int_equal(fake_execute(real_of(h.peer.qp), 1, true), 1);
		if (solicited) {
			end_expect_silence(&h.vm);
			end_expect_silence(&h.peer);
		} else {
			end_expect_event(&h.vm);
			end_expect_event(&h.peer);
		}
		assert_int_equal(harness_poll(&h, &h.vm), 2);
		assert_int_equal(harness_poll(&h, &h.peer), 2);
	}
}

/* In ERR the device would give it back at once. */
static void receive_posted_to_a_broken_queue_pair_wakes_nobody(void **state)
{
	end_arm(&h.vm, 0);
	end_arm(&h.peer, 1);
	harness_stop(&h);
	assert_int_equal(end_receive(&h.vm, 1, 0, 64), 0);
	assert_int_equal(end_receive(&h.peer, 2, 0, 64), 0);
	end_expect_silence(&h.vm);
	end_expect_silence(&h.peer);
	harness_go_on(&h);
	end_expect_silence(&h.vm);
	assert_int_equal(end_send(&h.peer, 3, 0, 64, 0), 0);
	assert_int_equal(end_send(&h.vm, 3, 0, 64, IBV_SEND_SOLICITED), 0);
	assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
	assert_int_equal(fake_execute(real_of(h.peer.qp), 1, true), 1);
	end_expect_event(&h.vm);
	end_expect_event(&h.peer);
	harness_expect_one(&h, &h.vm, 1);
	harness_expect_one(&h, &h.peer, 2);
}

/* Executed, and the acknowledgement lost with the device: success is made up. */
static void made_up_success_wakes_who_asked_for_all(void **state)
{
	struct end *ends[] = {&h.vm, &h.peer};

	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[!(i % 2)];
		bool solicited = i / 2;

		assert_int_equal(end_receive(to, 1, 0, 64), 0);
		assert_int_equal(end_send(from, 1, 0, 64, IBV_SEND_SIGNALED), 0);
		assert_int_equal(fake_execute(real_of(from->qp), 1, false), 1);
		end_arm(from, solicited);
		harness_move(&h);
		if (solicited)
			end_expect_silence(from);
		else
			end_expect_event(from);
		harness_expect_one(&h, from, 1);
		harness_expect_one(&h, to, 1);
		end_expect_silence(from);
	}
}

static void error_wakes_who_asked_for_solicited(void **state)
{
	end_arm(&h.vm, 1);
	assert_int_equal(end_receive(&h.vm, 7, 0, 64), 0);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ERROR, DONE);
	end_expect_event(&h.vm);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	assert_int_equal(h.wc[0].status, IBV_WC_WR_FLUSH_ERR);
	/* There is no device any more, and still. */
	end_arm(&h.vm, 1);
	assert_int_equal(end_receive(&h.vm, 8, 0, 64), 0);
	end_expect_event(&h.vm);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	end_expect_silence(&h.vm);
}

static void aborted_move_leaves_arms_alone(void **state)
{
	end_arm(&h.vm, 0);
	end_arm(&h.peer, 1);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	end_expect_silence(&h.vm);
	end_expect_silence(&h.peer);
	end_message(&h.vm, &h.peer, 1, IBV_SEND_SIGNALED | IBV_SEND_SOLICITED);
	end_expect_event(&h.vm);
	end_expect_event(&h.peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(descriptor_says_eagain_when_set_nonblocking),
	        TEST(solicited_arm_passes_over_what_is_not),
	        TEST(arming_again_with_an_event_unread_gives_two),
	        TEST(event_that_comes_after_arming_again_wakes),
	        TEST(event_that_comes_after_arming_again_moves),
	        TEST(two_events_that_come_after_arming_again_are_two),
	        TEST(atomic_that_this_library_has_signalled_wakes_nobody),
	        TEST(arm_moves_both_ends),
	        TEST(solicited_arm_moves_as_one),
	        TEST(who_has_not_armed_is_not_woken),
	        TEST(armed_while_there_is_no_device),
	        TEST(event_that_nobody_has_read_moves),
	        TEST(solicited_event_that_nobody_has_read_moves),
	        TEST(two_unread_events_and_an_arm_move),
	        TEST(event_is_read_while_there_is_no_device),
	        TEST(completion_without_its_event_wakes_all_the_same),
	        TEST(receive_that_shows_behind_the_vote_wakes_without_its_event),
	        TEST(events_of_a_destroyed_queue_are_dropped),
	        TEST(flushes_of_the_move_wake_nobody),
	        cmocka_unit_test_setup_teardown(
	                flushes_of_the_move_wake_nobody, setup_shared, teardown),
	        TEST(receive_posted_to_a_broken_queue_pair_wakes_nobody),
	        TEST(made_up_success_wakes_who_asked_for_all),
	        TEST(error_wakes_who_asked_for_solicited),
	        TEST(aborted_move_leaves_arms_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
