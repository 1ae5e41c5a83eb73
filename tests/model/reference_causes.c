/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What has caused an error. Completion queues are polled as the program likes, so a cause may be
 * seen behind what it has caused: it is looked for at the end. It has to be there then: that it was
 * possible is not enough, but for an end that was destroyed before it could be seen.
 */
#include "model/program_text.h"
#include "model/reference_state.h"

struct failure failure_now(
        const struct reference *reference, unsigned end, uint32_t number, enum ibv_wc_status status)
{
	return (struct failure){
	        .at = reference->now,
	        .number = number,
	        .status = status,
	        .own_count = reference->ends[end].sent_count,
	        .peer_count = reference->ends[end_other(end)].sent_count,
	        .is_excused = reference->ends[end].is_excused,
	};
}

/* ---- excuses ---- */

void end_was_excused(struct reference *reference, unsigned end)
{
	struct end_state *state = &reference->ends[end];

	state->is_excused = true;
	state->excused_to = state->sent_count;
}

void excuse_may_be_over(struct reference *reference, unsigned end, uint32_t count)
{
	if (count <= reference->ends[end].excused_to)
		return;
	reference->ends[end].is_excused = false;
	reference->ends[end_other(end)].is_excused = false;
}

/* ---- what may be at all ---- */

static bool own_fault_is(const struct work *work, enum ibv_wc_status status)
{
	switch (work->wrong) {
	case WRONG_LKEY:
		return status == IBV_WC_LOC_PROT_ERR;
	case WRONG_RKEY:
	case WRONG_BOUNDS:
		return status == IBV_WC_REM_ACCESS_ERR;
	default:
		return false;
	}
}

bool send_error_may_be(
        const struct reference *reference, unsigned end, uint32_t number, enum ibv_wc_status status)
{
	const struct end_state *state = &reference->ends[end];
	const struct work *work = state->sent[number].work;

	if (status == IBV_WC_WR_FLUSH_ERR)
		return true;
	if (state->last_failed != NO_WORK)
		return false;
	switch (status) {
	case IBV_WC_RETRY_EXC_ERR:
		return true;
	case IBV_WC_RNR_RETRY_EXC_ERR:
		return work_takes_receive(work) && end_link(reference->program, end)->rnr_retry < 7;
	case IBV_WC_REM_INV_REQ_ERR:
	case IBV_WC_REM_OP_ERR:
		return work_takes_receive(work);
	case IBV_WC_MW_BIND_ERR:
		return work->opcode == IBV_WR_BIND_MW && number < state->rebound_to;
	default:
		return own_fault_is(work, status);
	}
}

bool receive_error_may_be(const struct reference *reference, unsigned queue, uint32_t number,
        enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_WR_FLUSH_ERR:
		return true;
	case IBV_WC_LOC_LEN_ERR:
		return reference->queues[queue].received[number].wrong == WRONG_SHORT;
	case IBV_WC_LOC_PROT_ERR:
		return reference->queues[queue].received[number].wrong == WRONG_LKEY;
	default:
		return false;
	}
}

/* ---- what has caused it ---- */

static bool was_before(uint32_t what, uint32_t when)
{
	return what && what < when;
}

/* The other end refuses it, goes to ERR (IBA 9.9.3) and says so once: that may be lost. */
static bool is_refused(const struct work *work)
{
	return work->wrong == WRONG_RKEY || work->wrong == WRONG_BOUNDS;
}

/* The first error of its work is one that follows from nothing but that work. */
static bool has_fault(const struct end_state *state, uint32_t count)
{
	const struct failure *first = &state->first;

	if (!first->at || first->number >= count)
		return false;
	if (first->status == IBV_WC_RETRY_EXC_ERR)
		return is_refused(state->sent[first->number].work);
	return first->status != IBV_WC_WR_FLUSH_ERR;
}

/*
 * Of its own work, and the other end was not in ERR before: it has not been told by that (IBA
 * 9.9.3). Behind a RECV's that was hidden it may have been told later than a move could hear of it.
 */
static bool has_fault_first(
        const struct reference *reference, const struct end_state *state, uint32_t count)
{
	enum ibv_wc_status status = state->first.status;
	bool is_told = status == IBV_WC_REM_ACCESS_ERR || status == IBV_WC_REM_INV_REQ_ERR ||
	               status == IBV_WC_REM_OP_ERR;

	return has_fault(state, count) && (!is_told || hides_receives(reference->program));
}

/* The same, and what is behind that work was not sent. A READ without memory for its data fails
 * when that comes: what is behind it has been sent by then. */
static bool has_stopped(const struct end_state *state, uint32_t count)
{
	return has_fault(state, count) &&
	       !(state->first.status == IBV_WC_LOC_PROT_ERR &&
	               work_has_answer(state->sent[state->first.number].work));
}

/*
 * @end is in ERR since it has refused a request: one of the first @count of the other end, which
 * has failed by now, and not by a fault of earlier work. What is wrong in a request's own memory
 * the responder never hears of (IBA 9.9.2).
 */
static bool has_refused(const struct reference *reference, unsigned end, uint32_t count)
{
	const struct end_state *sender = &reference->ends[end_other(end)];

	if (!end_is_down(sender) && !sender->destroyed)
		return false;
	for (uint32_t i = 0; i < count && i < sender->sent_count; i++) {
		const struct work *work = sender->sent[i].work;

		if (work->wrong != RIGHT && work->wrong != WRONG_LKEY)
			return !has_stopped(sender, i);
	}
	return false;
}

static bool takes_wrong_receives(const struct reference *reference, unsigned end)
{
	bool takes = false;

	for (unsigned srq = 0; srq < end_srqs(reference->program, end); srq++)
		takes |= reference->queues[reference_queue_of(reference->program, end, srq)]
		                 .has_wrong;
	return takes;
}

/* It was destroyed, and had reason to fail: whether it did, and with what, nobody has seen. */
static bool took_its_reason_along(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];

	return state->destroyed &&
	       (state->has_wrong || takes_wrong_receives(reference, end) ||
	               (end_link(reference->program, end)->rnr_retry < 7 && state->taking_count));
}

/* A RECV of its own was wrong: that was hidden until a move gave all RECVs back. */
static bool receive_failed_unseen(const struct reference *reference, unsigned end)
{
	return reference->ends[end].has_failed && hides_receives(reference->program) &&
	       takes_wrong_receives(reference, end);
}

/*
 * Its RNR retries ran out where a move was about to hold it: the request is done again, and finds
 * the other end gone, which has failed for its having failed.
 */
static bool ran_out_unseen(const struct reference *reference, unsigned end)
{
	const struct failure *first = &reference->ends[end].first;

	return first->at && first->status == IBV_WC_RETRY_EXC_ERR &&
	       reference->ends[end_other(end)].first.at &&
	       end_link(reference->program, end)->rnr_retry < 7 &&
	       work_takes_receive(reference->ends[end].sent[first->number].work);
}

/* @end is in ERR or gone, and neither on the other end's account nor for what it has sent. */
static bool is_down_by_itself(
        const struct reference *reference, unsigned end, const struct failure *of_other)
{
	const struct end_state *state = &reference->ends[end];

	return was_before(state->failed_at, of_other->at) ||
	       was_before(state->destroyed_at, of_other->at) || state->first_receive.at ||
	       has_refused(reference, end, of_other->own_count) || ran_out_unseen(reference, end) ||
	       took_its_reason_along(reference, end) || receive_failed_unseen(reference, end);
}

/* @end is in ERR, and none of its work has to say why. */
static bool was_failed(
        const struct reference *reference, unsigned end, const struct failure *failure)
{
	const struct end_state *state = &reference->ends[end];

	return was_before(state->failed_at, failure->at) || state->first_receive.at ||
	       has_refused(reference, end, failure->peer_count) ||
	       receive_failed_unseen(reference, end);
}

/* The other end's RECV for this message has failed. */
static bool receive_was_wrong(
        const struct reference *reference, unsigned end, const struct failure *failure)
{
	const struct end_state *peer = &reference->ends[end_other(end)];
	const struct sent *sent = &reference->ends[end].sent[failure->number];
	unsigned queue = queue_of_message(reference, end, sent->work);
	enum ibv_wc_status status = failure->status == IBV_WC_REM_INV_REQ_ERR ? IBV_WC_LOC_LEN_ERR
	                                                                      : IBV_WC_LOC_PROT_ERR;

	/* It went with the queue pair, or was hidden until a move gave all RECVs back. */
	if (!peer->first_receive.at)
		return (peer->destroyed ||
		               (peer->has_failed && hides_receives(reference->program))) &&
		       reference->queues[queue].has_wrong;
	return peer->first_receive.status == status && sent->taking >= peer->arrived;
}

static bool work_has_cause(
        const struct reference *reference, unsigned end, const struct failure *failure)
{
	const struct end_state *peer = &reference->ends[end_other(end)];

	switch (failure->status) {
	case IBV_WC_WR_FLUSH_ERR:
		return was_failed(reference, end, failure) ||
		       was_before(reference->ends[end].first_flush.at, failure->at) ||
		       (reference->ends[end].destroyed && takes_wrong_receives(reference, end));
	case IBV_WC_RETRY_EXC_ERR:
		return ran_out_unseen(reference, end) ||
		       has_fault_first(reference, peer, failure->peer_count) ||
		       is_down_by_itself(reference, end_other(end), failure);
	case IBV_WC_REM_INV_REQ_ERR:
	case IBV_WC_REM_OP_ERR:
		return receive_was_wrong(reference, end, failure);
	default:
		return true;
	}
}

/* Work that was posted by then has failed; or a migration found nobody at the other end. */
static bool flush_has_cause(
        const struct reference *reference, unsigned end, const struct failure *failure)
{
	const struct failure *first = &reference->ends[end].first;

	return was_failed(reference, end, failure) ||
	       (first->at && first->status != IBV_WC_WR_FLUSH_ERR &&
	               first->number < failure->own_count) ||
	       has_fault(&reference->ends[end_other(end)], failure->peer_count) ||
	       is_down_by_itself(reference, end_other(end), failure) ||
	       took_its_reason_along(reference, end);
}

/* Work that an excuse may be for: its oldest has run out of retries, the rest is flushed. */
static bool is_excused(const struct failure *failure)
{
	return failure->is_excused &&
	       (failure->status == IBV_WC_RETRY_EXC_ERR || failure->status == IBV_WC_WR_FLUSH_ERR);
}

void errors_have_causes(struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	bool excuses = state->first.at && state->first.status == IBV_WC_MW_BIND_ERR;

	if (state->first.at && !work_has_cause(reference, end, &state->first)) {
		excuses |= is_excused(&state->first);
		if (!is_excused(&state->first))
			violated(reference,
			        "end %u: work %u, %s, ends with status %d without a cause", end,
			        state->first.number,
			        opcode_name(state->sent[state->first.number].work->opcode),
			        state->first.status);
	}
	if (state->first_flush.at && !flush_has_cause(reference, end, &state->first_flush)) {
		excuses |= is_excused(&state->first_flush);
		if (!is_excused(&state->first_flush))
			violated(reference, "end %u: RECV %u ends with status %d without a cause",
			        end, state->first_flush.number, state->first_flush.status);
	}
	reference->excuses += excuses;
}
