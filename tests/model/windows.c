/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory windows of a program. Each bind is of a window of its own, which the other end asks by as
 * soon as the bind is known to be done, and until one of both ends it. An end that is to end a
 * window and finds none sends nothing in its place.
 *
 * What a careful program does: the owner ends a window when the other end is done with it, and the
 * other end sends no SEND_WITH_INV behind a READ or an atomic by that window that is not answered,
 * since a transport may ask for the answer again (IBA 9.4.1.1.3, 10.6.5).
 */
#include <stdlib.h>

#include "model/actors.h"

enum {
	WINDOW_ACCESS = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC,
};

/* They are allocated here, since that would wait for the device while a migration is on. */
void windows_open(struct run *run, struct actor_end *end)
{
	uint32_t binds = 0;

	for (uint32_t i = 0; i < end->count; i++)
		binds += end->order[i]->opcode == IBV_WR_BIND_MW;
	end->windows = calloc(binds + 1, sizeof(*end->windows));
	if (!end->windows)
		abort();
	for (uint32_t i = 0; i < binds; i++) {
		end->windows[i].mw = ibv_alloc_mw(end->actor->pd, IBV_MW_TYPE_2);
		if (!end->windows[i].mw)
			run_says(run, "a window cannot be made");
	}
}

/* ---- which one ---- */

static bool is_bound(const struct actor_end *owner, const struct actor_window *window)
{
	return owner->qp && window->bind < owner->done_to && !window->is_ended;
}

/* The newest that may be asked by. */
static struct actor_window *find_bound(struct actor_end *owner)
{
	for (uint32_t i = owner->window_count; i--;) {
		if (is_bound(owner, &owner->windows[i]))
			return &owner->windows[i];
	}
	return NULL;
}

/* One whose end is known to be done. */
static struct actor_window *find_ended(struct run *run, unsigned owner)
{
	struct actor_end *state = &run->ends[owner];

	for (uint32_t i = 0; i < state->window_count; i++) {
		struct actor_window *window = &state->windows[i];

		if (window->is_ended && window->end < run->ends[window->ended_by].done_to)
			return window;
	}
	return NULL;
}

/* The oldest that may be ended, by @by. */
static struct actor_window *find_to_end(struct run *run, unsigned owner, unsigned by)
{
	struct actor_end *state = &run->ends[owner];
	uint32_t done_to = run->ends[end_other(owner)].done_to;

	for (uint32_t i = 0; i < state->window_count; i++) {
		struct actor_window *window = &state->windows[i];

		if (is_bound(state, window) &&
		        (by == owner ? window->used_to : window->answered_to) <= done_to)
			return window;
	}
	return NULL;
}

/* ---- what a work request does with it ---- */

static struct actor_window *begin_one(struct actor_end *owner, uint32_t number)
{
	struct actor_window *window = &owner->windows[owner->window_count++];

	*window = (struct actor_window){
	        .mw = window->mw, .rkey = ibv_inc_rkey(window->mw->rkey), .bind = number};
	return window;
}

static struct actor_window *end_one(struct run *run, unsigned owner, unsigned by, uint32_t number)
{
	struct actor_window *window = find_to_end(run, owner, by);

	if (!window)
		return NULL;
	window->is_ended = true;
	window->ended_by = by;
	window->end = number;
	return window;
}

static struct actor_window *use_one(struct run *run, unsigned end, uint32_t number)
{
	const struct work *work = run->ends[end].order[number];
	struct actor_window *window;

	if (!work->window)
		return NULL;
	if (work->wrong == WRONG_RKEY)
		return find_ended(run, end_other(end));
	window = find_bound(&run->ends[end_other(end)]);
	if (!window)
		return NULL;
	window->used_to = number + 1;
	if (work_has_answer(work))
		window->answered_to = number + 1;
	return window;
}

struct window_choice window_choose(struct run *run, unsigned end, uint32_t number)
{
	struct window_choice choice = {.number = number};

	switch (run->ends[end].order[number]->opcode) {
	case IBV_WR_BIND_MW:
		choice.window = begin_one(&run->ends[end], number);
		break;
	case IBV_WR_LOCAL_INV:
		choice.window = end_one(run, end, end, number);
		break;
	case IBV_WR_SEND_WITH_INV:
		choice.window = end_one(run, end_other(end), end, number);
		break;
	default:
		choice.window = use_one(run, end, number);
	}
	return choice;
}

/* The verb has not taken it. */
void window_undo(struct run *run, unsigned end, const struct window_choice *choice)
{
	struct actor_window *window = choice->window;

	if (!window)
		return;
	switch (run->ends[end].order[choice->number]->opcode) {
	case IBV_WR_BIND_MW:
		run->ends[end].window_count--;
		return;
	case IBV_WR_LOCAL_INV:
	case IBV_WR_SEND_WITH_INV:
		window->is_ended = false;
		return;
	default:
		/* It is used by nothing that is not posted again. */
		return;
	}
}

void window_fill(
        struct run *run, unsigned end, const struct window_choice *choice, struct ibv_send_wr *wr)
{
	const struct work *work = run->ends[end].order[choice->number];
	struct actor *actor = run->ends[end].actor;

	switch (work->opcode) {
	case IBV_WR_BIND_MW:
		wr->bind_mw.mw = choice->window->mw;
		wr->bind_mw.rkey = choice->window->rkey;
		wr->bind_mw.bind_info = (struct ibv_mw_bind_info){actor->mr[choice->number % KEYS],
		        (uintptr_t)actor->memory, ACTOR_BYTES, WINDOW_ACCESS};
		return;
	case IBV_WR_LOCAL_INV:
		wr->opcode = choice->window ? IBV_WR_LOCAL_INV : IBV_WR_RDMA_WRITE;
		break;
	case IBV_WR_SEND_WITH_INV:
		wr->opcode = choice->window ? IBV_WR_SEND_WITH_INV : IBV_WR_SEND;
		break;
	default:
		if (choice->window && work_is_atomic(work))
			wr->wr.atomic.rkey = choice->window->rkey;
		else if (choice->window)
			wr->wr.rdma.rkey = choice->window->rkey;
		return;
	}
	if (choice->window)
		wr->invalidate_rkey = choice->window->rkey;
}

void window_posted(struct run *run, unsigned end, const struct window_choice *choice)
{
	if (choice->window && run->ends[end].order[choice->number]->opcode == IBV_WR_BIND_MW)
		choice->window->mw->rkey = choice->window->rkey;
}

/* What the reference hears of it: the key that it ends or binds; 0: none. */
uint32_t window_key(const struct run *run, unsigned end, const struct window_choice *choice)
{
	const struct work *work = run->ends[end].order[choice->number];

	return choice->window && work_names_window(work) ? choice->window->rkey : 0;
}
