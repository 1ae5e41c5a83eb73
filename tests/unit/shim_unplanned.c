/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: the application is not told of a device that was taken away, nor of a
 * peer whose device was; a migration settles what can be settled, and the rest ends with an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/shim_unplanned_ends.h"

/* ---- the VM's own work: its peer knows ---- */

static void what_the_vm_has_sent_is_exact(void **state)
{
	strcpy((char *)h.vm.memory, "first");
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(write8(&h.vm, &h.peer, i), 0);
	assert_int_equal(end_run(&h.vm, 1), 1);
	assert_int_equal(end_run_unacknowledged(&h.vm, 1), 1);
	strcpy((char *)h.peer.memory, "later");
	lose_without_a_word();
	assert_false(is_told(&h.vm));
	EXPECT(&h.vm, DONE_WELL);
	assert_int_equal(write8(&h.vm, &h.peer, 4), 0);
	recover();
	/* Not once more what had been executed. */
	assert_string_equal((char *)h.peer.memory, "later");
	assert_int_equal(end_pending(&h.vm), 2);
	assert_int_equal(end_run(&h.vm, 2), 2);
	EXPECT(&h.vm, DONE_WELL, DONE_WELL, DONE_WELL);
	assert_string_equal((char *)h.peer.memory, "first");
}

static void receives_are_there_afterwards(void **state)
{
	assert_int_equal(end_receive(&h.vm, 1, 256, 64), 0);
	lose_without_a_word();
	assert_int_equal(end_receive(&h.vm, 2, 256, 64), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	recover();
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(end_send(&h.peer, i, 0, 8, IBV_SEND_SIGNALED), 0);
		assert_int_equal(end_run(&h.peer, 1), 1);
		harness_expect_one(&h, &h.vm, i);
	}
	EXPECT(&h.peer, DONE_WELL, DONE_WELL);
}

/* The device refuses it before anybody has noticed why, and does not even say so itself. */
static void what_is_refused_before_that_is_kept(void **state)
{
	fake.gone = 1;
	fake.gone_refuses = true;
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	for (int i = 0; i < 20; i++, h.now_ms += 100)
		service_looks();
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_AWAY);
	vm_goes_on();
}

/* ---- a device that stays ---- */

static void device_is_asked(void)
{
	for (int i = 0; i < 21; i++, h.now_ms += 100)
		service_looks();
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_RUNNING);
}

/* It has refused a WRITE and a RECV, and the application does not know. */
static void device_refuses(void)
{
	fake.refuses_work = true;
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
}

static void vm_receives(uint64_t wr_id)
{
	assert_int_equal(end_send(&h.peer, wr_id, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run(&h.peer, 1), 1);
	EXPECT(&h.peer, DONE_WELL);
	harness_expect_one(&h, &h.vm, wr_id);
}

static void what_it_has_refused_it_is_given_again(void **state)
{
	device_refuses();
	fake.refuses_work = false;
	device_is_asked();
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.vm, DONE_WELL);
	vm_receives(9);
}

static void it_may_refuse_for_long(void **state)
{
	device_refuses();
	for (int i = 0; i < 3; i++)
		device_is_asked();
	assert_int_equal(end_pending(&h.vm), 0);
	fake.refuses_work = false;
	device_is_asked();
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.vm, DONE_WELL);
	vm_receives(9);
}

static void a_receive_behind_one_that_was_refused_keeps_its_place(void **state)
{
	device_refuses();
	assert_int_equal(end_receive(&h.vm, 10, 256, 64), 0);
	fake.refuses_work = false;
	assert_int_equal(end_receive(&h.vm, 11, 256, 64), 0);
	for (uint64_t i = 9; i <= 11; i++)
		vm_receives(i);
}

/* What it refuses behind that is kept for the same reason. */
static void what_is_refused_later_is_asked_about_again(void **state)
{
	device_refuses();
	for (int i = 0; i < 19; i++, h.now_ms += 100)
		service_looks();
	assert_int_equal(end_receive(&h.vm, 10, 256, 64), 0);
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	device_is_asked();
	fake.refuses_work = false;
	device_is_asked();
	assert_int_equal(end_run(&h.vm, 2), 2);
	EXPECT(&h.vm, DONE_WELL, DONE_WELL);
	vm_receives(9);
	vm_receives(10);
}

static void what_it_refuses_for_another_reason_ends(void **state)
{
	device_refuses();
	fake.refuses_work = false;
	fake.post_fails_at = 0;
	device_is_asked();
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

static void a_receive_that_was_refused_is_flushed_with_the_rest(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	device_refuses();
	assert_int_equal(ibv_modify_qp(h.vm.qp, &attr, IBV_QP_STATE), 0);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	fake.refuses_work = false;
	device_is_asked();
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

/* ---- atomics ---- */

static void an_atomic_that_was_executed_ends_its_queue_pair(void **state)
{
	assert_int_equal(end_fetch_add(&h.vm, &h.peer, 1, 0, 1), 0);
	assert_int_equal(end_run_unacknowledged(&h.vm, 1), 1);
	lose_without_a_word();
	recover();
	EXPECT(&h.vm, IBV_WC_RETRY_EXC_ERR);
}

static void an_atomic_that_was_not_is_executed(void **state)
{
	assert_int_equal(end_fetch_add(&h.vm, &h.peer, 1, 0, 1), 0);
	lose_without_a_word();
	recover();
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.vm, DONE_WELL);
}

/* ---- its peers' work toward it ---- */

static void send_to_vm(uint64_t wr_id)
{
	assert_int_equal(end_receive(&h.vm, wr_id, 256, 64), 0);
	assert_int_equal(end_send(&h.peer, wr_id, 0, 8, IBV_SEND_SIGNALED), 0);
}

static void what_the_vm_has_received_was_sent(void **state)
{
	assert_int_equal(write8(&h.peer, &h.vm, 1), 0);
	send_to_vm(2);
	assert_int_equal(end_run_unacknowledged(&h.peer, 2), 2);
	lose_without_a_word();
	peer_gives_up();
	recover();
	EXPECT(&h.peer, DONE_WELL, DONE_WELL);
	EXPECT(&h.vm, DONE_WELL);
	assert_int_equal(end_pending(&h.peer), 0);
}

/* It may have been executed, and is neither replayed nor called done. */
static void what_nobody_can_tell_ends_with_an_error(void **state)
{
	send_to_vm(1);
	assert_int_equal(write8(&h.peer, &h.vm, 2), 0);
	assert_int_equal(end_run_unacknowledged(&h.peer, 2), 2);
	strcpy((char *)h.vm.memory, "changed since");
	lose_without_a_word();
	peer_gives_up();
	recover();
	EXPECT(&h.peer, DONE_WELL, IBV_WC_RETRY_EXC_ERR);
	assert_string_equal((char *)h.vm.memory, "changed since");
}

static void a_read_of_its_memory_is_replayed(void **state)
{
	strcpy((char *)h.vm.memory, "read");
	assert_int_equal(end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_run_unacknowledged(&h.peer, 1), 1);
	lose_without_a_word();
	peer_gives_up();
	recover();
	assert_int_equal(end_run(&h.peer, 1), 1);
	EXPECT(&h.peer, DONE_WELL);
	assert_string_equal((char *)h.peer.memory, "read");
}

/* ---- the end of waiting ---- */

static void who_has_waited_in_vain_is_told(void **state)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	assert_int_equal(end_receive(&h.vm, 9, 0, 64), 0);
	lose_without_a_word();
	h.now_ms += WAITS_MS - 1;
	service_looks();
	assert_false(is_told(&h.vm));
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	h.now_ms++;
	service_looks();
	assert_true(is_told(&h.vm));
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(write8(&h.vm, &h.peer, 2), 0);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR);
}

static void an_abort_before_the_vote_lets_it_wait_on(void **state)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	lose_without_a_word();
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_AWAY);
	recover();
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.vm, DONE_WELL);
}

static void an_abort_behind_it_ends_the_wait(void **state)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	lose_without_a_word();
	fake.slot = 1;
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	assert_true(is_told(&h.vm));
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	assert_int_not_equal(h.wc[0].status, IBV_WC_SUCCESS);
}

static void in_stop_the_migration_goes_on(void **state)
{
	assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	lose_without_a_word();
	harness_expect(&h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_arrive(&h);
	assert_false(is_told(&h.vm));
	assert_int_equal(end_run(&h.vm, 1), 1);
	EXPECT(&h.vm, DONE_WELL);
}

/* What is lost twice is settled twice. */
static void it_is_lost_and_found_again_and_again(void **state)
{
	for (int i = 0; i < 3; i++) {
		assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
		assert_int_equal(write8(&h.vm, &h.peer, 1), 0);
		assert_int_equal(end_run_unacknowledged(&h.vm, i & 1), i & 1);
		lose_without_a_word();
		fake.slot = 1 + i % 2;
		fake.gone &= ~(1u << fake.slot);
		harness_stop(&h);
		harness_go_on(&h);
		assert_false(is_told(&h.vm));
		assert_int_equal(end_run(&h.vm, 1), !(i & 1));
		EXPECT(&h.vm, DONE_WELL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_the_vm_has_sent_is_exact),
	        TEST(receives_are_there_afterwards),
	        SHARED(receives_are_there_afterwards),
	        TEST(what_is_refused_before_that_is_kept),
	        SHARED(what_is_refused_before_that_is_kept),
	        TEST(what_it_has_refused_it_is_given_again),
	        SHARED(what_it_has_refused_it_is_given_again),
	        TEST(it_may_refuse_for_long),
	        SHARED(it_may_refuse_for_long),
	        TEST(a_receive_behind_one_that_was_refused_keeps_its_place),
	        TEST(what_is_refused_later_is_asked_about_again),
	        TEST(what_it_refuses_for_another_reason_ends),
	        TEST(a_receive_that_was_refused_is_flushed_with_the_rest),
	        TEST(an_atomic_that_was_executed_ends_its_queue_pair),
	        TEST(an_atomic_that_was_not_is_executed),
	        TEST(what_the_vm_has_received_was_sent),
	        SHARED(what_the_vm_has_received_was_sent),
	        TEST(what_nobody_can_tell_ends_with_an_error),
	        TEST(a_read_of_its_memory_is_replayed),
	        TEST(who_has_waited_in_vain_is_told),
	        TEST(an_abort_before_the_vote_lets_it_wait_on),
	        TEST(an_abort_behind_it_ends_the_wait),
	        TEST(in_stop_the_migration_goes_on),
	        TEST(it_is_lost_and_found_again_and_again),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
