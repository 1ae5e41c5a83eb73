/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/program.h"

#include <stdlib.h>
#include <string.h>

#include "simfabric/qp_faults.h"

static void *grown(void *array, unsigned count, unsigned *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? 2 * *room : 64;
	array = realloc(array, *room * size);
	if (!array)
		abort();
	return array;
}

struct program *program_new(void)
{
	struct program *program = calloc(1, sizeof(*program));

	if (!program)
		abort();
	return program;
}

struct program *program_copy(const struct program *program)
{
	struct program *copy = program_new();

	*copy = *program;
	copy->actions = NULL;
	copy->work = NULL;
	copy->action_count = copy->action_room = copy->work_count = copy->work_room = 0;
	for (unsigned i = 0; i < program->action_count; i++)
		program_add(copy, program->actions[i]);
	for (unsigned i = 0; i < program->work_count; i++)
		program_add_work(copy, &program->work[i]);
	return copy;
}

void program_free(struct program *program)
{
	if (!program)
		return;
	free(program->actions);
	free(program->work);
	free(program);
}

void program_add(struct program *program, struct action action)
{
	program->actions = grown(program->actions, program->action_count, &program->action_room,
	        sizeof(*program->actions));
	program->actions[program->action_count++] = action;
}

unsigned program_add_work(struct program *program, const struct work *work)
{
	program->work = grown(
	        program->work, program->work_count, &program->work_room, sizeof(*program->work));
	program->work[program->work_count] = *work;
	return program->work_count++;
}

unsigned program_count(const struct program *program, enum action_kind kind)
{
	unsigned count = 0;

	for (unsigned i = 0; i < program->action_count; i++)
		count += program->actions[i].kind == kind;
	return count;
}

void program_signal_enough(struct program *program)
{
	unsigned quiet[ENDS_MOST] = {0};
	struct work *last[ENDS_MOST] = {NULL};

	for (unsigned i = 0; i < program->action_count; i++) {
		const struct action *action = &program->actions[i];
		unsigned end = action->of;

		for (unsigned j = 0; action->kind == ACTION_POST && j < action->count; j++) {
			struct work *work = &program->work[action->first + j];

			if (++quiet[end] >= end_link(program, end)->depth / 2u)
				work->flags |= IBV_SEND_SIGNALED;
			if (work_is_signaled(program, end, work))
				quiet[end] = 0;
			last[end] = work;
		}
	}
	for (unsigned end = 0; end < ENDS_MOST; end++) {
		if (last[end])
			last[end]->flags |= IBV_SEND_SIGNALED;
	}
}

/* ---- is it sound? ---- */

enum life { UNBORN, ALIVE, GONE };

static bool link_is_sound(const struct program_link *link)
{
	for (unsigned i = 0; i < 2; i++) {
		if (link->process[i] >= PROCESSES || link->cq[i][0] >= PROCESS_CQS ||
		        link->cq[i][1] >= PROCESS_CQS)
			return false;
	}
	if (link->xrc && (link->shares[0] || link->shares[1] || link->starved))
		return false;
	return link->mtu >= IBV_MTU_256 && link->mtu <= IBV_MTU_4096 && link->depth &&
	       link->reads && link->rnr_retry <= 7;
}

static bool work_is_sound(const struct work *work)
{
	if (work->length > MESSAGE_MOST || !work->sges || work->sges > SGES_MOST ||
	        work->place >= PLACE_COUNT || work->wrong >= WRONG_COUNT)
		return false;
	if (work->flags & IBV_SEND_INLINE && work->length > INLINE_MOST)
		return false;
	if (work_is_local(work) && (work->length || work->place || work->wrong))
		return false;
	switch (work->place) {
	case PLACE_HOT:
		return work->index < HOT_CELLS && work->length <= HOT_BYTES &&
		       work->length % 8 == 0;
	case PLACE_VERSIONED:
		return work->index < VERSIONED_CELLS && work->length % 8 == 0;
	case PLACE_COUNTER:
		return work->index < COUNTERS && work->length == 8;
	default:
		return true;
	}
}

static bool work_range_is_sound(const struct program *program, const struct action *action)
{
	if (action->first > program->work_count ||
	        action->count > program->work_count - action->first)
		return false;
	for (unsigned i = 0; i < action->count; i++) {
		const struct work *work = &program->work[action->first + i];

		if (!work_is_sound(work))
			return false;
		if (end_link(program, action->of)->xrc && (work_names_window(work) || work->window))
			return false;
	}
	return true;
}

static bool is_alive(const enum life *life, unsigned end)
{
	return end < ENDS_MOST && life[end / 2] == ALIVE;
}

static bool receives_are_sound(const struct program *program, const struct action *action)
{
	return end_receives(program, action->of) && receive_wrong(action->how) < WRONG_COUNT &&
	       receive_srq(action->how) < end_srqs(program, action->of);
}

static bool becomes(enum life *life, unsigned link, enum life from, enum life to)
{
	if (link >= LINKS_MOST || life[link] != from)
		return false;
	life[link] = to;
	return true;
}

static bool action_is_sound(
        const struct program *program, const struct action *action, enum life *life)
{
	switch (action->kind) {
	case ACTION_POST:
		return is_alive(life, action->of) && end_posts(program, action->of) &&
		       work_range_is_sound(program, action);
	case ACTION_RECEIVE:
		return is_alive(life, action->of) && receives_are_sound(program, action);
	case ACTION_FAULT:
		return is_alive(life, action->of) && end_posts(program, action->of) &&
		       action->how > QP_FAULT_NONE && action->how < QP_FAULT_COUNT;
	case ACTION_TOUCH:
		return is_alive(life, action->of) && action->how < VERSIONED_CELLS;
	case ACTION_FAIL:
		return is_alive(life, action->of);
	case ACTION_POLL:
		return action->of < PROCESSES && action->how < PROCESS_CQS;
	case ACTION_DESTROY:
		return action->how < 2 && becomes(life, action->of, ALIVE, GONE);
	case ACTION_CONNECT:
		return action->of < program->link_count && becomes(life, action->of, UNBORN, ALIVE);
	case ACTION_MOVE:
		return action->of <= PROCESS_B;
	default:
		return action->kind < ACTION_KINDS;
	}
}

bool program_is_sound(const struct program *program)
{
	enum life life[LINKS_MOST] = {UNBORN};

	if (!program->link_count || program->link_count > LINKS_MOST)
		return false;
	for (unsigned i = 0; i < program->link_count; i++) {
		if (!link_is_sound(&program->links[i]))
			return false;
		if (!program->links[i].is_late)
			life[i] = ALIVE;
	}
	for (unsigned i = 0; i < program->action_count; i++) {
		if (!action_is_sound(program, &program->actions[i], life))
			return false;
	}
	return true;
}
