/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/model/injected_check.h"

#include <string.h>

#include "tests/model/injected_ends.h"

static void expect(struct injected *c, bool is_right, const char *what)
{
	if (!is_right && !c->failed)
		c->failed = what;
}

static bool is_in_err(const struct injected *c)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	return !ibv_query_qp(c->asks.qp, &attr, IBV_QP_STATE, &init) &&
	       attr.qp_state == IBV_QPS_ERR;
}

bool injected_may_end_with_error(const struct injected *c)
{
	return c->course == COURSE_DEAD && c->was_unseen && !c->was_untold;
}

/* A RECV that was hidden at the stop may have been seen in time, or not: either will do, and how
 * often it was which is counted. */
bool injected_ends_with_error(const struct injected *c)
{
	if (c->course != COURSE_DEAD || !c->was_unseen)
		return false;
	return c->was_untold || is_in_err(c);
}

static unsigned wanted_sends(const struct injected *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->count; i++)
		n += (c->works[i].flags & IBV_SEND_SIGNALED) != 0;
	return n;
}

static unsigned wanted_receives(const struct injected *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->count; i++)
		n += planned_takes_receive(&c->works[i]);
	return n;
}

/* A queue of its own gives back all that was posted to it; an SRQ keeps what was not taken. */
static unsigned wanted_receives_until_the_end(const struct injected *c)
{
	return c->cell.target == TARGET_RQ && c->flushes_receives ? c->receives_posted : 0;
}

bool injected_is_complete(const struct injected *c, bool is_last)
{
	if (injected_ends_with_error(c))
		return c->sent_count >= wanted_sends(c) &&
		       c->received_count >= wanted_receives_until_the_end(c);
	return c->sent_count >= wanted_sends(c) + is_last &&
	       c->received_count >= wanted_receives(c) + is_last;
}

/* ---- completions ---- */

static enum ibv_wc_opcode completes_as(enum ibv_wr_opcode opcode)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return IBV_WC_RDMA_WRITE;
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return IBV_WC_COMP_SWAP;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return IBV_WC_FETCH_ADD;
	default:
		return IBV_WC_SEND;
	}
}

static void check_sent(struct injected *c)
{
	unsigned n = 0;

	expect(c, c->sent_count == wanted_sends(c), "not as many completions as were asked for");
	for (unsigned i = 0; i < c->count && n < c->sent_count; i++) {
		const struct ibv_wc *wc = &c->sent[n];

		if (!(c->works[i].flags & IBV_SEND_SIGNALED))
			continue;
		expect(c, wc->wr_id == WR_ID_SEND + i, "a completion out of its order");
		expect(c, wc->status == IBV_WC_SUCCESS, "a work request completed with an error");
		expect(c, wc->opcode == completes_as(c->works[i].opcode), "another opcode");
		expect(c, wc->qp_num == c->asks.qp->qp_num, "another queue pair's number");
		n++;
	}
}

static void check_one_received(
        struct injected *c, const struct planned *work, const struct ibv_wc *wc)
{
	bool has_imm =
	        work->opcode == IBV_WR_SEND_WITH_IMM || work->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;

	expect(c, wc->status == IBV_WC_SUCCESS, "a RECV completed with an error");
	expect(c, wc->byte_len == work->length, "a RECV of another length");
	expect(c, wc->qp_num == c->answers.qp->qp_num, "a RECV of another queue pair");
	expect(c, wc->opcode == (planned_writes(work) ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV),
	        "a RECV of another opcode");
	expect(c, !(wc->wc_flags & IBV_WC_WITH_IMM) == !has_imm, "immediate data or not");
	expect(c, !(wc->wc_flags & IBV_WC_WITH_INV) == !work->window, "an invalidation or not");
	if (has_imm)
		expect(c, wc->imm_data == (uint32_t)work->operand, "other immediate data");
	if (work->window)
		expect(c, wc->invalidated_rkey == work->window->rkey, "another key invalidated");
}

/* Of a receive queue in order; of an SRQ each once. */
static void check_order(struct injected *c)
{
	uint64_t seen = 0;

	for (unsigned n = 0; n < c->received_count; n++) {
		uint64_t which = c->received[n].wr_id - WR_ID_RECEIVE;

		expect(c, which < c->receives_posted && !(seen & UINT64_C(1) << which),
		        "a RECV that was not posted, or twice");
		expect(c, c->cell.target != TARGET_RQ || which == n, "a RECV out of its order");
		seen |= UINT64_C(1) << (which & 63);
	}
}

static void check_received(struct injected *c)
{
	unsigned n = 0;

	expect(c, c->received_count == wanted_receives(c), "not as many RECVs as messages");
	check_order(c);
	for (unsigned i = 0; i < c->count && n < c->received_count; i++)
		if (planned_takes_receive(&c->works[i]))
			check_one_received(c, &c->works[i], &c->received[n++]);
}

static void check_event(struct injected *c)
{
	struct ibv_cq *cq = NULL;
	void *context;

	if (!c->answers.channel)
		return;
	expect(c, !ibv_get_cq_event(c->answers.channel, &cq, &context),
	        "no event of what was solicited");
	if (cq)
		ibv_ack_cq_events(cq, 1);
}

/* ---- memory ---- */

static void check_buffer(struct injected *c, const struct planned *work, const uint8_t *at)
{
	for (uint32_t i = 0; i < work->length; i++)
		expect(c, at[i] == (work->is_overwritten ? BYTE_OVER : injected_byte(work, i)),
		        work->is_overwritten ? "a WRITE was executed again"
		                             : "other bytes than were sent");
	for (uint32_t i = 0; i < CASE_GUARD; i++)
		expect(c, at[work->length + i] == BYTE_BEFORE, "bytes behind a message");
}

static void check_atomic(struct injected *c, const struct planned *work)
{
	uint64_t there, here;
	bool adds = work->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;

	memcpy(&there, c->answers.memory + work->remote, sizeof(there));
	memcpy(&here, c->asks.memory + work->local, sizeof(here));
	expect(c, there == (adds ? work->before + work->operand : work->operand),
	        "an atomic was not executed once");
	expect(c, here == work->before, "an atomic has another answer");
}

/* Whole; what a part of another message has left behind in a buffer of an SRQ is nobody's. */
static void check_landing(
        struct injected *c, const struct planned *work, const struct ibv_wc *received)
{
	uint64_t which = received->wr_id - WR_ID_RECEIVE;
	const uint8_t *at = c->answers.memory + c->buffers[which].at;

	for (uint32_t i = 0; i < CASE_GUARD; i++)
		expect(c, at[c->buffers[which].length + i] == BYTE_BEFORE, "bytes behind a buffer");
	for (uint32_t i = 0; !planned_writes(work) && i < work->length; i++)
		expect(c, at[i] == injected_byte(work, i), "other bytes than were sent");
}

static void check_memory(struct injected *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->count && !c->failed; i++) {
		const struct planned *work = &c->works[i];

		if (planned_is_atomic(work))
			check_atomic(c, work);
		else if (work->opcode == IBV_WR_RDMA_READ)
			check_buffer(c, work, c->asks.memory + work->local);
		else if (planned_writes(work))
			check_buffer(c, work, c->answers.memory + work->remote);
		if (planned_takes_receive(work))
			check_landing(c, work, &c->received[n++]);
	}
}

/* ---- an end with an error ---- */

/* Successes, then the oldest that was open, then the rest, each once; of unsignalled work nothing
 * or an error. */
static void check_sent_until_the_end(struct injected *c)
{
	bool is_over = false;
	unsigned n = 0;

	for (unsigned i = 0; i < c->count; i++) {
		const struct ibv_wc *wc = &c->sent[n];
		bool is_there = n < c->sent_count && wc->wr_id == WR_ID_SEND + i;

		if (!is_there) {
			expect(c, !(c->works[i].flags & IBV_SEND_SIGNALED),
			        "a work request has no completion at the end");
			continue;
		}
		n++;
		if (wc->status == IBV_WC_SUCCESS) {
			expect(c, !is_over, "a success behind an error");
			expect(c, c->works[i].flags & IBV_SEND_SIGNALED, "nobody asked for it");
			continue;
		}
		expect(c, wc->status == (is_over ? IBV_WC_WR_FLUSH_ERR : IBV_WC_RETRY_EXC_ERR),
		        "another error");
		is_over = true;
	}
	expect(c, n == c->sent_count, "more completions than work requests");
	expect(c, is_over, "no error");
}

static void check_received_until_the_end(struct injected *c)
{
	bool is_over = false;

	expect(c, c->received_count >= wanted_receives_until_the_end(c),
	        "a RECV has no completion at the end");
	expect(c, c->received_count <= c->receives_posted, "more RECVs than were posted");
	check_order(c);
	for (unsigned n = 0; n < c->received_count; n++) {
		const struct ibv_wc *wc = &c->received[n];

		if (wc->status == IBV_WC_SUCCESS)
			expect(c, !is_over, "a RECV behind an error");
		else
			expect(c, wc->status == IBV_WC_WR_FLUSH_ERR && c->flushes_receives,
			        "another error of a RECV, or where nothing gives it back");
		is_over |= wc->status != IBV_WC_SUCCESS;
	}
}

static void check_not_again(struct injected *c)
{
	unsigned executed = 0, received = 0;

	for (unsigned i = 0; i < c->count; i++) {
		executed += planned_takes_receive(&c->works[i]) && c->works[i].was_executed;
		if (c->works[i].is_overwritten)
			check_buffer(c, &c->works[i], c->answers.memory + c->works[i].remote);
	}
	for (unsigned n = 0; n < c->received_count; n++)
		received += c->received[n].status == IBV_WC_SUCCESS;
	expect(c, received <= executed, "work was executed again");
}

static void check_state(struct injected *c)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	expect(c, !ibv_query_qp(c->asks.qp, &attr, IBV_QP_STATE, &init), "cannot be queried");
	expect(c, (attr.qp_state == IBV_QPS_ERR) == injected_ends_with_error(c),
	        "in ERR, or not in ERR");
}

/* ---- the whole ---- */

void injected_count_receives(const struct injected *c, uint32_t *successes, uint32_t *flushed)
{
	for (unsigned n = 0; n < c->received_count; n++)
		++*(c->received[n].status == IBV_WC_SUCCESS ? successes : flushed);
}

void injected_check(struct injected *c)
{
	check_state(c);
	c->has_ended = injected_ends_with_error(c);
	if (injected_ends_with_error(c)) {
		check_sent_until_the_end(c);
		check_received_until_the_end(c);
		check_not_again(c);
		return;
	}
	check_sent(c);
	check_received(c);
	check_memory(c);
	if (c->cell.manner == MANNER_SOLICITED)
		check_event(c);
}

void injected_check_last(struct injected *c)
{
	unsigned sent = wanted_sends(c), received = wanted_receives(c);

	expect(c, c->sent_count == sent + 1 && c->received_count == received + 1,
	        "the last message does not complete once");
	if (c->failed)
		return;
	expect(c, c->sent[sent].status == IBV_WC_SUCCESS, "the last message fails");
	check_order(c);
}
