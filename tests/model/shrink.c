/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "model/shrink.h"

#include <stddef.h>
#include <string.h>

struct shrinking {
	struct program *best;
	shrink_fails *fails;
	void *argument;
	unsigned attempts;
};

/* @program is taken over. True: it fails as well, and is the best now. */
static bool attempt(struct shrinking *s, struct program *program)
{
	if (s->attempts && program_is_sound(program)) {
		s->attempts--;
		if (s->fails(program, s->argument)) {
			program_free(s->best);
			s->best = program;
			return true;
		}
	}
	program_free(program);
	return false;
}

/* ---- what can be left out ---- */

static struct program *with_links_of(const struct program *program)
{
	struct program *copy = program_new();

	copy->seed = program->seed;
	copy->world = program->world;
	copy->link_count = program->link_count;
	memcpy(copy->links, program->links, sizeof(copy->links));
	return copy;
}

static void add_action(
        struct program *program, const struct program *of, const struct action *action)
{
	struct action copy = *action;

	copy.first = program->work_count;
	for (unsigned i = 0; action->kind == ACTION_POST && i < action->count; i++)
		program_add_work(program, &of->work[action->first + i]);
	program_add(program, copy);
}

static struct program *without_actions(
        const struct program *program, unsigned first, unsigned count)
{
	struct program *less = with_links_of(program);

	for (unsigned i = 0; i < program->action_count; i++) {
		if (i < first || i >= first + count)
			add_action(less, program, &program->actions[i]);
	}
	return less;
}

static bool is_of_link(const struct action *action, unsigned link)
{
	switch (action->kind) {
	case ACTION_POST:
	case ACTION_RECEIVE:
	case ACTION_TOUCH:
	case ACTION_FAULT:
	case ACTION_FAIL:
		return action->of / 2 == link;
	case ACTION_DESTROY:
	case ACTION_CONNECT:
		return action->of == link;
	default:
		return false;
	}
}

static void renumber(struct action *action, unsigned link)
{
	bool is_end = action->kind == ACTION_POST || action->kind == ACTION_RECEIVE ||
	              action->kind == ACTION_TOUCH || action->kind == ACTION_FAIL ||
	              action->kind == ACTION_FAULT;

	if (is_end && action->of / 2 > link)
		action->of -= 2;
	else if ((action->kind == ACTION_DESTROY || action->kind == ACTION_CONNECT) &&
	         action->of > link)
		action->of--;
}

static struct program *without_link(const struct program *program, unsigned link)
{
	struct program *less = with_links_of(program);

	less->link_count--;
	memmove(&less->links[link], &less->links[link + 1],
	        (program->link_count - link - 1) * sizeof(*less->links));
	for (unsigned i = 0; i < program->action_count; i++) {
		struct action action = program->actions[i];

		if (is_of_link(&action, link))
			continue;
		renumber(&action, link);
		add_action(less, program, &action);
	}
	return less;
}

/* Action @which does @count from @from on of what it did. */
static struct program *with_less_of(
        const struct program *program, unsigned which, unsigned from, unsigned count)
{
	struct program *less = with_links_of(program);

	for (unsigned i = 0; i < program->action_count; i++) {
		struct action action = program->actions[i];

		if (i == which) {
			action.first += from;
			action.count = (uint16_t)count;
		}
		add_action(less, program, &action);
	}
	return less;
}

/* ---- in which order ---- */

static bool leave_out_links(struct shrinking *s)
{
	bool changed = false;

	for (unsigned link = s->best->link_count; link--;) {
		if (s->best->link_count > 1)
			changed |= attempt(s, without_link(s->best, link));
	}
	return changed;
}

static bool leave_out_actions(struct shrinking *s)
{
	bool changed = false;

	for (unsigned size = s->best->action_count / 2; size && s->attempts; size /= 2) {
		unsigned first = 0;

		while (first < s->best->action_count && s->attempts) {
			if (attempt(s, without_actions(s->best, first, size)))
				changed = true;
			else
				first += size;
		}
	}
	return changed;
}

static bool do_less(struct shrinking *s)
{
	bool changed = false;

	for (unsigned i = 0; i < s->best->action_count && s->attempts; i++) {
		unsigned count = s->best->actions[i].count, half = count / 2;

		if (s->best->actions[i].kind == ACTION_FAULT)
			continue;
		while (half) {
			if (attempt(s, with_less_of(s->best, i, 0, count - half)) ||
			        (s->best->actions[i].kind == ACTION_POST &&
			                attempt(s, with_less_of(s->best, i, half, count - half)))) {
				changed = true;
				count -= half;
				half = half > count / 2 ? count / 2 : half;
			} else {
				half /= 2;
			}
		}
	}
	return changed;
}

static bool calm_world(struct shrinking *s)
{
	uint8_t settings[] = {offsetof(struct program_world, drop),
	        offsetof(struct program_world, duplicate), offsetof(struct program_world, delay),
	        offsetof(struct program_world, hold), offsetof(struct program_world, rxe),
	        offsetof(struct program_world, dead_rq_psn), offsetof(struct program_world, apart)};
	bool changed = false;

	for (unsigned i = 0; i < sizeof(settings); i++) {
		struct program *calm = program_copy(s->best);
		uint8_t *setting = (uint8_t *)&calm->world + settings[i];

		if (!*setting) {
			program_free(calm);
			continue;
		}
		*setting = 0;
		changed |= attempt(s, calm);
	}
	return changed;
}

/* A link of XRC as one of RC. */
static struct program *with_plain_link(const struct program *program, unsigned link)
{
	struct program *plain = program_copy(program);

	plain->links[link].xrc = 0;
	for (unsigned i = 0; i < plain->action_count; i++) {
		struct action *action = &plain->actions[i];

		if (action->kind == ACTION_RECEIVE && action->of / 2 == link)
			action->how = receive_how(receive_wrong(action->how), 0);
	}
	return plain;
}

static struct program *without_windows(const struct program *program)
{
	struct program *plain = program_copy(program);

	for (unsigned i = 0; i < plain->work_count; i++) {
		struct work *work = &plain->work[i];

		work->window = 0;
		if (work->opcode == IBV_WR_SEND_WITH_INV)
			work->opcode = IBV_WR_SEND;
		else if (work_is_local(work))
			work->opcode = IBV_WR_RDMA_WRITE;
	}
	return plain;
}

static bool leave_out_windows(struct shrinking *s)
{
	bool has = false;

	for (unsigned i = 0; i < s->best->work_count; i++)
		has |= s->best->work[i].window || work_names_window(&s->best->work[i]);
	return has && attempt(s, without_windows(s->best));
}

static bool make_links_plain(struct shrinking *s)
{
	bool changed = false;

	for (unsigned link = 0; link < s->best->link_count; link++) {
		if (s->best->links[link].xrc)
			changed |= attempt(s, with_plain_link(s->best, link));
	}
	return changed;
}

struct program *shrink(
        const struct program *program, shrink_fails *fails, void *argument, unsigned attempts)
{
	struct shrinking s = {
	        .best = program_copy(program),
	        .fails = fails,
	        .argument = argument,
	        .attempts = attempts,
	};
	bool changed = true;

	while (changed && s.attempts) {
		changed = leave_out_links(&s);
		changed |= leave_out_actions(&s);
		changed |= do_less(&s);
		changed |= calm_world(&s);
		changed |= make_links_plain(&s);
		changed |= leave_out_windows(&s);
	}
	return s.best;
}
