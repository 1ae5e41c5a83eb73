/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What one execution of each work request, in order, makes of memory. */
#include <string.h>

#include "model/pattern.h"
#include "model/program_text.h"
#include "model/reference_state.h"

/* ---- cells ---- */

/*
 * The eye looks at all of an end's cells and tells which are full in the order of the work, so one
 * that is full twice was written again.
 */
void cell_was_taken(struct reference *reference, const struct event *event)
{
	struct sent *sent = sent_at(reference, event->of, event->number);

	if (!sent || sent->work->place != PLACE_CELL) {
		violated(
		        reference, "end %u: a cell is full of which nothing was posted", event->of);
		return;
	}
	if (sent->taken)
		violated(reference, "end %u: work %u, %s, was executed twice", event->of,
		        event->number, opcode_name(sent->work->opcode));
	if (!pattern_is(event->data, sent->work->length, event->of, event->number))
		violated(reference, "end %u: the cell of work %u has other data", event->of,
		        event->number);
	sent->taken = true;
	work_is_executed(reference, event->of, event->number + 1);
}

static bool is_empty(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

/* Of the work before @number that nobody knows to be executed, some would have been seen. */
static bool would_be_known(const struct reference *reference, unsigned end, uint32_t number)
{
	const struct end_state *state = &reference->ends[end];
	bool hears = !reference->ends[end_other(end)].destroyed;

	for (uint32_t i = state->executed; i < number; i++) {
		const struct work *work = state->sent[i].work;

		if ((work_writes(work) && work->length) || (work_takes_receive(work) && hears) ||
		        (work->wrong != RIGHT && !work_fails_late(work)))
			return true;
	}
	return false;
}

/* Nothing comes to a cell that was emptied, nor to one whose work is behind one that is not done.
 */
void cell_was_left(struct reference *reference, const struct event *event)
{
	const struct sent *sent = sent_at(reference, event->of, event->number);
	const struct end_state *state = &reference->ends[event->of];

	if (is_empty(event->data, reference->order[event->of][event->number]->length))
		return;
	if (!sent)
		violated(reference, "end %u: something wrote for work %u, which was not posted",
		        event->of, event->number);
	else if (sent->taken)
		violated(reference, "end %u: work %u, %s, was begun again after it was executed",
		        event->of, event->number, opcode_name(sent->work->opcode));
	else if (would_be_known(reference, event->of, event->number))
		violated(reference, "end %u: work %u has written, and only %u are executed",
		        event->of, event->number, state->executed);
}

/* ---- hot cells ---- */

static bool is_writing_of(const struct sent *sent, unsigned cell)
{
	return work_writes(sent->work) && sent->work->place == PLACE_HOT &&
	       sent->work->index == cell && sent->work->wrong == RIGHT;
}

/* Which writing @word is, from 1; 0: none yet. False: nobody's. */
static bool hot_word_is(
        const struct reference *reference, unsigned end, unsigned cell, uint64_t word, uint32_t *to)
{
	const struct end_state *state = &reference->ends[end];
	uint32_t number = (uint32_t)word;

	*to = number;
	if (!word)
		return true;
	return word == cell_word(end, number) && number && number <= state->sent_count &&
	       is_writing_of(&state->sent[number - 1], cell);
}

void hot_cell_was_seen(struct reference *reference, const struct event *event)
{
	struct end_state *state = &reference->ends[event->of];
	uint32_t *newest = &state->hot_newest[event->how];
	uint32_t number;
	uint64_t word;

	memcpy(&word, event->data, sizeof(word));
	if (!hot_word_is(reference, event->of, event->how, word, &number)) {
		violated(reference, "end %u: cell %u holds 0x%llx, which nobody wrote", event->of,
		        event->how, (unsigned long long)word);
		return;
	}
	if (number < *newest)
		violated(reference, "end %u: cell %u holds work %u, and held work %u", event->of,
		        event->how, number - 1, *newest - 1);
	*newest = number;
	if (number)
		work_is_executed(reference, event->of, number);
}

/* The newest writing of @cell among the first @count; 0: none, else from 1. */
static uint32_t last_writing(
        const struct reference *reference, unsigned end, unsigned cell, uint32_t count)
{
	const struct end_state *state = &reference->ends[end];

	while (count && !is_writing_of(&state->sent[count - 1], cell))
		count--;
	return count;
}

/* The eye has looked since the last packet came. */
void effects_are_seen(struct reference *reference, unsigned end)
{
	struct end_state *state = &reference->ends[end];

	for (; state->checked < state->executed; state->checked++) {
		const struct sent *sent = &state->sent[state->checked];

		if (sent->work->place == PLACE_CELL && !sent->taken)
			violated(reference,
			        "end %u: work %u, %s, is done, and its cell is not full", end,
			        state->checked, opcode_name(sent->work->opcode));
		if (work_writes(sent->work) && sent->work->place == PLACE_HOT &&
		        state->hot_newest[sent->work->index] < state->checked + 1)
			violated(reference, "end %u: work %u, %s, is done, and cell %u holds %u",
			        end, state->checked, opcode_name(sent->work->opcode),
			        sent->work->index, state->hot_newest[sent->work->index]);
	}
}

/* ---- answers ---- */

void read_was_posted(struct reference *reference, unsigned end, struct sent *sent)
{
	const struct work *work = sent->work;
	uint32_t number = (uint32_t)(sent - reference->ends[end].sent);

	if (work->place == PLACE_VERSIONED)
		sent->low = reference->ends[end_other(end)].versions[work->index];
	else
		sent->low = last_writing(reference, end, work->index, number);
}

/*
 * The newest that a READ may find: a work request with a fence, and what is behind it, waits until
 * it is done (IBA 10.8.3.3).
 */
static uint32_t newest_for_read(const struct reference *reference, unsigned end, uint32_t number)
{
	const struct end_state *state = &reference->ends[end];
	const struct work *work = state->sent[number].work;
	uint32_t to = number + 1;

	if (work->place == PLACE_VERSIONED)
		return reference->ends[end_other(end)].versions[work->index];
	while (to < state->sent_count && !(state->sent[to].work->flags & IBV_SEND_FENCE))
		to++;
	return last_writing(reference, end, work->index, to);
}

static void read_was_answered(struct reference *reference, const struct event *event)
{
	const struct sent *sent = &reference->ends[event->of].sent[event->number];
	unsigned owner = sent->work->place == PLACE_HOT ? event->of : end_other(event->of);
	uint32_t low = sent->low, high = newest_for_read(reference, event->of, event->number);
	const uint64_t *words = event->data;

	for (unsigned i = 0; i < sent->work->length / 8; i++) {
		uint32_t number = (uint32_t)words[i];
		bool is_known = words[i] == (number ? cell_word(owner, number) : 0);

		if (is_known && number >= low && number <= high)
			continue;
		violated(reference,
		        "end %u: READ %u of %s cell %u brings 0x%llx, not %u to %u of end %u",
		        event->of, event->number, place_names[sent->work->place], sent->work->index,
		        (unsigned long long)words[i], low, high, owner);
		return;
	}
}

void work_was_answered(struct reference *reference, const struct event *event)
{
	struct sent *sent = sent_at(reference, event->of, event->number);

	if (!sent || !work_has_answer(sent->work)) {
		violated(reference, "end %u: an answer to work %u, which asks for none", event->of,
		        event->number);
		return;
	}
	if (sent->answered)
		return;
	sent->answered = true;
	if (sent->work->wrong != RIGHT)
		return;
	if (work_is_atomic(sent->work))
		memcpy(&sent->original, event->data, sizeof(sent->original));
	else
		read_was_answered(reference, event);
}
