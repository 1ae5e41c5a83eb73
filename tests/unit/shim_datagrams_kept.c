/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is sent to a VM that is stopped is kept where it is sent, with what is behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "preload/datagram_numbers.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_letters.h"

static void only_what_goes_to_the_vm_is_kept_and_what_is_behind_it(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr here = {.dlid = FAKE_LID_PEER, .port_num = 1};
	struct ibv_ah *to_vm = h->peer.ah, *to_peer = ibv_create_ah(h->peer.pd, &here);
	struct ibv_qp *real = real_of(h->peer.qp);

	harness_stop(h);
	h->peer.ah = to_peer;
	assert_int_equal(send_letter(&h->peer, 0, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_pending(real), 1);
	end_run(&h->peer, 9);
	harness_expect_one(h, &h->peer, 0);
	h->peer.ah = to_vm;
	assert_int_equal(send_letter(&h->peer, 1, IBV_SEND_SIGNALED), 0);
	h->peer.ah = to_peer;
	for (uint64_t n = 2; n <= HARNESS_DEPTH; n++)
		assert_int_equal(send_letter(&h->peer, n, IBV_SEND_SIGNALED), 0);
	assert_int_equal(send_letter(&h->peer, 9, IBV_SEND_SIGNALED), ENOMEM);
	assert_int_equal(fake_pending(real), 0);
	harness_go_on(h);
	assert_ptr_equal(real_of(h->peer.qp), real);
	assert_int_equal(fake_pending(real), HARNESS_DEPTH);
	post_receive(&h->vm, 0);
	end_run(&h->peer, HARNESS_DEPTH);
	expect_letter(h, &h->vm, 0, 1);
	assert_int_equal(harness_poll(h, &h->peer), HARNESS_DEPTH);
	h->peer.ah = to_vm;
	ibv_destroy_ah(to_peer);
}

static void a_list_is_kept_from_the_first_on_that_goes_to_the_vm(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr here = {.dlid = FAKE_LID_PEER, .port_num = 1};
	struct ibv_ah *to_peer = ibv_create_ah(h->peer.pd, &here);

	harness_stop(h);
	assert_int_equal(send_two(&h->peer, to_peer, h->peer.ah), 0);
	assert_int_equal(end_pending(&h->peer), 1);
	assert_int_equal(send_two(&h->peer, to_peer, to_peer), 0);
	assert_int_equal(end_pending(&h->peer), 1);
	harness_go_on(h);
	assert_int_equal(end_pending(&h->peer), 4);
	ibv_destroy_ah(to_peer);
}

static void what_a_vm_sends_to_itself_goes_out_too(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr here = {.dlid = FAKE_LID_VM, .port_num = 1};
	struct ibv_ah *to_vm = ibv_create_ah(h->vm.pd, &here);

	post_receive(&h->vm, 0);
	harness_stop(h);
	assert_int_equal(send_two(&h->vm, h->vm.ah, to_vm), 0);
	harness_go_on(h);
	assert_int_equal(end_pending(&h->vm), 2);
	ibv_destroy_ah(to_vm);
}

static void what_a_peer_kept_goes_out_when_a_move_is_given_up(void **state)
{
	struct harness *h = *state;

	for (int vote = 0; vote < 2; vote++) {
		harness_step(h, TETHER__STEP__STEP_PREPARE);
		harness_step(h, TETHER__STEP__STEP_STOP);
		if (vote)
			harness_step(h, TETHER__STEP__STEP_SETTLE);
		send_letter(&h->peer, 0, 0);
		assert_int_equal(end_pending(&h->peer), 0);
		harness_step(h, TETHER__STEP__STEP_ABORT);
		if (vote) {
			harness_step(h, TETHER__STEP__STEP_RECONNECT);
			harness_step(h, TETHER__STEP__STEP_RESUME);
		}
		assert_int_equal(end_run(&h->peer, 9), 1);
	}
}

static void a_peer_goes_on_alone_when_nobody_speaks(void **state)
{
	struct harness *h = *state;

	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	send_letter(&h->peer, 0, 0);
	harness_time_passes(h, 6000);
	assert_int_equal(end_run(&h->peer, 9), 1);
}

/* It is in the error state for the application, not for a move. */
static void what_a_peer_kept_is_flushed_when_its_queue_pair_ends(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	harness_stop(h);
	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_modify_qp(h->peer.qp, &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->peer), 0);
	assert_int_equal(end_pending(&h->peer), 0);
}

/* Its completion is to come: the stop waits until it has gone, so nothing is lost. */
static void a_stop_waits_for_what_a_peer_has_sent_to_the_vm(void **state)
{
	struct harness *h = *state;
	uint64_t before;

	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	before = h->now_ms;
	harness_step(h, TETHER__STEP__STEP_STOP);
	assert_true(h->now_ms > before);
	harness_step(h, TETHER__STEP__STEP_ABORT);
	end_run(&h->peer, 9);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	before = h->now_ms;
	harness_step(h, TETHER__STEP__STEP_STOP);
	assert_int_equal(h->now_ms, before);
	harness_step(h, TETHER__STEP__STEP_ABORT);
}

struct end_of_move {
	struct harness *h;
	bool over;
};

static void *give_up(void *at)
{
	struct end_of_move *end = at;

	harness_step(end->h, TETHER__STEP__STEP_ABORT);
	__atomic_store_n(&end->over, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Somebody has looked, seen that the VM is stopped, and has not kept it yet. */
static void what_is_kept_in_the_last_moment_goes_out_too(void **state)
{
	struct harness *h = *state;
	struct queue_pair *qp = queue_pair_of(h->peer.qp);
	struct ibv_send_wr wr = {
	        .opcode = IBV_WR_SEND, .wr.ud = {h->peer.ah, h->peer.remote_qpn, HARNESS_QKEY}};
	struct end_of_move end = {.h = h};
	enum gate_pass pass;
	pthread_t thread;

	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	pass = gate_enter(&qp->send_gate);
	assert_int_equal(pass, GATE_OWNED);
	assert_int_equal(pthread_create(&thread, NULL, give_up, &end), 0);
	/* Until it is over, or waits for us. */
	while (!__atomic_load_n(&end.over, __ATOMIC_ACQUIRE) &&
	        __atomic_load_n(&qp->send_gate.owner, __ATOMIC_RELAXED))
		sched_yield();
	assert_int_equal(send_log_fill(&qp->sends, 0, &wr), 0);
	send_log_number(&qp->sends, 1);
	send_log_commit(&qp->sends, 1, false);
	gate_leave(&qp->send_gate, pass);
	pthread_join(thread, NULL);
	assert_int_equal(end_pending(&h->peer), 1);
}

/* Ours: the n-th of its queue, accepted and not given to the device. */
static void keep(struct end *from, uint64_t n)
{
	struct queue_pair *qp = queue_pair_of(from->qp);
	struct ibv_send_wr wr = {
	        .wr_id = n, .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED};

	if (qp->datagrams) {
		wr.wr.ud.ah = from->ah;
		wr.wr.ud.remote_qpn = from->remote_qpn;
		wr.wr.ud.remote_qkey = HARNESS_QKEY;
	}
	assert_int_equal(send_log_fill(&qp->sends, 0, &wr), 0);
	send_log_number(&qp->sends, 1);
	send_log_commit(&qp->sends, 1, false);
}

static void expect_all_sent(struct harness *h, struct end *from, unsigned count)
{
	assert_int_equal(end_pending(from), count);
	assert_int_equal(end_run(from, count), count);
	assert_int_equal(harness_poll(h, from), count);
	for (unsigned n = 0; n < count; n++)
		assert_int_equal(h->wc[n].wr_id, n);
}

static void what_is_posted_goes_out_behind_what_is_kept(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++)
		post_receive(&h->vm, n);
	keep(&h->peer, 0);
	keep(&h->peer, 1);
	assert_int_equal(send_letter(&h->peer, 2, IBV_SEND_SIGNALED), 0);
	expect_all_sent(h, &h->peer, 3);
}

/* The address is let go, and what this queue has kept has not been looked at yet. */
static void what_is_posted_at_the_end_of_a_stop_goes_behind_what_was_kept(void **state)
{
	struct harness *h = *state;
	struct end second = second_of(h, &h->peer, &h->vm);
	const struct datagram_numbers *vm = datagram_numbers_of(FAKE_LID_VM, NULL);
	struct gate *before = &queue_pair_of(h->peer.qp)->send_gate;
	struct end_of_move end = {.h = h};
	enum gate_pass pass;
	pthread_t thread;

	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	assert_int_equal(send_letter(&second, 0, IBV_SEND_SIGNALED), 0);
	pass = gate_enter(before);
	assert_int_equal(pass, GATE_OWNED);
	assert_int_equal(pthread_create(&thread, NULL, give_up, &end), 0);
	while (__atomic_load_n(&vm->stopped, __ATOMIC_ACQUIRE) ||
	        __atomic_load_n(&before->owner, __ATOMIC_RELAXED))
		sched_yield();
	assert_int_equal(send_letter(&second, 1, IBV_SEND_SIGNALED), 0);
	assert_false(__atomic_load_n(&end.over, __ATOMIC_ACQUIRE));
	gate_leave(before, pass);
	pthread_join(thread, NULL);
	expect_all_sent(h, &second, 2);
	second_end(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        UD(only_what_goes_to_the_vm_is_kept_and_what_is_behind_it),
	        UD(a_list_is_kept_from_the_first_on_that_goes_to_the_vm),
	        UD(what_is_kept_in_the_last_moment_goes_out_too),
	        BOTH(what_is_posted_goes_out_behind_what_is_kept),
	        UD(what_is_posted_at_the_end_of_a_stop_goes_behind_what_was_kept),
	        UD(what_a_vm_sends_to_itself_goes_out_too),
	        UD(what_a_peer_kept_goes_out_when_a_move_is_given_up),
	        UD(a_peer_goes_on_alone_when_nobody_speaks),
	        UD(what_a_peer_kept_is_flushed_when_its_queue_pair_ends),
	        UD(a_stop_waits_for_what_a_peer_has_sent_to_the_vm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
