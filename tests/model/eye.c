/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the application sees: completions, and its memory. */
#include <string.h>

#include "model/actors.h"
#include "model/pattern.h"

enum { LOOKED_AT_AGAIN = 6 };

/* ---- memory ---- */

static bool is_full(const struct actor_end *end, uint32_t number)
{
	uint32_t length = end->order[number]->length;

	return end->cell[number] && length && end->cell[number][length - 1];
}

static void take_cell(struct run *run, unsigned end, uint32_t number)
{
	uint8_t *cell = run->ends[end].cell[number];

	run_tells(run,
	        (struct event){.kind = EVENT_TAKEN, .of = end, .number = number, .data = cell});
	memset(cell, 0, run->ends[end].order[number]->length);
}

static bool has_cell(const struct actor_end *end, uint32_t number)
{
	return end->cell[number] && end->order[number]->length &&
	       end->order[number]->wrong == RIGHT;
}

/* Those that are full in their order; and some that were taken lately, lest they be full again. */
static void look_at_cells(struct run *run, unsigned end)
{
	struct actor_end *state = &run->ends[end];
	uint32_t from = state->taken_to > LOOKED_AT_AGAIN ? state->taken_to - LOOKED_AT_AGAIN : 0;

	for (uint32_t i = from; i < state->taken_to; i++) {
		if (is_full(state, i))
			take_cell(run, end, i);
	}
	while (state->taken_to < state->posted) {
		if (has_cell(state, state->taken_to)) {
			if (!is_full(state, state->taken_to))
				return;
			take_cell(run, end, state->taken_to);
		}
		state->taken_to++;
	}
}

static void look_at_hot_cells(struct run *run, unsigned end)
{
	struct actor_end *state = &run->ends[end];

	for (unsigned i = 0; i < HOT_CELLS; i++) {
		if (*state->hot[i] == state->hot_seen[i])
			continue;
		state->hot_seen[i] = *state->hot[i];
		run_tells(run,
		        (struct event){
		                .kind = EVENT_HOT, .of = end, .how = i, .data = state->hot[i]});
	}
}

void eye_look(struct run *run)
{
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		if (!run->ends[end].is_connected)
			continue;
		look_at_cells(run, end);
		look_at_hot_cells(run, end);
	}
}

void eye_look_last(struct run *run)
{
	eye_look(run);
	for (unsigned end = 0; end < 2 * run->program->link_count; end++) {
		const struct actor_end *state = &run->ends[end];

		for (uint32_t i = 0; i < state->count; i++) {
			if (state->cell[i])
				run_tells(run, (struct event){.kind = EVENT_LEFT,
				                       .of = end,
				                       .number = i,
				                       .data = state->cell[i]});
		}
	}
	for (unsigned process = 0; process < PROCESSES; process++) {
		for (unsigned i = 0; i < COUNTERS; i++)
			run_tells(run, (struct event){.kind = EVENT_COUNTER,
			                       .of = process,
			                       .how = i,
			                       .value = run->actors[process].counters[i]});
	}
}

void eye_touch(struct run *run, unsigned end, unsigned cell)
{
	struct actor_end *state = &run->ends[end];

	cell_fill(state->versioned[cell], MESSAGE_MOST, cell_word(end, ++state->versions[cell]));
	run_tells(run, (struct event){.kind = EVENT_TOUCHED,
	                       .of = end,
	                       .how = cell,
	                       .number = state->versions[cell]});
}

/* ---- completions ---- */

/* What came for the first @count of @end's work. */
static void tell_answers(struct run *run, unsigned end, uint32_t count)
{
	struct actor_end *state = &run->ends[end];

	for (; state->answered_to < count && state->answered_to < state->posted;
	        state->answered_to++) {
		uint32_t number = state->answered_to;

		if (work_has_answer(state->order[number]))
			run_tells(run, (struct event){.kind = EVENT_ANSWER,
			                       .of = end,
			                       .number = number,
			                       .data = state->local[number]});
	}
}

static void free_buffer(struct actor *actor, uint8_t *buffer)
{
	memset(buffer, 0, MESSAGE_MOST);
	if (actor->free_count < 1024)
		actor->free_buffers[(actor->free_first + actor->free_count++) % 1024] = buffer;
}

static void take_receive(struct run *run, unsigned end, const struct ibv_wc *wc)
{
	unsigned queue = wr_id_owner(wc->wr_id);
	uint32_t number = wr_id_number(wc->wr_id);
	uint8_t *buffer = queue < QUEUES && number < run->queues[queue].count
	                          ? run->queues[queue].buffers[number]
	                          : NULL;

	run_tells(
	        run, (struct event){.kind = EVENT_COMPLETED, .of = end, .wc = *wc, .data = buffer});
	if (buffer)
		free_buffer(run->ends[end].actor, buffer);
}

static void take_send(struct run *run, unsigned end, const struct ibv_wc *wc)
{
	unsigned owner = wr_id_owner(wc->wr_id);
	uint32_t number = wr_id_number(wc->wr_id);
	bool is_first_error = wc->status && !reference_has_failed(run->reference, end);

	if (owner == end && (!wc->status || is_first_error))
		tell_answers(run, end, wc->status ? number : number + 1);
	if (owner == end && !wc->status && number >= run->ends[end].done_to)
		run->ends[end].done_to = number + 1;
	run_tells(run, (struct event){.kind = EVENT_COMPLETED, .of = end, .wc = *wc});
}

unsigned eye_poll(struct run *run, unsigned process, unsigned cq, unsigned count)
{
	struct ibv_wc wc[16];
	int got = ibv_poll_cq(run->actors[process].cq[cq], (int)(count < 16 ? count : 16), wc);

	if (got < 0)
		run_says(run, "process %u: ibv_poll_cq says %d", process, got);
	if (got > 0)
		eye_look(run);
	for (int i = 0; i < got; i++) {
		int end = actors_end_of(run, process, wc[i].qp_num);

		if (end < 0)
			run_says(run, "process %u: a completion of queue pair 0x%x, which is none",
			        process, wc[i].qp_num);
		else if (wr_id_is_receive(wc[i].wr_id))
			take_receive(run, (unsigned)end, &wc[i]);
		else
			take_send(run, (unsigned)end, &wc[i]);
	}
	return got > 0 ? (unsigned)got : 0;
}
