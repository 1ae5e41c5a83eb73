/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Order and number of completions, and what each has to say. */
#include "model/pattern.h"
#include "model/program_text.h"
#include "model/reference_state.h"

static enum ibv_wc_opcode completes_as(const struct sent *sent)
{
	switch (sent->work->opcode) {
	case IBV_WR_BIND_MW:
		return IBV_WC_BIND_MW;
	case IBV_WR_LOCAL_INV:
		return sent->compare ? IBV_WC_LOCAL_INV : IBV_WC_RDMA_WRITE;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return IBV_WC_RDMA_WRITE;
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return IBV_WC_FETCH_ADD;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return IBV_WC_COMP_SWAP;
	default:
		return IBV_WC_SEND;
	}
}

/* ---- of work ---- */

/* The other end has done the first @count. */
static void work_must_be_right(struct reference *reference, unsigned end, uint32_t count)
{
	const struct end_state *state = &reference->ends[end];

	for (uint32_t i = state->executed; i < count; i++) {
		const struct work *work = state->sent[i].work;

		if (work->wrong != RIGHT && !work_fails_late(work))
			violated(reference, "end %u: work %u is done, and cannot be: wrong %s", end,
			        i, wrong_names[work->wrong]);
	}
}

/* They have all gone well, since one behind them has. */
static void nothing_has_failed(struct reference *reference, unsigned end, uint32_t count)
{
	struct end_state *state = &reference->ends[end];

	for (; state->right_to < count; state->right_to++) {
		if (work_fails_late(state->sent[state->right_to].work))
			violated(reference, "end %u: work %u is done, and cannot be: wrong lkey",
			        end, state->right_to);
	}
}

/* No message is taken before there is a RECV for it. */
static void receives_must_be_there(struct reference *reference, unsigned end, uint32_t count)
{
	const struct end_state *state = &reference->ends[end];

	for (uint32_t i = state->executed; i < count; i++) {
		const struct sent *sent = &state->sent[i];
		unsigned queue = queue_of_message(reference, end, sent->work);

		if (work_takes_receive(sent->work) &&
		        sent->in_queue >= reference->queues[queue].count)
			violated(reference, "end %u: work %u is done without a RECV", end, i);
	}
}

void work_is_executed(struct reference *reference, unsigned end, uint32_t count)
{
	struct end_state *state = &reference->ends[end];

	if (count <= state->executed)
		return;
	work_must_be_right(reference, end, count);
	receives_must_be_there(reference, end, count);
	state->executed = count;
}

/* All that was asked to complete and stands before @number has done so. */
static void order_is_kept(struct reference *reference, unsigned end, uint32_t number)
{
	struct end_state *state = &reference->ends[end];

	for (; state->signaled_to < number; state->signaled_to++) {
		const struct sent *sent = &state->sent[state->signaled_to];

		if (!sent->completed && work_is_signaled(reference->program, end, sent->work))
			violated(reference, "end %u: work %u completes before work %u", end, number,
			        state->signaled_to);
	}
	if (state->last_failed != NO_WORK && number <= state->last_failed)
		violated(reference, "end %u: work %u completes after work %u", end, number,
		        state->last_failed);
}

static void send_succeeded(struct reference *reference, const struct event *event, uint32_t number)
{
	struct end_state *state = &reference->ends[event->of];
	const struct work *work = state->sent[number].work;

	if (!work_is_signaled(reference->program, event->of, work))
		violated(reference, "end %u: work %u completes, and nobody asked for that",
		        event->of, number);
	if (state->last_failed != NO_WORK)
		violated(reference, "end %u: work %u is done behind the error of work %u",
		        event->of, number, state->last_failed);
	if (event->wc.opcode != completes_as(&state->sent[number]))
		violated(reference, "end %u: work %u, %s, completes as %d", event->of, number,
		        opcode_name(work->opcode), event->wc.opcode);
	work_is_executed(reference, event->of, number + 1);
	nothing_has_failed(reference, event->of, number + 1);
	/* What is done here alone says nothing of the connection. */
	if (!work_is_local(work) || !state->sent[number].compare)
		excuse_may_be_over(reference, event->of, number + 1);
	if (work_has_answer(work) && !state->sent[number].answered)
		violated(
		        reference, "end %u: the answer to work %u was not told", event->of, number);
}

/*
 * The first error leaves nothing unfinished before it: what is has a completion of its own. Work
 * that fails may have been executed, as its acknowledgement may be lost.
 */
static void send_has_failed(struct reference *reference, const struct event *event, uint32_t number)
{
	struct end_state *state = &reference->ends[event->of];

	if (!send_error_may_be(reference, event->of, number, event->wc.status))
		violated(reference, "end %u: work %u, %s, ends with status %d without a cause",
		        event->of, number, opcode_name(state->sent[number].work->opcode),
		        event->wc.status);
	if (state->last_failed == NO_WORK) {
		state->first = failure_now(reference, event->of, number, event->wc.status);
		work_is_executed(reference, event->of, number);
	}
	state->sent[number].failed = true;
	state->last_failed = number;
	state->has_failed = true;
}

void send_completed(struct reference *reference, const struct event *event)
{
	unsigned end = wr_id_owner(event->wc.wr_id);
	uint32_t number = wr_id_number(event->wc.wr_id);
	struct sent *sent = end < ENDS_MOST ? sent_at(reference, end, number) : NULL;

	if (!sent) {
		violated(reference, "a completion of work that was not posted: 0x%llx",
		        (unsigned long long)event->wc.wr_id);
		return;
	}
	if (end != event->of)
		violated(reference, "a completion of end %u has the number of end %u", end,
		        event->of);
	if (sent->completed) {
		violated(reference, "end %u: work %u, %s, completes twice", end, number,
		        opcode_name(sent->work->opcode));
		return;
	}
	order_is_kept(reference, end, number);
	sent->completed = true;
	if (event->wc.status == IBV_WC_SUCCESS)
		send_succeeded(reference, event, number);
	else
		send_has_failed(reference, event, number);
	effects_are_seen(reference, end);
}

/* ---- of RECVs ---- */

/*
 * The next message that the other end sends to @end by way of @queue; NO_WORK: it has not posted so
 * many.
 */
static uint32_t next_message(const struct reference *reference, unsigned end, unsigned queue)
{
	const struct end_state *sender = &reference->ends[end_other(end)];
	const struct end_state *state = &reference->ends[end];

	for (uint32_t i = 0; i < sender->sent_count; i++) {
		const struct work *work = sender->sent[i].work;
		unsigned srq = work_srq(reference->program, end_other(end), work);

		if (work_takes_receive(work) &&
		        queue_of_message(reference, end_other(end), work) == queue &&
		        sender->sent[i].in_queue == state->arrived_from[srq])
			return i;
	}
	return NO_WORK;
}

static void message_is(struct reference *reference, const struct event *event, uint32_t number)
{
	unsigned sender = end_other(event->of);
	const struct sent *sent = &reference->ends[sender].sent[number];
	const struct work *work = sent->work;
	bool is_write = work->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	bool has_imm = is_write || work->opcode == IBV_WR_SEND_WITH_IMM;
	bool ends_window = work->opcode == IBV_WR_SEND_WITH_INV && sent->compare;
	const struct ibv_wc *wc = &event->wc;

	if (wc->opcode != (is_write ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV) ||
	        wc->byte_len != work->length)
		violated(reference, "end %u: %s, work %u, of %u bytes comes as %d with %u",
		        event->of, opcode_name(work->opcode), number, work->length, wc->opcode,
		        wc->byte_len);
	if (!(wc->wc_flags & IBV_WC_WITH_IMM) != !has_imm ||
	        (has_imm && wc->imm_data != (uint32_t)work->operand))
		violated(reference, "end %u: work %u of end %u comes with immediate data 0x%x",
		        event->of, number, sender, wc->imm_data);
	if (!(wc->wc_flags & IBV_WC_WITH_INV) != !ends_window ||
	        (ends_window && wc->invalidated_rkey != sent->compare))
		violated(reference, "end %u: work %u of end %u comes and ends window 0x%x",
		        event->of, number, sender, wc->invalidated_rkey);
	if (!is_write && !pattern_is(event->data, work->length, sender, number))
		violated(reference, "end %u: work %u of end %u comes with other data", event->of,
		        number, sender);
}

/* What completes in several queues is polled in any order. */
static bool completes_in_one(const struct reference *reference, unsigned end)
{
	return !end_is_target(reference->program, end) || !reference->program->world.apart;
}

static void receive_succeeded(
        struct reference *reference, const struct event *event, unsigned queue)
{
	struct end_state *state = &reference->ends[event->of];
	uint32_t number = next_message(reference, event->of, queue);
	const struct sent *sent;

	if (number == NO_WORK) {
		violated(reference, "end %u: a RECV completes, and nothing more was sent",
		        event->of);
		return;
	}
	sent = &reference->ends[end_other(event->of)].sent[number];
	if (completes_in_one(reference, event->of) && sent->taking != state->arrived)
		violated(reference, "end %u: message %u completes, and %u is the next", event->of,
		        sent->taking, state->arrived);
	if (state->own_failed && completes_in_one(reference, event->of))
		violated(
		        reference, "end %u: a message comes behind the error of a RECV", event->of);
	message_is(reference, event, number);
	state->arrived++;
	state->arrived_from[work_srq(reference->program, end_other(event->of), sent->work)]++;
	work_is_executed(reference, end_other(event->of), number + 1);
	excuse_may_be_over(reference, end_other(event->of), number + 1);
}

static void receive_has_failed(
        struct reference *reference, const struct event *event, unsigned queue, uint32_t number)
{
	struct end_state *state = &reference->ends[event->of];
	struct failure *failure = event->wc.status == IBV_WC_WR_FLUSH_ERR ? &state->first_flush
	                                                                  : &state->first_receive;

	if (!receive_error_may_be(reference, queue, number, event->wc.status))
		violated(reference, "end %u: RECV %u ends with status %d without a cause",
		        event->of, number, event->wc.status);
	if (!failure->at)
		*failure = failure_now(reference, event->of, number, event->wc.status);
	state->has_failed = state->own_failed = true;
}

static void receive_order_is_kept(
        struct reference *reference, struct queue_state *queue, unsigned end, uint32_t number)
{
	queue->completed++;
	if (end_takes_from_srq(reference->program, end))
		return;
	if (number != queue->next)
		violated(reference, "end %u: RECV %u completes, and %u is the next", end, number,
		        queue->next);
	queue->next = number + 1;
}

void receive_completed(struct reference *reference, const struct event *event)
{
	unsigned owner = wr_id_owner(event->wc.wr_id);
	uint32_t number = wr_id_number(event->wc.wr_id);
	struct queue_state *queue = owner < QUEUES ? &reference->queues[owner] : NULL;

	if (!queue || number >= queue->count || !end_takes_from(reference, event->of, owner)) {
		violated(reference, "end %u: a completion of a RECV that it does not have: 0x%llx",
		        event->of, (unsigned long long)event->wc.wr_id);
		return;
	}
	if (queue->received[number].completed) {
		violated(reference, "end %u: RECV %u of queue %u completes twice", event->of,
		        number, owner);
		return;
	}
	queue->received[number].completed = true;
	receive_order_is_kept(reference, queue, event->of, number);
	if (event->wc.status == IBV_WC_SUCCESS)
		receive_succeeded(reference, event, owner);
	else
		receive_has_failed(reference, event, owner, number);
	effects_are_seen(reference, end_other(event->of));
}
