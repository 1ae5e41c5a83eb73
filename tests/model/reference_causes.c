/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Which errors a program has asked for. */
#include "model/reference_state.h"

void causes_of_failure(struct reference *reference, unsigned end)
{
	reference->ends[end_other(end)].causes |= CAUSE_PEER;
}

/*
 * Work that fails takes its own queue pair to ERR. What the other end refuses takes that there as
 * well; what is wrong here it never hears of (IBA 9.9.2).
 */
void causes_of_work(struct reference *reference, unsigned end, const struct work *work)
{
	if (work_takes_receive(work) && end_link(reference->program, end)->rnr_retry < 7)
		causes_of_failure(reference, end);
	if (work->wrong == RIGHT)
		return;
	reference->ends[end].has_wrong = true;
	causes_of_failure(reference, end);
	if (work->wrong == WRONG_LKEY)
		return;
	reference->ends[end_other(end)].causes |= CAUSE_OWN;
	causes_of_failure(reference, end_other(end));
}

/* Whoever takes it fails, and so does the message's sender. */
void causes_of_receive(struct reference *reference, unsigned queue, unsigned wrong)
{
	reference->queues[queue].has_wrong = true;
	for (unsigned end = 0; end < 2 * reference->program->link_count; end++) {
		if (reference_queue_of(reference->program, end) != queue)
			continue;
		reference->ends[end].causes |= CAUSE_OWN;
		reference->ends[end_other(end)].causes |= CAUSE_PEER | CAUSE_RECEIVE;
		causes_of_failure(reference, end_other(end));
	}
}

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

/* The first error of the queue pair, or what follows from it. */
bool send_error_has_cause(
        const struct reference *reference, unsigned end, uint32_t number, enum ibv_wc_status status)
{
	const struct end_state *state = &reference->ends[end];
	const struct work *work = state->sent[number].work;
	bool is_first = state->last_failed == NO_WORK;

	if (status == IBV_WC_WR_FLUSH_ERR)
		return !is_first || state->own_failed || state->causes & CAUSE_OWN;
	if (!is_first)
		return false;
	if (state->causes & CAUSE_EXCUSED || own_fault_is(work, status))
		return true;
	switch (status) {
	case IBV_WC_RETRY_EXC_ERR:
		return state->causes & CAUSE_PEER;
	case IBV_WC_RNR_RETRY_EXC_ERR:
		return work_takes_receive(work) && end_link(reference->program, end)->rnr_retry < 7;
	case IBV_WC_REM_INV_REQ_ERR:
	case IBV_WC_REM_OP_ERR:
		return work_takes_receive(work) && state->causes & CAUSE_RECEIVE;
	default:
		return false;
	}
}

bool receive_error_has_cause(const struct reference *reference, unsigned end, unsigned queue,
        uint32_t number, enum ibv_wc_status status)
{
	const struct end_state *state = &reference->ends[end];

	switch (status) {
	case IBV_WC_WR_FLUSH_ERR:
		return state->has_failed || state->has_wrong || state->causes & CAUSE_OWN ||
		       (state->causes & CAUSE_PEER) != 0 ||
		       end_link(reference->program, end)->rnr_retry < 7;
	case IBV_WC_LOC_LEN_ERR:
		return reference->queues[queue].received[number].wrong == WRONG_SHORT;
	case IBV_WC_LOC_PROT_ERR:
		return reference->queues[queue].received[number].wrong == WRONG_LKEY;
	default:
		return state->causes & CAUSE_EXCUSED;
	}
}
