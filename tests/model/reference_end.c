/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What is missing when everything has come to rest, and what is left to come until then. */
#include "model/reference_state.h"
#include "simfabric/qp_faults.h"

/* The first of @end's work that must wait for a RECV for ever; sent_count: none has to. */
static uint32_t blocked_from(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	unsigned peer = end_other(end), queue;

	if (end_takes_from_srq(reference->program, peer))
		return state->sent_count;
	queue = reference_queue_of(reference->program, peer, 0);
	for (uint32_t i = 0; i < state->sent_count; i++) {
		if (work_takes_receive(state->sent[i].work) &&
		        state->sent[i].taking >= reference->queues[queue].count)
			return i;
	}
	return state->sent_count;
}

/* Whether unsignalled work has been executed can be seen of it, and nothing stands in its way. */
static bool must_have_been_executed(
        const struct reference *reference, unsigned end, const struct work *work)
{
	const struct end_state *peer = &reference->ends[end_other(end)];

	return !end_is_down(&reference->ends[end]) && !end_is_down(peer) && !peer->destroyed &&
	       (work_takes_receive(work) || (work_writes(work) && work->length));
}

/* The oldest work that has not shown what it has to; sent_count: all has. */
static uint32_t first_unfinished(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	uint32_t to = end_is_down(state) ? state->sent_count : blocked_from(reference, end);

	for (uint32_t i = 0; i < to; i++) {
		const struct sent *sent = &state->sent[i];

		if (work_is_signaled(reference->program, end, sent->work)) {
			if (!sent->completed)
				return i;
		} else if (i >= state->executed &&
		           must_have_been_executed(reference, end, sent->work)) {
			return i;
		}
	}
	return state->sent_count;
}

/* Completions of RECVs may come after the acknowledgement, as long after as the world likes. */
bool hides_receives(const struct program *program)
{
	for (unsigned i = 0; i < program->action_count; i++) {
		if (program->actions[i].kind == ACTION_FAULT &&
		        program->actions[i].how == QP_HOLD_RECEIVES)
			return true;
	}
	return program->world.hold;
}

/* Where a provider does not say how far it came a connection ends with its oldest open work, of
 * which nobody knows whether it was executed: the RECV that it may have taken goes with it. */
static uint32_t executed_for_certain(const struct end_state *state)
{
	const struct failure *first = &state->first;

	if (first->at && first->is_excused && first->number < state->executed)
		return first->number;
	return state->executed;
}

/*
 * Messages that were acknowledged are still to come. A queue pair that is in ERR when a move
 * settles gives all its RECVs back, those too of which the completions were hidden until then.
 */
static uint32_t still_to_come(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	const struct end_state *peer = &reference->ends[end_other(end)];
	uint32_t taken = 0;

	if (peer->destroyed || (peer->has_failed && hides_receives(reference->program)))
		return 0;
	for (uint32_t i = 0; i < executed_for_certain(state); i++)
		taken += work_takes_receive(state->sent[i].work);
	return taken > peer->arrived ? taken - peer->arrived : 0;
}

bool reference_is_done(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];

	return state->destroyed || (state->sent_count == reference->work_count[end] &&
	                                   first_unfinished(reference, end) == state->sent_count &&
	                                   !still_to_come(reference, end));
}

bool reference_has_failed(const struct reference *reference, unsigned end)
{
	return reference->ends[end].has_failed;
}

unsigned reference_executed(const struct reference *reference, unsigned end)
{
	return reference->ends[end].executed;
}

/*
 * RECVs of a shared queue that nobody gives back: what a queue pair has taken whose completions
 * went with it, or, in ERR, for a message that came in part. Where ERR does not flush RECVs that is
 * each queue pair that a migration breaks.
 */
static uint32_t kept_by_the_dead(const struct reference *reference, unsigned queue)
{
	uint32_t kept = 0;

	for (unsigned end = 0; queue >= ENDS_MOST && end < 2 * reference->program->link_count;
	        end++) {
		const struct end_state *state = &reference->ends[end];

		if (!end_takes_from(reference, end, queue))
			continue;
		if (state->destroyed)
			kept += reference->ends[end_other(end)].taking_count - state->arrived;
		else if (reference->program->world.rxe)
			kept += 1 + program_count(reference->program, ACTION_MOVE);
		else
			kept += end_is_down(state);
	}
	return kept;
}

/* What was sent to @end there and has not come. */
static uint32_t is_on_its_way(const struct reference *reference, unsigned end, unsigned queue)
{
	const struct end_state *sender = &reference->ends[end_other(end)];
	const struct end_state *receiver = &reference->ends[end];
	uint32_t count = 0;

	for (unsigned srq = 0; srq < end_srqs(reference->program, end); srq++) {
		if (reference_queue_of(reference->program, end, srq) == queue &&
		        sender->taking_from[srq] > receiver->arrived_from[srq])
			count += sender->taking_from[srq] - receiver->arrived_from[srq];
	}
	return count;
}

unsigned reference_missing_receives(const struct reference *reference, unsigned queue)
{
	const struct queue_state *state = &reference->queues[queue];
	uint32_t wanted = 0, there = state->count - state->completed;

	for (unsigned end = 0; end < 2 * reference->program->link_count; end++) {
		const struct end_state *sender = &reference->ends[end_other(end)];

		if (!reference->ends[end].destroyed && !end_is_down(sender))
			wanted += is_on_its_way(reference, end, queue);
	}
	if (wanted)
		wanted += kept_by_the_dead(reference, queue);
	return wanted > there ? wanted - there : 0;
}

/* A queue pair in ERR gives its RECVs back. */
static void receives_have_completed(struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	const struct queue_state *queue = &reference->queues[end];

	if (end_takes_from_srq(reference->program, end) || state->destroyed ||
	        !end_is_down(state) || reference->program->world.rxe)
		return;
	if (queue->completed < queue->count)
		violated(reference, "end %u is in ERR, and %u of its %u RECVs have not completed",
		        end, queue->count - queue->completed, queue->count);
}

static void judge_end(struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	uint32_t unfinished = first_unfinished(reference, end);
	uint32_t missing = still_to_come(reference, end);

	if (missing)
		violated(reference, "end %u has executed %u messages that have not come to end %u",
		        end, missing, end_other(end));
	receives_have_completed(reference, end);
	if (state->destroyed || unfinished == state->sent_count)
		return;
	violated(reference, "end %u: work %u of %u has not %s", end, unfinished, state->sent_count,
	        work_is_signaled(reference->program, end, state->sent[unfinished].work)
	                ? "completed"
	                : "been executed");
}

unsigned reference_judge(struct reference *reference)
{
	for (unsigned end = 0; end < 2 * reference->program->link_count; end++)
		errors_have_causes(reference, end);
	for (unsigned end = 0; end < 2 * reference->program->link_count; end++) {
		if (reference->ends[end].connected)
			judge_end(reference, end);
	}
	counters_are_explained(reference);
	return reference->violations;
}
