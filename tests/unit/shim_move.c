/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Exactly once: what becomes of work in each state in which a stop can find it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

/* Of whom moves and who stays: every promise holds for both, so most tests run both ways. */
struct sides {
	struct end *from, *to;
};

static struct sides from_vm(struct harness *h)
{
	return (struct sides){&h->vm, &h->peer};
}

static struct sides from_peer(struct harness *h)
{
	return (struct sides){&h->peer, &h->vm};
}

static int write8(struct sides s, uint64_t wr_id, const char *text, unsigned flags)
{
	strcpy((char *)s.from->memory + 8 * wr_id, text);
	return end_rdma(s.from, s.to, IBV_WR_RDMA_WRITE, wr_id, (uint32_t)(8 * wr_id), 8, flags);
}

static const char *there(struct sides s, uint64_t wr_id)
{
	return (const char *)s.to->memory + 8 * wr_id;
}

static unsigned run(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, true);
}

static unsigned run_unacknowledged(struct end *from, unsigned messages)
{
	return fake_execute(real_of(from->qp), messages, false);
}

static void expect_one(struct harness *h, struct end *end, uint64_t wr_id)
{
	assert_int_equal(harness_poll(h, end), 1);
	assert_int_equal(h->wc[0].wr_id, wr_id);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[0].qp_num, end->qp->qp_num);
}

#define BOTH_WAYS(name)                                                                            \
	static void name##_here(struct harness *h, struct sides s);                                \
	static void name(void **state)                                                             \
	{                                                                                          \
		name##_here(*state, from_vm(*state));                                              \
		name##_here(*state, from_peer(*state));                                            \
	}                                                                                          \
	static void name##_here(struct harness *h, struct sides s)

BOTH_WAYS(finished_work_is_left_alone)
{
	assert_int_equal(write8(s, 1, "done", IBV_SEND_SIGNALED), 0);
	run(s.from, 1);
	expect_one(h, s.from, 1);
	strcpy((char *)s.to->memory + 8, "mine");
	harness_move(h);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 0);
	assert_string_equal(there(s, 1), "mine");
	assert_int_equal(harness_poll(h, s.from), 0);
}

BOTH_WAYS(what_was_not_executed_is_replayed_once)
{
	write8(s, 1, "one", IBV_SEND_SIGNALED);
	write8(s, 2, "two", 0);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 2);
	assert_int_equal(run(s.from, 9), 2);
	assert_string_equal(there(s, 1), "one");
	assert_string_equal(there(s, 2), "two");
	expect_one(h, s.from, 1);
}

BOTH_WAYS(executed_and_unacknowledged_is_not_executed_again)
{
	write8(s, 1, "sent", IBV_SEND_SIGNALED);
	run_unacknowledged(s.from, 1);
	assert_string_equal(there(s, 1), "sent");
	strcpy((char *)s.to->memory + 8, "seen");
	harness_move(h);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 0);
	assert_string_equal(there(s, 1), "seen");
	expect_one(h, s.from, 1);
}

BOTH_WAYS(unsignalled_and_executed_is_neither_replayed_nor_reported)
{
	write8(s, 1, "sent", 0);
	run_unacknowledged(s.from, 1);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 0);
	assert_int_equal(harness_poll(h, s.from), 0);
}

BOTH_WAYS(a_message_of_which_a_part_arrived_is_replayed_whole)
{
	memset(s.from->memory + 4096, 'x', 3 * FAKE_MTU);
	end_rdma(s.from, s.to, IBV_WR_RDMA_WRITE, 1, 4096, 3 * FAKE_MTU, IBV_SEND_SIGNALED);
	fake_execute_part(real_of(s.from->qp), 2);
	harness_move(h);
	assert_int_equal(run(s.from, 9), 1);
	assert_memory_equal(s.to->memory + 4096, s.from->memory + 4096, 3 * FAKE_MTU);
	expect_one(h, s.from, 1);
	memset(s.to->memory + 4096, 0, 3 * FAKE_MTU);
}

BOTH_WAYS(a_send_without_a_receive_is_replayed_and_taken_once)
{
	strcpy((char *)s.from->memory, "hi");
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(run(s.from, 1), 0);
	harness_move(h);
	assert_int_equal(run(s.from, 1), 0);
	end_receive(s.to, 50, 256, 8);
	assert_int_equal(run(s.from, 9), 1);
	expect_one(h, s.from, 1);
	expect_one(h, s.to, 50);
	assert_string_equal((char *)s.to->memory + 256, "hi");
}

BOTH_WAYS(posted_receives_are_there_after_the_move)
{
	for (uint64_t i = 0; i < 3; i++)
		end_receive(s.to, 50 + i, (uint32_t)(256 + 8 * i), 8);
	end_send(s.from, 1, 0, 8, 0);
	run(s.from, 1);
	expect_one(h, s.to, 50);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(s.to->qp)), 2);
	end_send(s.from, 2, 0, 8, 0);
	end_send(s.from, 3, 0, 8, 0);
	run(s.from, 9);
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
	run(s.from, 1);
	expect_one(h, s.from, 1);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	expect_one(h, s.to, 50);
	assert_int_equal(fake_receives(real_of(s.to->qp)), 1);
	end_send(s.from, 2, 0, 8, 0);
	run(s.from, 1);
	expect_one(h, s.to, 51);
}

/* Nobody has it: neither acknowledgement nor receive completion, but it was executed. */
BOTH_WAYS(a_late_receive_of_unacknowledged_work_is_waited_for_too)
{
	end_receive(s.to, 50, 256, 8);
	fake.hold_receives = true;
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	run_unacknowledged(s.from, 1);
	h->meanwhile = release_late;
	harness_move(h);
	h->meanwhile = NULL;
	expect_one(h, s.to, 50);
	expect_one(h, s.from, 1);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 0);
}

BOTH_WAYS(an_unanswered_read_is_replayed)
{
	strcpy((char *)s.to->memory + 512, "data");
	end_rdma(s.from, s.to, IBV_WR_RDMA_READ, 1, 512, 8, IBV_SEND_SIGNALED);
	run_unacknowledged(s.from, 1);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), 0);
	assert_int_equal(run(s.from, 9), 1);
	expect_one(h, s.from, 1);
	assert_string_equal((char *)s.from->memory + 512, "data");
}

/* The WRITE behind it was executed; its completion still comes in its turn. */
BOTH_WAYS(completions_stay_in_order_behind_a_replayed_read)
{
	end_rdma(s.from, s.to, IBV_WR_RDMA_READ, 1, 512, 8, IBV_SEND_SIGNALED);
	write8(s, 2, "sent", IBV_SEND_SIGNALED);
	run_unacknowledged(s.from, 2);
	strcpy((char *)s.to->memory + 16, "seen");
	write8(s, 3, "next", IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(harness_poll(h, s.from), 0);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 2);
	run(s.from, 1);
	assert_int_equal(harness_poll(h, s.from), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
	run(s.from, 1);
	expect_one(h, s.from, 3);
	assert_string_equal(there(s, 2), "seen");
}

BOTH_WAYS(a_second_move_before_the_read_is_done_changes_nothing)
{
	end_rdma(s.from, s.to, IBV_WR_RDMA_READ, 1, 512, 8, IBV_SEND_SIGNALED);
	write8(s, 2, "sent", IBV_SEND_SIGNALED);
	run_unacknowledged(s.from, 2);
	strcpy((char *)s.to->memory + 16, "seen");
	harness_move(h);
	harness_move(h);
	run(s.from, 9);
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
	assert_int_equal(run(s.from, 9), 0);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	end_receive(s.to, 50, 256, 8);
	assert_int_equal(run(s.from, 9), 2);
	harness_move(h);
	assert_int_equal(*counter, 42);
	expect_one(h, s.from, 2);
	expect_one(h, s.to, 50);
}

BOTH_WAYS(an_atomic_without_its_answer_stops_the_move_before_the_vote)
{
	uint64_t *counter = (uint64_t *)(void *)(s.to->memory + 1024);

	*counter = 40;
	end_fetch_add(s.from, s.to, 1, 1024, 2);
	run_unacknowledged(s.from, 1);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	assert_string_equal(harness_reason(h), "atomic-unanswered");
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(*counter, 42);
	write8(s, 2, "goes on", IBV_SEND_SIGNALED);
	/* the transport's retry brings the answer after all */
	fake_acknowledge(real_of(s.from->qp));
	expect_one(h, s.from, 1);
	run(s.from, 1);
	expect_one(h, s.from, 2);
}

static void inline_data_survives_its_buffer(void **state)
{
	struct harness *h = *state;
	struct sides s = from_vm(h);

	write8(s, 1, "first", IBV_SEND_INLINE);
	strcpy((char *)h->vm.memory + 8, "later");
	harness_move(h);
	run(&h->vm, 1);
	assert_string_equal(there(s, 1), "first");
}

/* ---- while stopped ---- */

BOTH_WAYS(sends_are_kept_while_stopped_and_go_out_afterwards)
{
	harness_stop(h);
	assert_int_equal(write8(s, 1, "kept", IBV_SEND_SIGNALED), 0);
	harness_go_on(h);
	assert_int_equal(run(s.from, 9), 1);
	assert_string_equal(there(s, 1), "kept");
	expect_one(h, s.from, 1);
}

BOTH_WAYS(a_stopped_queue_fills_as_a_queue_does)
{
	harness_stop(h);
	for (int i = 0; i < HARNESS_DEPTH; i++)
		assert_int_equal(write8(s, 1, "kept", 0), 0);
	assert_int_equal(write8(s, 1, "kept", 0), ENOMEM);
	harness_go_on(h);
	assert_int_equal(run(s.from, 99), HARNESS_DEPTH);
	assert_int_equal(write8(s, 1, "last", IBV_SEND_SIGNALED), ENOMEM); /* none was signalled */
}

BOTH_WAYS(receives_are_open_while_senders_drain)
{
	end_send(s.from, 1, 0, 8, IBV_SEND_SIGNALED);
	harness_step(h, TETHER__STEP__STEP_PREPARE);
	harness_step(h, TETHER__STEP__STEP_STOP);
	end_receive(s.to, 50, 256, 8);
	assert_int_equal(run(s.from, 1), 1);
	expect_one(h, s.to, 50);
	expect_one(h, s.from, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	assert_int_equal(fake_pending(real_of(s.from->qp)), 0);
}

static void receives_posted_without_a_device_are_there_afterwards(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	for (int i = 0; i < HARNESS_DEPTH; i++)
		assert_int_equal(end_receive(&h->vm, 50, 256, 8), 0);
	assert_int_equal(end_receive(&h->vm, 50, 256, 8), ENOMEM);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	fake.slot = 1;
	harness_step(h, TETHER__STEP__STEP_ATTACH);
	assert_int_equal(fake_receives(real_of(h->vm.qp)), HARNESS_DEPTH);
	harness_step(h, TETHER__STEP__STEP_RECONNECT);
	harness_step(h, TETHER__STEP__STEP_RESUME);
}

static void everything_real_is_gone_before_the_device_may_go(void **state)
{
	struct harness *h = *state;
	unsigned before = fake.live_objects;

	harness_stop(h);
	harness_step(h, TETHER__STEP__STEP_RELEASE);
	assert_int_equal(fake.live_objects, before - 5); /* context, pd, mr, cq, qp */
	harness_go_on(h);
	assert_int_equal(fake.live_objects, before);
}

static void the_application_can_ask_while_the_device_is_away(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr init;
	struct ibv_port_attr port;
	struct ibv_qp_attr attr;
	union ibv_gid gid;

	harness_stop(h);
	harness_step(h, TETHER__STEP__STEP_RELEASE);
	assert_int_equal(___ibv_query_port(h->vm.context, 1, &port), 0);
	assert_int_equal(port.lid, FAKE_LID_VM);
	assert_int_equal(port.state, IBV_PORT_ACTIVE);
	assert_int_equal(ibv_query_gid(h->vm.context, 1, 0, &gid), 0);
	assert_int_equal(ibv_query_qp(h->vm.qp, &attr, IBV_QP_STATE, &init), 0);
	assert_int_equal(attr.qp_state, IBV_QPS_RTS);
	harness_go_on(h);
}

static long times_gone_to_sleep(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* Else the pollers of a VM take the CPUs from what brings the device back. */
static void who_polls_without_a_device_lets_others_run(void **state)
{
	const int polls = 640;
	struct harness *h = *state;
	long before;

	harness_stop(h);
	harness_step(h, TETHER__STEP__STEP_RELEASE);
	before = times_gone_to_sleep();
	for (int i = 0; i < polls; i++)
		assert_int_equal(ibv_poll_cq(h->vm.cq, 1, h->wc), 0);
	assert_true(times_gone_to_sleep() - before >= polls / 64);
	harness_go_on(h);
}

/* ---- numbers ---- */

static void the_application_keeps_its_numbers(void **state)
{
	struct harness *h = *state;
	uint32_t qpn = h->vm.qp->qp_num, lkey = h->vm.mr->lkey, rkey = h->vm.mr->rkey;

	harness_move(h);
	assert_int_equal(h->vm.qp->qp_num, qpn);
	assert_int_equal(h->vm.mr->lkey, lkey);
	assert_int_equal(h->vm.mr->rkey, rkey);
	assert_int_not_equal(real_of(h->vm.qp)->qp_num, qpn);
}

static void old_rkeys_reach_the_rebuilt_region(void **state)
{
	struct harness *h = *state;
	struct sides s = from_peer(h);

	harness_move(h);
	write8(s, 1, "after", IBV_SEND_SIGNALED);
	run(&h->peer, 1);
	expect_one(h, &h->peer, 1);
	assert_string_equal(there(s, 1), "after");
}

static void a_wrong_key_stays_wrong(void **state)
{
	struct harness *h = *state;
	struct ibv_mr wrong = *h->vm.mr;

	harness_move(h);
	wrong.rkey += 0x777;
	h->vm.mr->rkey += 0x777;
	end_rdma(&h->peer, &h->vm, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED);
	h->vm.mr->rkey -= 0x777;
	run(&h->peer, 1);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
}

static void a_new_key_is_not_somebodys_old_one(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *mr;

	harness_move(h);
	fake_next_number(h->vm.mr->lkey);
	mr = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, 0);
	assert_non_null(mr);
	assert_int_not_equal(mr->lkey, h->vm.mr->lkey);
	assert_int_not_equal(mr->rkey, h->vm.mr->rkey);
	assert_int_equal(ibv_dereg_mr(mr), 0);
}

static void a_new_queue_pair_is_not_called_as_an_old_one(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_init_attr attr = {
	        .send_cq = h->vm.cq, .recv_cq = h->vm.cq, .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp;

	harness_move(h);
	fake_next_number(h->vm.qp->qp_num);
	qp = ibv_create_qp(h->vm.pd, &attr);
	assert_non_null(qp);
	assert_int_not_equal(qp->qp_num, h->vm.qp->qp_num);
	assert_int_equal(ibv_destroy_qp(qp), 0);
}

/* An application may use a key after it let the region go; it must not reach another region. */
static void a_dead_key_reaches_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *other = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, IBV_ACCESS_REMOTE_WRITE);
	struct ibv_sge sge = {(uintptr_t)h->vm.memory, 8, other->lkey};
	struct ibv_send_wr *bad, wr = {.sg_list = &sge,
	                                 .num_sge = 1,
	                                 .opcode = IBV_WR_RDMA_WRITE,
	                                 .wr.rdma = {(uintptr_t)h->peer.memory, h->peer.mr->rkey}};
	struct ibv_mr *heir;
	uint32_t freed;

	harness_move(h);
	freed = memory_region_of(other)->real->lkey;
	assert_int_equal(ibv_dereg_mr(other), 0);
	fake_next_number(freed);
	heir = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, IBV_ACCESS_LOCAL_WRITE);
	strcpy((char *)h->vm.memory, "secret");
	assert_int_equal(ibv_post_send(h->vm.qp, &wr, &bad), 0);
	run(&h->vm, 1);
	assert_string_not_equal((char *)h->peer.memory, "secret");
	assert_int_equal(ibv_dereg_mr(heir), 0);
}

/* ---- shared receive queues ---- */

BOTH_WAYS(shared_buffers_are_used_once_each)
{
	for (uint64_t i = 0; i < 3; i++)
		end_receive(s.to, 50 + i, (uint32_t)(256 + 8 * i), 8);
	end_send(s.from, 1, 0, 8, 0);
	run(s.from, 1);
	expect_one(h, s.to, 50);
	harness_move(h);
	assert_int_equal(fake_receives(real_of(s.to->qp)), 2);
	end_send(s.from, 2, 0, 8, 0);
	end_send(s.from, 3, 0, 8, 0);
	run(s.from, 9);
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
	run_unacknowledged(s.from, 1);
	harness_move(h);
	expect_one(h, s.from, 1);
	assert_int_equal(run(s.from, 9), 1);
	end_send(s.from, 3, 0, 8, 0);
	run(s.from, 1);
	expect_one(h, s.to, 50);
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
	assert_int_equal(run(&h->peer, 9), 1);
	expect_one(h, &h->peer, 1);
	harness_move(h);
	write8(s, 2, "more", IBV_SEND_SIGNALED);
	assert_int_equal(run(&h->peer, 9), 1);
	expect_one(h, &h->peer, 2);
}

BOTH_WAYS(without_a_live_frontier_finished_work_goes_on)
{
	fake.psns_are_live = false;
	write8(s, 1, "done", IBV_SEND_SIGNALED);
	run(s.from, 1);
	expect_one(h, s.from, 1);
	harness_move(h);
	write8(s, 2, "more", IBV_SEND_SIGNALED);
	run(s.from, 1);
	expect_one(h, s.from, 2);
}

static void without_a_live_frontier_unfinished_work_ends_with_an_error(void **state)
{
	struct harness *h = *state;

	fake.psns_are_live = false;
	write8(from_vm(h), 1, "sent", IBV_SEND_SIGNALED);
	run_unacknowledged(&h->vm, 1);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
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
	        EITHER(sends_are_kept_while_stopped_and_go_out_afterwards),
	        EITHER(a_stopped_queue_fills_as_a_queue_does),
	        EITHER(receives_are_open_while_senders_drain),
	        EITHER(receives_posted_without_a_device_are_there_afterwards),
	        EITHER(everything_real_is_gone_before_the_device_may_go),
	        EITHER(the_application_can_ask_while_the_device_is_away),
	        EITHER(who_polls_without_a_device_lets_others_run),
	        EITHER(the_application_keeps_its_numbers),
	        EITHER(old_rkeys_reach_the_rebuilt_region),
	        EITHER(a_wrong_key_stays_wrong),
	        EITHER(a_new_key_is_not_somebodys_old_one),
	        EITHER(a_new_queue_pair_is_not_called_as_an_old_one),
	        EITHER(a_dead_key_reaches_nothing),
	        SHARED(shared_buffers_are_used_once_each),
	        EITHER(completions_of_an_earlier_incarnation_are_not_shown),
	        EITHER(flushes_that_come_after_the_move_are_not_errors),
	        EITHER(without_a_live_frontier_finished_work_goes_on),
	        EITHER(without_a_live_frontier_unfinished_work_ends_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
