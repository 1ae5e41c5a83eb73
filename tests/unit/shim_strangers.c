/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Datagrams of senders that a receiver has not heard before, and whose VM has moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/rows.h"
#include "preload/datagrams.h"
#include "tests/unit/shim_harness.h"

enum {
	INBOX = 1024,
	LENGTH = 64,
	GRH = sizeof(struct ibv_grh),
	OTHER_LID = 0x2000,
	OTHER_QPN = 0x100
};

static struct harness harness;
static unsigned questions;

static struct datagram_numbers *of_vm(void)
{
	return datagram_numbers_of(FAKE_LID_VM, NULL);
}

/* What the root says of the VM. */
static void answer(uint32_t lid)
{
	struct qp_row row = {.local_lid = FAKE_LID_VM,
	        .local_qpn = harness.vm.qp->qp_num,
	        .real_qpn = real_of(harness.vm.qp)->qp_num};
	Tether__QpRows rows = TETHER__QP_ROWS__INIT;

	questions++;
	assert_int_equal(lid, FAKE_LID_VM);
	assert_int_equal(qp_rows_append(&rows, &row), 0);
	assert_int_equal(datagram_numbers_take(of_vm(), &rows, NULL), 0);
	rows_clear(&rows.base);
}

/* The VM has moved, and the peer has not heard of it. */
static int setup(void **state)
{
	harness_begin(&harness, (struct harness){.type = IBV_QPT_UD});
	harness_move(&harness);
	datagram_numbers_forget(of_vm());
	heard_senders_in_child();
	harness_stranger = answer;
	questions = 0;
	*state = &harness;
	return 0;
}

static int teardown(void **state)
{
	harness_stranger = NULL;
	harness_close(*state);
	datagram_numbers_forget(of_vm());
	datagram_numbers_reclaim();
	return 0;
}

static void vm_says(struct harness *h, uint64_t n)
{
	assert_int_equal(end_receive(&h->peer, n, INBOX, LENGTH + GRH), 0);
	assert_int_equal(end_send(&h->vm, n, 0, LENGTH, 0), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, true), 1);
}

static void peer_hears(struct harness *h, uint64_t n)
{
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].wr_id, n);
	assert_int_equal(h->wc[0].src_qp, h->vm.qp->qp_num);
}

static uint32_t counted(const struct harness *h)
{
	struct datagram_count *from = datagram_counts_at(&queue_pair_of(h->peer.qp)->received, 0,
	        datagram_other(FAKE_LID_VM, h->vm.qp->qp_num));

	return from ? from->count : 0;
}

static void a_stranger_is_asked_for_and_called_as_it_calls_itself(void **state)
{
	struct harness *h = *state;

	assert_int_not_equal(real_of(h->vm.qp)->qp_num, h->vm.qp->qp_num);
	vm_says(h, 1);
	peer_hears(h, 1);
	assert_int_equal(questions, 1);
	assert_int_equal(counted(h), 1);
	vm_says(h, 2);
	peer_hears(h, 2);
	assert_int_equal(questions, 1);
	assert_int_equal(counted(h), 2);
}

static void of_several_at_once_each_is_introduced(void **state)
{
	struct harness *h = *state;

	vm_says(h, 1);
	vm_says(h, 2);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->wc[0].src_qp, h->vm.qp->qp_num);
	assert_int_equal(h->wc[1].src_qp, h->vm.qp->qp_num);
	assert_int_equal(counted(h), 2);
}

/* The service thread has taken it from the device: it does not wait, the application does. */
static void what_a_step_has_taken_is_introduced_when_it_is_polled(void **state)
{
	struct harness *h = *state;

	vm_says(h, 1);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_PREPARE), 1);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_STOP), 1);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_ABORT), 1);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 1);
	assert_int_equal(questions, 0);
	peer_hears(h, 1);
	assert_int_equal(questions, 1);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
}

/* What it is called then says who it was only before its VM moves again. */
static void a_stranger_is_who_it_was_when_it_sent(void **state)
{
	struct harness *h = *state;

	answer(FAKE_LID_VM);
	vm_says(h, 1);
	harness_move(h);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
	questions = 0;
	peer_hears(h, 1);
	assert_int_equal(questions, 0);
}

/* A connection's completions name no sender. */
static void what_comes_by_a_connection_is_of_no_stranger(void **state)
{
	struct harness *h = *state;
	struct end vm = h->vm, peer = h->peer;

	h->type = IBV_QPT_RC;
	vm.ah = peer.ah = NULL;
	end_create_qp(&vm, h);
	end_create_qp(&peer, h);
	end_connect(&vm, &peer, FAKE_LID_PEER);
	end_connect(&peer, &vm, FAKE_LID_VM);
	vm_says(h, 1);
	assert_int_equal(end_receive(&peer, 2, INBOX, LENGTH), 0);
	assert_int_equal(end_send(&vm, 2, 0, LENGTH, 0), 0);
	assert_int_equal(fake_execute(real_of(vm.qp), 1, true), 1);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
	assert_int_equal(questions, 1);
	assert_int_equal(ibv_destroy_qp(vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(peer.qp), 0);
}

/* Taken from the device, and not asked for any more. */
static void what_goes_with_its_receiver_is_no_stranger_any_more(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};

	for (int destroyed = 0; destroyed < 2; destroyed++) {
		struct end second = h->peer;

		end_create_qp(&second, h);
		end_connect(&second, &h->vm, FAKE_LID_VM);
		h->vm.remote_qpn = second.qp->qp_num;
		assert_int_equal(end_receive(&second, 1, INBOX, LENGTH + GRH), 0);
		assert_int_equal(end_send(&h->vm, 1, 0, LENGTH, 0), 0);
		assert_int_equal(fake_execute(real_of(h->vm.qp), 1, true), 1);
		if (!destroyed)
			assert_int_equal(ibv_modify_qp(second.qp, &reset, IBV_QP_STATE), 0);
		assert_int_equal(ibv_destroy_qp(second.qp), 0);
		assert_int_equal(ibv_destroy_ah(second.ah), 0);
		assert_int_equal(completion_queue_of(h->peer.cq)->strangers, 0);
	}
	assert_int_equal(harness_poll(h, &h->peer), 0);
}

static void step_of_another(struct harness *h, Tether__Step step, Tether__QpRows *numbers)
{
	Tether__Event event;

	harness_event_fill(h, &event, step);
	event.address->lid = OTHER_LID;
	event.to_vm = false;
	if (step == TETHER__STEP__STEP_RECONNECT)
		event.qps = numbers;
	assert_int_equal(harness_event(h, &event), DONE);
}

/* It has to do with that VM only since a datagram has come from there, in the middle of the move.
 */
static void who_comes_late_to_a_move_takes_its_numbers(void **state)
{
	static const Tether__Step road[] = {TETHER__STEP__STEP_STOP, TETHER__STEP__STEP_SETTLE,
	        TETHER__STEP__STEP_RELEASE, TETHER__STEP__STEP_RECONNECT,
	        TETHER__STEP__STEP_RESUME};
	struct datagram_numbers *numbers = datagram_numbers_of(OTHER_LID, NULL);
	struct harness *h = *state;

	for (uint32_t first = 0; first < ARRAY_SIZE(road) - 1; first++) {
		struct qp_row row = {.local_lid = OTHER_LID,
		        .local_qpn = OTHER_QPN,
		        .real_qpn = OTHER_QPN + 1 + first};
		Tether__QpRows rows = TETHER__QP_ROWS__INIT;

		assert_int_equal(qp_rows_append(&rows, &row), 0);
		h->migration++;
		for (uint32_t i = first; i < ARRAY_SIZE(road); i++)
			step_of_another(h, road[i], &rows);
		rows_clear(&rows.base);
		assert_int_equal(datagram_number_to_virtual(numbers, row.real_qpn), OTHER_QPN);
		vm_says(h, first + 1);
		peer_hears(h, first + 1);
	}
	datagram_numbers_forget(numbers);
}

static void without_an_agent_nobody_is_a_stranger(void **state)
{
	struct harness *h = *state;

	harness_stranger = NULL;
	vm_says(h, 1);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].src_qp, real_of(h->vm.qp)->qp_num);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_stranger_is_asked_for_and_called_as_it_calls_itself),
	        TEST(of_several_at_once_each_is_introduced),
	        TEST(what_a_step_has_taken_is_introduced_when_it_is_polled),
	        TEST(a_stranger_is_who_it_was_when_it_sent),
	        TEST(what_comes_by_a_connection_is_of_no_stranger),
	        TEST(what_goes_with_its_receiver_is_no_stranger_any_more),
	        TEST(who_comes_late_to_a_move_takes_its_numbers),
	        TEST(without_an_agent_nobody_is_a_stranger),
	};

	return cmocka_run_group_tests_name("shim_strangers", tests, NULL, NULL);
}
