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

#include "notifier/wire/frame.h"
#include "notifier/wire/rows.h"
#include "preload/datagram_numbers.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

enum { INBOX = 1024, LENGTH = 64, GRH = sizeof(struct ibv_grh) };

static struct harness harness;

static void setup_type(void **state, enum ibv_qp_type type, bool with_srq)
{
	memset(&harness, 0, sizeof(harness));
	harness.type = type;
	harness.with_srq = with_srq;
	harness_open(&harness);
	harness_connect(&harness);
	*state = &harness;
}

static int setup_ud(void **state)
{
	setup_type(state, IBV_QPT_UD, false);
	return 0;
}

static int setup_ud_srq(void **state)
{
	setup_type(state, IBV_QPT_UD, true);
	return 0;
}

static int setup_uc(void **state)
{
	setup_type(state, IBV_QPT_UC, false);
	return 0;
}

/* wr_id n brings letter n into slot n of the other's inbox. */
static int send_letter(struct end *from, uint64_t n, unsigned flags)
{
	from->memory[LENGTH * n] = (uint8_t)('a' + n);
	return end_send(from, n, (uint32_t)(LENGTH * n), LENGTH, flags);
}

static void post_receive(struct end *end, uint64_t n)
{
	assert_int_equal(end_receive(end, 50 + n, (uint32_t)(INBOX + 128 * n), LENGTH + GRH), 0);
}

static unsigned run(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, true);
}

static void expect_one(struct harness *h, struct end *end, uint64_t wr_id)
{
	assert_int_equal(harness_poll(h, end), 1);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[0].qp_num, end->qp->qp_num);
}

static void expect_letter(struct harness *h, struct end *end, uint64_t slot, uint64_t n)
{
	uint32_t header = h->type == IBV_QPT_UD ? GRH : 0;

	expect_one(h, end, 50 + slot);
	if (h->type == IBV_QPT_UD)
		assert_int_equal(h->wc[0].src_qp, end->remote_qpn);
	assert_int_equal(end->memory[INBOX + 128 * slot + header], 'a' + n);
}

static void what_was_received_before_and_after_arrives(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++)
		post_receive(&h->peer, n);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	assert_int_equal(run(&h->vm, 9), 1);
	expect_letter(h, &h->peer, 0, 0);
	harness_move(h);
	expect_one(h, &h->vm, 0);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	assert_int_equal(run(&h->vm, 9), 1);
	expect_one(h, &h->vm, 1);
	expect_letter(h, &h->peer, 1, 1);
	harness_move(h);
	send_letter(&h->vm, 2, 0);
	assert_int_equal(run(&h->vm, 9), 1);
	expect_letter(h, &h->peer, 2, 2);
}

static void peers_reach_it_by_the_number_that_they_know(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++) {
		post_receive(&h->vm, 0);
		send_letter(&h->peer, n, 0);
		assert_int_equal(run(&h->peer, 9), 1);
		expect_letter(h, &h->vm, 0, n);
		harness_move(h);
	}
	assert_int_not_equal(real_of(h->vm.qp)->qp_num, h->vm.qp->qp_num);
}

static void what_was_not_sent_is_sent_once(void **state)
{
	struct harness *h = *state;

	post_receive(&h->peer, 0);
	post_receive(&h->peer, 1);
	send_letter(&h->vm, 0, 0);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 2);
	assert_int_equal(run(&h->vm, 9), 2);
	expect_one(h, &h->vm, 1);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
}

/* Sent is done, whatever became of it; so it is not sent again. */
static void what_was_sent_without_a_completion_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	send_letter(&h->vm, 1, 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 2, false), 2);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	expect_one(h, &h->vm, 0);
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
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
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
		assert_int_equal(fake_pending(real_of(h->vm.qp)), 1);
		assert_int_equal(harness_poll(h, &h->vm), 2);
		assert_int_equal(h->wc[0].wr_id, 0);
		assert_int_equal(h->wc[1].wr_id, 2);
		assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
		assert_int_equal(run(&h->vm, 9), 1);
		expect_one(h, &h->vm, 3);
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
	assert_int_equal(run(&h->vm, 1), 1);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	send_letter(&h->vm, 2, 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, false), 1);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].wr_id, 1);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
}

static void what_is_posted_meanwhile_is_kept(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	for (uint64_t n = 0; n < HARNESS_DEPTH; n++)
		assert_int_equal(send_letter(&h->vm, n, IBV_SEND_SIGNALED), 0);
	assert_int_equal(send_letter(&h->vm, 9, 0), ENOMEM);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	harness_go_on(h);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), HARNESS_DEPTH);
	run(&h->vm, HARNESS_DEPTH);
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
	assert_int_equal(run(&h->vm, 9), 1);
	expect_one(h, &h->vm, 0);
}

static void a_move_given_up_after_the_vote_goes_on_in_place(void **state)
{
	struct harness *h = *state;
	struct ibv_qp *real = real_of(h->vm.qp);

	post_receive(&h->vm, 0);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_ptr_equal(real_of(h->vm.qp), real);
	assert_int_equal(fake_receives(real), 1);
	assert_int_equal(run(&h->vm, 9), 1);
	expect_one(h, &h->vm, 0);
}

static void only_sends_are_accepted(void **state)
{
	struct harness *h = *state;

	assert_int_equal(end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), EINVAL);
	harness_stop(h);
	assert_int_equal(end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), EINVAL);
	harness_go_on(h);
}

/* ---- UD: where each goes, and who has sent it ---- */

/* Another queue pair beside that of @end, for the same other end. */
static struct end second_of(struct harness *h, const struct end *end, const struct end *to)
{
	struct end second = *end;

	end_create_qp(&second, h);
	end_connect(&second, to, end == &h->vm ? FAKE_LID_PEER : FAKE_LID_VM);
	return second;
}

static void second_end(struct end *second)
{
	assert_int_equal(ibv_destroy_qp(second->qp), 0);
	assert_int_equal(ibv_destroy_ah(second->ah), 0);
}

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
	assert_int_equal(run(&h->peer, 9), 1);
	expect_one(h, &second, 71);
	post_receive(&h->peer, 0);
	send_letter(&second, 4, 0);
	assert_int_equal(run(&second, 9), 1);
	expect_letter(h, &h->peer, 0, 4);
	h->peer.remote_qpn = h->vm.qp->qp_num;
	send_letter(&h->peer, 5, 0);
	assert_int_equal(run(&h->peer, 9), 1);
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
	run(&second, 9);
	harness_stop(h);
	fake_release_receives();
	rebuild_with_number(h, second.qp->qp_num - 1);
	h->peer.remote_qpn = second.qp->qp_num;
	expect_letter(h, &h->peer, 0, 4);
	second_end(&second);
}

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
	run(&h->peer, 9);
	expect_one(h, &h->peer, 0);
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
	run(&h->peer, HARNESS_DEPTH);
	expect_letter(h, &h->vm, 0, 1);
	assert_int_equal(harness_poll(h, &h->peer), HARNESS_DEPTH);
	h->peer.ah = to_vm;
	ibv_destroy_ah(to_peer);
}

static int send_two(struct end *from, struct ibv_ah *first, struct ibv_ah *second)
{
	struct ibv_send_wr wrs[2] = {{.opcode = IBV_WR_SEND}, {.opcode = IBV_WR_SEND}}, *bad;

	wrs[0].next = &wrs[1];
	for (int i = 0; i < 2; i++) {
		wrs[i].wr.ud.ah = i ? second : first;
		wrs[i].wr.ud.remote_qpn = from->remote_qpn;
		wrs[i].wr.ud.remote_qkey = HARNESS_QKEY;
	}
	return ibv_post_send(from->qp, wrs, &bad);
}

static void a_list_is_kept_from_the_first_on_that_goes_to_the_vm(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr here = {.dlid = FAKE_LID_PEER, .port_num = 1};
	struct ibv_ah *to_peer = ibv_create_ah(h->peer.pd, &here);

	harness_stop(h);
	assert_int_equal(send_two(&h->peer, to_peer, h->peer.ah), 0);
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 1);
	assert_int_equal(send_two(&h->peer, to_peer, to_peer), 0);
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 1);
	harness_go_on(h);
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 4);
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
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 2);
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
		assert_int_equal(fake_pending(real_of(h->peer.qp)), 0);
		harness_step(h, TETHER__STEP__STEP_ABORT);
		if (vote) {
			harness_step(h, TETHER__STEP__STEP_RECONNECT);
			harness_step(h, TETHER__STEP__STEP_RESUME);
		}
		assert_int_equal(run(&h->peer, 9), 1);
	}
}

static void a_peer_goes_on_alone_when_nobody_speaks(void **state)
{
	struct harness *h = *state;

	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	send_letter(&h->peer, 0, 0);
	harness_time_passes(h, 6000);
	assert_int_equal(run(&h->peer, 9), 1);
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
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 0);
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
	run(&h->peer, 9);
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
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 1);
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
	assert_int_equal(fake_pending(real_of(from->qp)), count);
	assert_int_equal(run(from, count), count);
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

/* As a device does, which copies the address with the work. */
static void a_handle_may_be_destroyed_behind_its_post(void **state)
{
	struct harness *h = *state;
	struct ibv_ah_attr there = {.dlid = FAKE_LID_PEER, .port_num = 1};
	struct ibv_ah *to_peer = h->vm.ah;
	unsigned live;

	post_receive(&h->peer, 0);
	post_receive(&h->peer, 1);
	send_letter(&h->vm, 0, IBV_SEND_SIGNALED);
	harness_stop(h);
	send_letter(&h->vm, 1, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_destroy_ah(to_peer), 0);
	harness_go_on(h);
	assert_int_equal(run(&h->vm, 9), 2);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->peer.memory[INBOX + 128 + GRH], 'b');
	assert_int_equal(harness_poll(h, &h->vm), 2);
	live = fake.live_objects;
	h->vm.ah = ibv_create_ah(h->vm.pd, &there);
	assert_int_equal(ibv_destroy_ah(h->vm.ah), 0);
	h->vm.ah = NULL;
	assert_int_equal(fake.live_objects, live - 1);
}

/* ---- what is on its way when everybody has stopped ---- */

/* Some time after the stop, before the vote. */
static void release_late(struct harness *h)
{
	if (h->stopped && !h->settled && h->now_ms % 20 == 0)
		fake_release_receives();
}

static void arrives_late(struct harness *h, struct end *from, struct end *to)
{
	post_receive(to, 0);
	fake.hold_receives = true;
	send_letter(from, 0, IBV_SEND_SIGNALED);
	run(from, 1);
	expect_one(h, from, 0);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	expect_letter(h, to, 0, 0);
	assert_int_equal(fake_receives(real_of(to->qp)), 0);
}

static void what_is_on_its_way_is_waited_for(void **state)
{
	struct harness *h = *state;

	arrives_late(h, &h->peer, &h->vm);
	arrives_late(h, &h->vm, &h->peer);
	arrives_late(h, &h->peer, &h->vm);
}

static unsigned move_and_measure_settle(struct harness *h)
{
	uint64_t before;
	unsigned took;

	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	before = h->now_ms;
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	took = (unsigned)(h->now_ms - before);
	harness_go_on(h);
	return took;
}

/* Whoever has no receive posted never sees it. */
static void what_was_lost_is_not_waited_for_twice(void **state)
{
	struct harness *h = *state;

	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	run(&h->peer, 1);
	assert_true(move_and_measure_settle(h) > 0);
	assert_int_equal(move_and_measure_settle(h), 0);
	post_receive(&h->vm, 0);
	expect_one(h, &h->peer, 0);
	send_letter(&h->peer, 1, IBV_SEND_SIGNALED);
	run(&h->peer, 1);
	assert_int_equal(move_and_measure_settle(h), 0);
	expect_letter(h, &h->vm, 0, 1);
}

static void nothing_is_waited_for_when_all_has_come(void **state)
{
	struct harness *h = *state;

	for (uint64_t n = 0; n < 3; n++) {
		post_receive(&h->vm, n);
		send_letter(&h->peer, n, 0);
	}
	run(&h->peer, 9);
	post_receive(&h->peer, 0);
	send_letter(&h->vm, 0, 0);
	run(&h->vm, 9);
	assert_int_equal(move_and_measure_settle(h), 0);
	assert_int_equal(harness_poll(h, &h->vm), 3);
}

static void what_the_device_refused_is_not_waited_for(void **state)
{
	struct harness *h = *state;

	post_receive(&h->vm, 0);
	fake.post_fails_at = 1;
	assert_int_equal(send_two(&h->peer, h->peer.ah, h->peer.ah), ENOMEM);
	fake.post_fails_at = 0;
	assert_int_equal(send_letter(&h->peer, 0, 0), ENOMEM);
	fake.post_fails_at = -1;
	assert_int_equal(run(&h->peer, 9), 1);
	assert_int_equal(move_and_measure_settle(h), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
}

/* More addresses than an answer has room for. */
static void a_stop_is_answered_whatever_was_sent(void **state)
{
	struct harness *h = *state;
	struct datagram_counts *sent = &queue_pair_of(h->vm.qp)->sent;

	for (uint32_t i = 0; i < 100000; i++)
		datagram_counts_add(sent, FAKE_LID_PEER, 0x10000 + i);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	assert_int_equal(harness_step(h, TETHER__STEP__STEP_STOP), TETHER__OUTCOME__OUTCOME_DONE);
	assert_true(tether__answer__get_packed_size(h->stopped) < FRAME_MAX_BYTES);
	harness_step(h, TETHER__STEP__STEP_ABORT);
	harness_move(h);
}

static size_t rows_of_a_stop(struct harness *h)
{
	size_t count;

	harness_stop(h);
	assert_int_equal(evidence_rows_count(h->stopped->evidence, &count), 0);
	harness_go_on(h);
	return count;
}

static void what_has_been_settled_is_not_told_again(void **state)
{
	struct harness *h = *state;
	struct end *ends[] = {&h->vm, &h->peer};

	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[1 - i % 2];

		post_receive(to, 0);
		send_letter(from, 1, 0);
		run(from, 9);
		assert_int_equal(rows_of_a_stop(h), 1);
		assert_int_equal(rows_of_a_stop(h), 0);
		expect_letter(h, to, 0, 1);
	}
}

/* Who gives up has not said that it has waited. */
static void what_was_told_in_vain_is_told_again(void **state)
{
	struct harness *h = *state;

	post_receive(&h->vm, 0);
	send_letter(&h->peer, 1, 0);
	run(&h->peer, 9);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	harness_step(h, TETHER__STEP__STEP_ABORT);
	assert_int_equal(rows_of_a_stop(h), 1);
}

static void counts_are_of_each_address(void **state)
{
	struct datagram_counts counts = {0};

	for (uint32_t round = 1; round <= 2; round++) {
		for (uint32_t qpn = 0; qpn < 1000; qpn++)
			datagram_counts_add(&counts, 1 + qpn % 3, qpn);
		for (uint32_t qpn = 0; qpn < 1000; qpn++)
			assert_int_equal(
			        datagram_counts_at(&counts, datagram_other(1 + qpn % 3, qpn))
			                ->count,
			        round);
	}
	assert_null(datagram_counts_at(&counts, datagram_other(0, 5)));
	datagram_counts_fini(&counts);
}

/* ---- UC: both ends begin anew ---- */

static void both_ends_of_a_connection_go_on(void **state)
{
	struct harness *h = *state;
	struct end *ends[] = {&h->vm, &h->peer};

	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[1 - i % 2];

		post_receive(to, 0);
		send_letter(from, (uint64_t)i, IBV_SEND_SIGNALED);
		harness_move(h);
		assert_int_equal(run(from, 9), 1);
		expect_one(h, from, (uint64_t)i);
		expect_letter(h, to, 0, (uint64_t)i);
	}
}

static void a_write_reaches_the_region_as_it_is_called_now(void **state)
{
	struct harness *h = *state;

	harness_move(h);
	strcpy((char *)h->peer.memory, "text");
	assert_int_equal(end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, 1, 0, 8, 0), 0);
	assert_int_equal(run(&h->peer, 1), 1);
	assert_string_equal((char *)h->vm.memory, "text");
}

/* Nobody has taken it: a lost message stays lost, and the connection goes on. */
static void what_was_lost_is_not_sent_again(void **state)
{
	struct harness *h = *state;

	send_letter(&h->peer, 0, IBV_SEND_SIGNALED);
	assert_int_equal(run(&h->peer, 1), 1);
	post_receive(&h->vm, 0);
	harness_move(h);
	expect_one(h, &h->peer, 0);
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 0);
	send_letter(&h->peer, 1, 0);
	run(&h->peer, 1);
	expect_letter(h, &h->vm, 0, 1);
}

#define UD(name)   cmocka_unit_test_setup_teardown(name, setup_ud, harness_teardown)
#define UC(name)   cmocka_unit_test_setup_teardown(name, setup_uc, harness_teardown)
#define BOTH(name) UD(name), UC(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        BOTH(what_was_received_before_and_after_arrives),
	        cmocka_unit_test_setup_teardown(
	                what_was_received_before_and_after_arrives, setup_ud_srq, harness_teardown),
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
	        UD(a_handle_may_be_destroyed_behind_its_post),
	        BOTH(what_is_on_its_way_is_waited_for),
	        BOTH(what_was_lost_is_not_waited_for_twice),
	        BOTH(nothing_is_waited_for_when_all_has_come),
	        UD(what_the_device_refused_is_not_waited_for),
	        BOTH(what_was_sent_and_given_back_is_not_sent_again),
	        BOTH(what_is_given_back_without_a_word_is_not_sent_again),
	        UD(what_has_been_settled_is_not_told_again),
	        UD(what_was_told_in_vain_is_told_again),
	        UD(a_stop_is_answered_whatever_was_sent),
	        cmocka_unit_test(counts_are_of_each_address),
	        UC(both_ends_of_a_connection_go_on),
	        UC(a_write_reaches_the_region_as_it_is_called_now),
	        UC(what_was_lost_is_not_sent_again),
	};

	return cmocka_run_group_tests_name("datagrams", tests, NULL, NULL);
}
