/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/reference.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/reference_state.h"
#include "simfabric/qp_faults.h"

void violated(struct reference *reference, const char *format, ...)
{
	va_list arguments;

	if (reference->violations < SAID_MOST) {
		va_start(arguments, format);
		vsnprintf(reference->said[reference->violations], SAID_LENGTH, format, arguments);
		va_end(arguments);
	}
	reference->violations++;
}

unsigned reference_violations(const struct reference *reference)
{
	return reference->violations;
}

unsigned reference_excuses(const struct reference *reference)
{
	return reference->excuses;
}

const char *reference_said(const struct reference *reference, unsigned index)
{
	return index < reference->violations && index < SAID_MOST ? reference->said[index] : NULL;
}

uint64_t reference_counter_begins(unsigned process, unsigned counter)
{
	return UINT64_C(0x1000000) * (process * COUNTERS + counter + 1);
}

unsigned reference_queue_of(const struct program *program, unsigned end)
{
	return end_shares(program, end) ? ENDS_MOST + end_process(program, end) : end;
}

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

/* What each end is to post, in its order. */
static void learn_order(struct reference *reference, const struct program *program)
{
	uint32_t filled[ENDS_MOST] = {0};

	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];

		if (action->kind == ACTION_POST)
			reference->work_count[action->of] += action->count;
	}
	for (unsigned end = 0; end < ENDS_MOST; end++) {
		reference->order[end] =
		        zeroed(reference->work_count[end], sizeof(*reference->order[end]));
		reference->ends[end].sent =
		        zeroed(reference->work_count[end], sizeof(*reference->ends[end].sent));
	}
	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];

		for (unsigned j = 0; action->kind == ACTION_POST && j < action->count; j++)
			reference->order[action->of][filled[action->of]++] =
			        &program->work[action->first + j];
	}
}

struct reference *reference_new(const struct program *program)
{
	struct reference *reference = zeroed(1, sizeof(*reference));

	reference->program = program;
	learn_order(reference, program);
	for (unsigned end = 0; end < ENDS_MOST; end++) {
		reference->ends[end].last_failed = NO_WORK;
		for (unsigned i = 0; i < VERSIONED_CELLS; i++)
			reference->ends[end].versions[i] = 1;
	}
	for (unsigned process = 0; process < PROCESSES; process++) {
		for (unsigned i = 0; i < COUNTERS; i++)
			reference->counters[process][i] = reference_counter_begins(process, i);
	}
	return reference;
}

void reference_free(struct reference *reference)
{
	if (!reference)
		return;
	for (unsigned end = 0; end < ENDS_MOST; end++) {
		free(reference->order[end]);
		free(reference->ends[end].sent);
	}
	for (unsigned queue = 0; queue < QUEUES; queue++)
		free(reference->queues[queue].received);
	free(reference);
}

/* ---- what is posted ---- */

static void work_was_sent(struct reference *reference, const struct event *event)
{
	struct end_state *end = &reference->ends[event->of];
	struct sent *sent = &end->sent[end->sent_count];

	if (end->sent_count == reference->work_count[event->of]) {
		violated(reference, "end %u posts more than it has", event->of);
		return;
	}
	sent->work = reference->order[event->of][end->sent_count];
	sent->compare = event->value;
	sent->taking = end->taking_count;
	end->taking_count += work_takes_receive(sent->work);
	end->sent_count++;
	if (sent->work->opcode == IBV_WR_RDMA_READ)
		read_was_posted(reference, event->of, sent);
	end->has_wrong |= sent->work->wrong != RIGHT;
}

static void receive_was_posted(struct reference *reference, const struct event *event)
{
	struct queue_state *queue = &reference->queues[event->queue];

	if (event->number != queue->count) {
		violated(reference, "RECV %u of queue %u is not the next", event->number,
		        event->queue);
		return;
	}
	if (queue->count == queue->room) {
		queue->room = queue->room ? 2 * queue->room : 64;
		queue->received = realloc(queue->received, queue->room * sizeof(*queue->received));
		if (!queue->received)
			abort();
	}
	queue->received[queue->count++] = (struct received){.wrong = (uint8_t)event->how};
	queue->has_wrong |= event->how != RIGHT;
}

/* ---- one event after the other ---- */

static void link_was_connected(struct reference *reference, unsigned link)
{
	reference->ends[2 * link].connected = true;
	reference->ends[2 * link + 1].connected = true;
}

void reference_event(struct reference *reference, const struct event *event)
{
	reference->now++;
	switch (event->kind) {
	case EVENT_CONNECTED:
		link_was_connected(reference, event->of);
		return;
	case EVENT_SENT:
		work_was_sent(reference, event);
		return;
	case EVENT_RECEIVE:
		receive_was_posted(reference, event);
		return;
	case EVENT_COMPLETED:
		if (wr_id_is_receive(event->wc.wr_id))
			receive_completed(reference, event);
		else
			send_completed(reference, event);
		return;
	case EVENT_TAKEN:
		cell_was_taken(reference, event);
		return;
	case EVENT_HOT:
		hot_cell_was_seen(reference, event);
		return;
	case EVENT_TOUCHED:
		reference->ends[event->of].versions[event->how] = event->number;
		return;
	case EVENT_ANSWER:
		work_was_answered(reference, event);
		return;
	case EVENT_FAILED:
		if (!reference->ends[event->of].failed_at)
			reference->ends[event->of].failed_at = reference->now;
		return;
	case EVENT_DESTROYED:
		reference->ends[event->of].destroyed = true;
		reference->ends[event->of].destroyed_at = reference->now;
		return;
	case EVENT_EXCUSED:
		end_was_excused(reference, event->of);
		return;
	case EVENT_COUNTER:
		reference->counters[event->of][event->how] = event->value;
		return;
	case EVENT_LEFT:
		cell_was_left(reference, event);
		return;
	}
}

/* ---- the end ---- */

/* The first of @end's work that must wait for a RECV for ever; sent_count: none has to. */
static uint32_t blocked_from(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	unsigned peer = end_other(end);
	unsigned queue = reference_queue_of(reference->program, peer);

	if (queue >= ENDS_MOST)
		return state->sent_count;
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

bool reference_is_done(const struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];

	return state->destroyed || (state->sent_count == reference->work_count[end] &&
	                                   first_unfinished(reference, end) == state->sent_count);
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

		if (reference_queue_of(reference->program, end) != queue)
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

unsigned reference_missing_receives(const struct reference *reference, unsigned queue)
{
	const struct queue_state *state = &reference->queues[queue];
	uint32_t wanted = 0, there = state->count - state->completed;

	for (unsigned end = 0; end < 2 * reference->program->link_count; end++) {
		const struct end_state *sender = &reference->ends[end_other(end)];

		if (reference_queue_of(reference->program, end) != queue ||
		        reference->ends[end].destroyed || end_is_down(sender))
			continue;
		if (sender->taking_count > reference->ends[end].arrived)
			wanted += sender->taking_count - reference->ends[end].arrived;
	}
	if (wanted)
		wanted += kept_by_the_dead(reference, queue);
	return wanted > there ? wanted - there : 0;
}

/* Completions of RECVs may come after the acknowledgement, as long after as the world likes. */
static bool hides_receives(const struct program *program)
{
	for (unsigned i = 0; i < program->action_count; i++) {
		if (program->actions[i].kind == ACTION_FAULT &&
		        program->actions[i].how == QP_HOLD_RECEIVES)
			return true;
	}
	return program->world.hold;
}

/*
 * Messages that were acknowledged have come. A queue pair that fails while completions are hidden
 * gives all its RECVs back.
 */
static void messages_have_come(struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	const struct end_state *peer = &reference->ends[end_other(end)];
	uint32_t taken = 0;

	if (peer->destroyed)
		return;
	if (peer->has_failed && hides_receives(reference->program))
		return;
	for (uint32_t i = 0; i < state->executed; i++)
		taken += work_takes_receive(state->sent[i].work);
	if (peer->arrived < taken)
		violated(reference, "end %u has executed %u messages, %u have completed at end %u",
		        end, taken, peer->arrived, end_other(end));
}

/* A queue pair in ERR gives its RECVs back. */
static void receives_have_completed(struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	const struct queue_state *queue = &reference->queues[end];

	if (end_shares(reference->program, end) || state->destroyed || !end_is_down(state) ||
	        reference->program->world.rxe)
		return;
	if (queue->completed < queue->count)
		violated(reference, "end %u is in ERR, and %u of its %u RECVs have not completed",
		        end, queue->count - queue->completed, queue->count);
}

static void judge_end(struct reference *reference, unsigned end)
{
	const struct end_state *state = &reference->ends[end];
	uint32_t unfinished = first_unfinished(reference, end);

	messages_have_come(reference, end);
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
