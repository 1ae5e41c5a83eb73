/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* TETHER_UNPLANNED=reconnect: a queue pair whose other end does not answer any more waits for it,
 * unless its program does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/shim_unplanned_ends.h"
#include "tests/unit/shim_watched.h"

/* ---- a peer that waits ---- */

static void work_of_a_peer(void)
{
	assert_int_equal(write8(&h.peer, &h.vm, 1), 0);
	assert_int_equal(end_receive(&h.peer, 9, 256, 64), 0);
}

static void a_peer_is_not_told_that_its_retries_are_used_up(void **state)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_receive(&h.peer, 9, 256, 64), 0);
	lose_without_a_word();
	peer_gives_up();
	assert_int_equal(end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, 2, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_receive(&h.peer, 10, 256, 64), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	recover();
	assert_int_equal(end_run(&h.peer, 2), 2);
	EXPECT(&h.peer, DONE_WELL, DONE_WELL);
	assert_int_equal(fake_receives(real_of(h.peer.qp)), 2);
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.vm, DONE_WELL);
}

static void a_peer_that_has_waited_in_vain_is_told(void **state)
{
	assert_int_equal(write8(&h.peer, &h.vm, 1), 0);
	assert_int_equal(write8(&h.peer, &h.vm, 2), 0);
	assert_int_equal(end_receive(&h.peer, 9, 256, 64), 0);
	peer_gives_up();
	h.now_ms += WAITS_MS - 1;
	service_looks();
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	h.now_ms++;
	service_looks();
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(write8(&h.peer, &h.vm, 3), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR);
}

static void an_abort_before_the_vote_lets_a_peer_wait_on(void **state)
{
	assert_int_equal(end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	lose_without_a_word();
	peer_gives_up();
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	recover();
	assert_int_equal(end_run(&h.peer, 1), 1);
	EXPECT(&h.peer, DONE_WELL);
}

/* The VM can be moved though nobody answers it. */
static void an_atomic_of_a_peer_ends_its_queue_pair(void **state)
{
	assert_int_equal(end_fetch_add(&h.peer, &h.vm, 1, 0, 1), 0);
	assert_int_equal(end_run_unacknowledged(&h.peer, 1), 1);
	lose_without_a_word();
	peer_gives_up();
	recover();
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR);
}

/* As above, while it is moved already. */
static void an_atomic_that_is_given_up_in_a_stop_ends_its_queue_pair(void **state)
{
	assert_int_equal(end_fetch_add(&h.peer, &h.vm, 1, 0, 1), 0);
	assert_int_equal(end_run_unacknowledged(&h.peer, 1), 1);
	lose_without_a_word();
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	fake_give_up(real_of(h.peer.qp));
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_arrive(&h);
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR);
}

/* It gives up while it is stopped, and nothing comes of the migration. */
static void peer_gives_up_in_a_stop(void)
{
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	fake_give_up(real_of(h.peer.qp));
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	service_looks();
	assert_int_equal(harness_poll(&h, &h.peer), 0);
}

static void a_peer_that_gives_up_in_a_stop_waits_on(void **state)
{
	assert_int_equal(end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_receive(&h.peer, 9, 256, 64), 0);
	peer_gives_up_in_a_stop();
	assert_int_equal(write8(&h.peer, &h.vm, 2), 0);
	assert_int_equal(end_receive(&h.peer, 10, 256, 64), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	lose_without_a_word();
	recover();
	assert_int_equal(end_run(&h.peer, 2), 2);
	EXPECT(&h.peer, DONE_WELL, DONE_WELL);
	assert_int_equal(fake_receives(real_of(h.peer.qp)), 2);
}

static void a_peer_that_gave_up_in_a_stop_is_told_in_the_end(void **state)
{
	work_of_a_peer();
	peer_gives_up_in_a_stop();
	h.now_ms += WAITS_MS - 1;
	service_looks();
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	h.now_ms++;
	service_looks();
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* ---- its program does not ---- */

static int modify(struct end *end, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = {.qp_state = state};

	return ibv_modify_qp(end->qp, &attr, IBV_QP_STATE);
}

static int modify_peer(enum ibv_qp_state state)
{
	return modify(&h.peer, state);
}

static void *reset_peer(void *unused)
{
	assert_int_equal(modify_peer(IBV_QPS_RESET), 0);
	return NULL;
}

static void peer_is_reset(void)
{
	struct watched reset;

	watched_start(&reset, reset_peer, NULL);
	assert_true(watched_ends_at_once(&reset));
	watched_join(&reset);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	service_looks();
	assert_false(queue_pair_of(h.peer.qp)->held);
}

/* What a program does that has an error: begin anew, with whoever is there. */
static void is_connected_anew(void)
{
	peer_is_reset();
	assert_int_equal(modify(&h.vm, IBV_QPS_RESET), 0);
	end_connect(&h.vm, &h.peer, FAKE_LID_PEER);
	end_connect(&h.peer, &h.vm, FAKE_LID_VM);
	assert_int_equal(end_receive(&h.peer, 20, 256, 64), 0);
	assert_int_equal(write8(&h.peer, &h.vm, 21), 0);
	assert_int_equal(end_run(&h.peer, 1), 1);
	assert_int_equal(end_send(&h.vm, 22, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.peer, DONE_WELL, DONE_WELL);
	EXPECT(&h.vm, DONE_WELL);
}

static void a_peer_that_does_not_wait_is_let_go(void **state)
{
	work_of_a_peer();
	peer_gives_up();
	assert_int_equal(write8(&h.peer, &h.vm, 2), 0);
	assert_int_equal(end_receive(&h.peer, 10, 256, 64), 0);
	assert_int_equal(modify_peer(IBV_QPS_ERR), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR,
	        IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(write8(&h.peer, &h.vm, 3), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR);
	is_connected_anew();
}

/* Not held yet. */
static void a_peer_that_does_not_wait_is_told_at_once(void **state)
{
	work_of_a_peer();
	fake_give_up(real_of(h.peer.qp));
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	assert_int_equal(modify_peer(IBV_QPS_ERR), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	is_connected_anew();
}

static void a_peer_that_is_reset_is_not_waited_for(void **state)
{
	work_of_a_peer();
	fake_give_up(real_of(h.peer.qp));
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	is_connected_anew();
}

/* Should it be doubted whether it is of a loss. */
static void device_is_asked(void)
{
	for (unsigned i = 0; i < 21; i++, h.now_ms += 100)
		service_looks();
}

/* It was missed in another connection: what this one has failed of is told. */
static void a_peer_that_was_connected_anew_is_not_missed(void **state)
{
	work_of_a_peer();
	peer_gives_up();
	assert_int_equal(modify_peer(IBV_QPS_ERR), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	is_connected_anew();
	work_of_a_peer();
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	fake_fail(real_of(h.peer.qp), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	device_is_asked();
	assert_false(queue_pair_of(h.peer.qp)->held);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* It was received before, and its completion comes late. */
static void what_came_before_a_peer_was_left_is_not_flushed(void **state)
{
	fake.hold_receives = true;
	fake.err_flushes_receives = false; /* they come behind it */
	work_of_a_peer();
	assert_int_equal(end_send(&h.vm, 1, 256, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(&h.vm, 1), 1);
	peer_gives_up();
	assert_int_equal(end_receive(&h.peer, 10, 256, 64), 0);
	assert_int_equal(modify_peer(IBV_QPS_ERR), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR);
	fake_release_receives();
	harness_expect_one(&h, &h.peer, 9);
	assert_int_equal(fake_receives(real_of(h.peer.qp)), 1);
}

/* It lets it go in its end. */
static void a_migration_has_a_peer_in_hand(void **state)
{
	work_of_a_peer();
	lose_without_a_word();
	peer_gives_up();
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(modify_peer(IBV_QPS_ERR), 0);
	EXPECT(&h.peer, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	peer_is_reset();
	assert_int_equal(end_receive(&h.peer, 10, 256, 64), 0);
	assert_int_equal(fake_receives(real_of(h.peer.qp)), 1);
}

/* ---- its RECVs are flushed before it is said why ---- */

static void receives_of_a_peer_are_flushed(void)
{
	work_of_a_peer();
	fake_flush_receives_first(real_of(h.peer.qp));
	assert_int_equal(harness_poll(&h, &h.peer), 0);
}

static void peer_waits_and_is_told(void)
{
	service_asks(100);
	assert_true(queue_pair_of(h.peer.qp)->held);
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	h.now_ms += WAITS_MS;
	service_looks();
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR);
	is_connected_anew();
}

static void a_peer_whose_receives_were_flushed_waits(void **state)
{
	receives_of_a_peer_are_flushed();
	peer_gives_up();
	peer_waits_and_is_told();
}

static void a_peer_whose_receives_were_flushed_is_found_again(void **state)
{
	assert_int_equal(end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_receive(&h.peer, 9, 256, 64), 0);
	fake_flush_receives_first(real_of(h.peer.qp));
	assert_int_equal(harness_poll(&h, &h.peer), 0);
	lose_without_a_word();
	peer_gives_up();
	service_asks(21);
	recover();
	assert_int_equal(end_run(&h.peer, 1), 1);
	EXPECT(&h.peer, DONE_WELL);
	assert_int_equal(fake_receives(real_of(h.peer.qp)), 1);
}

/* Its program polls the receive queue only. */
static void a_peer_waits_though_nobody_has_polled_why(void **state)
{
	receives_of_a_peer_are_flushed();
	fake_give_up(real_of(h.peer.qp));
	peer_waits_and_is_told();
}

/* ---- its own device is lost, too ---- */

static void vm_misses_its_peer(void)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	fake_give_up(real_of(h.vm.qp));
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void vm_does_not_wait(void)
{
	assert_int_equal(end_receive(&h.vm, 10, 256, 64), 0);
	assert_int_equal(modify(&h.vm, IBV_QPS_ERR), 0);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR,
	        IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(write8(&h.vm, &h.peer, 3), 0);
	assert_int_equal(end_receive(&h.vm, 11, 256, 64), 0);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

static void one_without_a_device_need_not_wait_for_its_peer(void **state)
{
	vm_misses_its_peer();
	service_looks();
	lose_without_a_word();
	vm_does_not_wait();
}

/* Not held yet. */
static void one_that_loses_both_at_once_need_not_wait(void **state)
{
	vm_misses_its_peer();
	lose_without_a_word();
	vm_does_not_wait();
}

/* And not for the rest of the time that it would have waited for its peer. */
static void one_that_has_lost_both_waits_for_its_device(void **state)
{
	vm_misses_its_peer();
	service_looks();
	h.now_ms += WAITS_MS - 1;
	lose_without_a_word();
	h.now_ms += WAITS_MS - 1;
	service_looks();
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	vm_goes_on();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_peer_is_not_told_that_its_retries_are_used_up),
	        TEST(a_peer_that_has_waited_in_vain_is_told),
	        TEST(an_abort_before_the_vote_lets_a_peer_wait_on),
	        TEST(an_atomic_of_a_peer_ends_its_queue_pair),
	        TEST(an_atomic_that_is_given_up_in_a_stop_ends_its_queue_pair),
	        TEST(a_peer_that_gives_up_in_a_stop_waits_on),
	        TEST(a_peer_that_gave_up_in_a_stop_is_told_in_the_end),
	        TEST(a_peer_that_does_not_wait_is_let_go),
	        TEST(a_peer_that_does_not_wait_is_told_at_once),
	        TEST(a_peer_that_is_reset_is_not_waited_for),
	        TEST(a_peer_that_was_connected_anew_is_not_missed),
	        TEST(what_came_before_a_peer_was_left_is_not_flushed),
	        TEST(a_migration_has_a_peer_in_hand),
	        TEST(a_peer_whose_receives_were_flushed_waits),
	        TEST(a_peer_whose_receives_were_flushed_is_found_again),
	        TEST(a_peer_waits_though_nobody_has_polled_why),
	        TEST(one_without_a_device_need_not_wait_for_its_peer),
	        TEST(one_that_loses_both_at_once_need_not_wait),
	        TEST(one_that_has_lost_both_waits_for_its_device),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
