/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_sleeper_turns.h"

#include <stdlib.h>

enum {
	MESSAGE_BYTES = 64,
	BURST_MAX = 3, /* before the last one */
	LIMIT = 3,
	REFILL_FROM = 5, /* idle ones, so that more than the limit are posted again */
};

/* Where things are in memory. */
enum { SENDS_AT = 2 * SLEEPER_DEPTH * MESSAGE_BYTES, OTHERS_AT = 2 * SENDS_AT };

struct message {
	uint32_t number;
	uint32_t is_last; /* of its burst, and solicited */
};

void sleeper_expect(struct sleeper *sleeper, bool holds, const char *what)
{
	if (!holds && !sleeper->errors++)
		sleeper->first_error = what;
}

unsigned sleeper_draw(struct sleeper *sleeper, unsigned below)
{
	return (unsigned)rand_r(&sleeper->seed) % below;
}

/* ---- work ---- */

static struct message *received_message(struct sleeper *sleeper, uint64_t wr_id)
{
	return (struct message *)(void *)(sleeper->memory + wr_id * MESSAGE_BYTES);
}

void sleeper_give_receive(struct sleeper *sleeper, uint64_t wr_id)
{
	struct ibv_sge sge = {
	        (uintptr_t)received_message(sleeper, wr_id), MESSAGE_BYTES, sleeper->mr->lkey};
	struct ibv_recv_wr *bad, wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};
	int err = wr_id < SLEEPER_DEPTH ? ibv_post_recv(sleeper->flows[0].qp, &wr, &bad)
	                                : ibv_post_srq_recv(sleeper->srq, &wr, &bad);

	/* Between RELEASE and ATTACH it is taken, too. */
	sleeper_expect(sleeper, !err, "a receive is posted");
}

static void post(struct sleeper *sleeper, struct flow *flow, const struct ibv_send_wr *wr,
        uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)sleeper->memory + offset, length, sleeper->mr->lkey};
	struct ibv_send_wr posted = *wr, *bad;

	posted.sg_list = &sge;
	posted.num_sge = 1;
	flow->outstanding += !!(wr->send_flags & IBV_SEND_SIGNALED);
	sleeper_expect(sleeper, !ibv_post_send(flow->qp, &posted, &bad), "a send is posted");
}

static void send_message(struct sleeper *sleeper, struct flow *flow, bool is_last)
{
	uint32_t slot = flow->sent % SLEEPER_DEPTH + (flow == sleeper->flows ? 0 : SLEEPER_DEPTH);
	uint32_t offset = SENDS_AT + slot * MESSAGE_BYTES;
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};

	*(struct message *)(void *)(sleeper->memory + offset) =
	        (struct message){flow->sent++, is_last};
	if (is_last)
		wr.send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED;
	else if (sleeper_draw(sleeper, 2))
		wr.send_flags = IBV_SEND_SIGNALED;
	post(sleeper, flow, &wr, offset, MESSAGE_BYTES);
}

/* Nobody has asked for its completion, and this library has. */
static void fetch_unsignalled(struct sleeper *sleeper, struct flow *flow)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_READ};

	if (sleeper->uses_atomics && sleeper_draw(sleeper, 2)) {
		wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		wr.wr.atomic.remote_addr = (uintptr_t)sleeper->other->memory + OTHERS_AT;
		wr.wr.atomic.rkey = sleeper->other->mr->rkey;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)sleeper->other->memory + OTHERS_AT;
		wr.wr.rdma.rkey = sleeper->other->mr->rkey;
	}
	post(sleeper, flow, &wr, OTHERS_AT + 8, 8);
}

static void take_turn(struct sleeper *sleeper, struct flow *flow)
{
	if (!flow->my_turn || flow->outstanding)
		return;
	flow->my_turn = false;
	for (unsigned more = sleeper_draw(sleeper, BURST_MAX + 1); more; more--)
		send_message(sleeper, flow, false);
	if (!sleeper_draw(sleeper, 4))
		fetch_unsignalled(sleeper, flow);
	send_message(sleeper, flow, true);
	__atomic_add_fetch(&flow->turns, 1, __ATOMIC_RELAXED);
}

/* ---- completions ---- */

static void sent(struct flow *flow)
{
	flow->outstanding--;
}

static bool received(struct sleeper *sleeper, struct flow *flow, uint64_t wr_id)
{
	struct message message = *received_message(sleeper, wr_id);

	sleeper->disorders += message.number != flow->received++;
	flow->my_turn |= message.is_last;
	if (wr_id < SLEEPER_DEPTH)
		sleeper_give_receive(sleeper, wr_id);
	else
		sleeper->idle[sleeper->idle_count++] = (uint32_t)wr_id;
	return message.is_last;
}

static void take_completion(
        struct sleeper *sleeper, struct heard_cq *heard, const struct ibv_wc *wc)
{
	struct flow *flow = &sleeper->flows[heard == &sleeper->cqs[2]];
	bool solicited = false;

	if (wc->status) {
		sleeper->status = wc->status;
		sleeper_expect(sleeper, false, "a completion is a success");
		return;
	}
	if (wc->opcode & IBV_WC_RECV)
		solicited = received(sleeper, flow, wc->wr_id);
	else
		sent(flow);
	heard->seen++;
	heard->seen_solicited += solicited;
}

void sleeper_poll(struct sleeper *sleeper, struct heard_cq *heard)
{
	struct ibv_wc wc[4];
	int got;

	while ((got = ibv_poll_cq(heard->cq, 4, wc)) > 0) {
		for (int i = 0; i < got; i++)
			take_completion(sleeper, heard, &wc[i]);
	}
	sleeper_expect(sleeper, !got, "a queue is polled");
}

void sleeper_arm(struct sleeper *sleeper, struct heard_cq *heard)
{
	/* Successes of sends are not solicited. */
	heard->solicited_only = heard == &sleeper->cqs[1] && sleeper_draw(sleeper, 2);
	heard->is_armed = true;
	heard->seen = heard->seen_solicited = 0;
	heard->arms++;
	sleeper_expect(
	        sleeper, !ibv_req_notify_cq(heard->cq, heard->solicited_only), "a queue is armed");
}

void sleeper_refill(struct sleeper *sleeper)
{
	struct ibv_srq_attr attr = {.srq_limit = LIMIT};

	if (!sleeper->starves || sleeper->idle_count < REFILL_FROM)
		return;
	while (sleeper->idle_count)
		sleeper_give_receive(sleeper, sleeper->idle[--sleeper->idle_count]);
	sleeper->starves = false;
	sleeper->limit_is_armed = true;
	sleeper_expect(
	        sleeper, !ibv_modify_srq(sleeper->srq, &attr, IBV_SRQ_LIMIT), "a limit is armed");
}

void sleeper_go_on(struct sleeper *sleeper)
{
	sleeper_refill(sleeper);
	for (int i = 0; i < SLEEPER_FLOWS; i++)
		take_turn(sleeper, &sleeper->flows[i]);
}
