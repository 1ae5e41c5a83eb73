/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/work_state.h"

#include "simfabric/local_work.h"
#include "simfabric/request_packets.h"

static const char *const names[WORK_STATE_COUNT] = {
        [WORK_NOT_SENT] = "not sent",
        [WORK_PARTLY_DELIVERED] = "partly delivered",
        [WORK_EXECUTED] = "executed, unacknowledged",
        [WORK_ANSWER_LOST] = "answer lost",
        [WORK_RNR_BLOCKED] = "RNR-blocked",
        [WORK_RECEIVE_HIDDEN] = "acknowledged, RECV hidden",
        [WORK_DONE] = "done",
};

const char *work_state_name(enum work_state state)
{
	return names[state];
}

uint32_t work_state_first(const struct send_queue *queue)
{
	uint32_t kept = queue->posted < queue->size ? queue->posted : queue->size;

	return queue->posted - kept;
}

/* How far @psn has come in @work, in packets. */
static uint32_t packets_before(const struct send_work *work, uint32_t psn)
{
	int32_t distance = psn_distance(psn, work->first_psn);

	if (distance <= 0)
		return 0;
	return (uint32_t)distance < work->packets ? (uint32_t)distance : work->packets;
}

static bool takes_receive(const struct send_work *work)
{
	return work_is(work) & (IS_SEND | HAS_IMM);
}

static bool receive_is_hidden(const struct work_ends *ends, const struct send_work *work)
{
	const struct completion_queue *queue = ends->receives;
	const struct completion *completion;

	if (!queue)
		queue = ends->responder->responder.completions;
	if (!queue || !takes_receive(work))
		return false;
	completion = completion_queue_find_receive(
	        queue, ends->responder, psn_add(work->first_psn, work->packets - 1));
	return completion && completion_queue_hides(queue, completion, ends->now_ns);
}

static bool is_refused(
        const struct work_ends *ends, const struct work_found *found, const struct send_work *work)
{
	return ends->responder->responder.lacks_receive && found->accepted < work->packets &&
	       psn_distance(ends->responder->responder.expected_psn, work->first_psn) >= 0;
}

static enum work_state open_state(
        const struct work_ends *ends, const struct work_found *found, const struct send_work *work)
{
	if (found->accepted == work->packets)
		return work_is(work) & (IS_READ | IS_ATOMIC) ? WORK_ANSWER_LOST : WORK_EXECUTED;
	if (is_refused(ends, found, work))
		return WORK_RNR_BLOCKED;
	return found->accepted ? WORK_PARTLY_DELIVERED : WORK_NOT_SENT;
}

struct work_found work_state_of(const struct work_ends *ends, uint32_t position)
{
	const struct requester *requester = &ends->requester->requester;
	const struct send_work *work = send_queue_at(&requester->queue, position);
	bool is_open = (int32_t)(position - requester->queue.oldest) >= 0;
	struct work_found found = {.state = is_open ? WORK_NOT_SENT : WORK_DONE};

	if (!work->started)
		return found;
	if (work_is_local(work)) {
		found.state = is_open ? WORK_EXECUTED : WORK_DONE;
		return found;
	}
	found.accepted = packets_before(work, ends->responder->responder.expected_psn);
	found.receive_is_hidden = found.accepted == work->packets && receive_is_hidden(ends, work);
	if (work_is(work) & IS_READ)
		found.answered =
		        is_open ? packets_before(work, requester->acked_psn) : work->packets;
	if (is_open)
		found.state = open_state(ends, &found, work);
	else if (found.receive_is_hidden)
		found.state = WORK_RECEIVE_HIDDEN;
	return found;
}
