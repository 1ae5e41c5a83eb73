/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/reference.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/reference_state.h"

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

unsigned reference_queue_of(const struct program *program, unsigned end, unsigned srq)
{
	unsigned process = end_process(program, end);

	if (end_is_target(program, end))
		return ENDS_MOST + PROCESSES + process * XRC_SRQS + srq;
	return end_shares(program, end) ? ENDS_MOST + process : end;
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

static void note_taking(struct reference *reference, unsigned of, struct sent *sent)
{
	struct end_state *end = &reference->ends[of];
	unsigned srq = work_srq(reference->program, of, sent->work);

	sent->taking = end->taking_count;
	sent->in_queue = end->taking_from[srq];
	end->taking_count += work_takes_receive(sent->work);
	end->taking_from[srq] += work_takes_receive(sent->work);
}

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
	note_taking(reference, event->of, sent);
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
	case EVENT_REBOUND:
		reference->ends[event->of].rebound_to = reference->ends[event->of].sent_count;
		return;
	case EVENT_COUNTER:
		reference->counters[event->of][event->how] = event->value;
		return;
	case EVENT_LEFT:
		cell_was_left(reference, event);
		return;
	}
}
