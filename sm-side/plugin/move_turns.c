/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "sm-side/plugin/move_turns.h"
#include "sm-side/plan/group.h"

struct move_turns {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct turn *first; /* by arrival, those at work and those that wait */
	bool working;
};

struct move_turns *move_turns_create(void)
{
	struct move_turns *turns = calloc(1, sizeof(*turns));

	if (!turns)
		return NULL;
	pthread_mutex_init(&turns->lock, NULL);
	pthread_cond_init(&turns->changed, NULL);
	return turns;
}

void move_turns_destroy(struct move_turns *turns)
{
	if (!turns)
		return;
	pthread_cond_destroy(&turns->changed);
	pthread_mutex_destroy(&turns->lock);
	free(turns);
}

static void append_locked(struct move_turns *turns, struct turn *turn)
{
	struct turn **end = &turns->first;

	while (*end)
		end = &(*end)->next;
	*turn = (struct turn){.plan = turn->plan};
	*end = turn;
}

static uint32_t count_locked(const struct move_turns *turns, bool at_work)
{
	uint32_t count = 0;

	for (const struct turn *turn = turns->first; turn; turn = turn->next)
		count += turn->goes == at_work;
	return count;
}

void move_turns_count(struct move_turns *turns, uint32_t *at_work, uint32_t *waiting)
{
	LOCK_GUARD(&turns->lock);

	*at_work = count_locked(turns, true);
	*waiting = count_locked(turns, false);
}

/* All that wait, and by their side who goes. */
struct waiting {
	uint32_t count;
	struct turn **turns;
	const struct plan **plans;
	bool *goes;
};

static void waiting_clear(struct waiting *waiting)
{
	free(waiting->turns);
	free(waiting->plans);
	free(waiting->goes);
}

static int waiting_find_locked(const struct move_turns *turns, struct waiting *waiting)
{
	uint32_t room = count_locked(turns, false);

	*waiting = (struct waiting){
	        .turns = calloc(room + 1, sizeof(*waiting->turns)),
	        .plans = calloc(room + 1, sizeof(*waiting->plans)),
	        .goes = calloc(room + 1, sizeof(*waiting->goes)),
	};
	if (!waiting->turns || !waiting->plans || !waiting->goes) {
		waiting_clear(waiting);
		return -ENOMEM;
	}
	for (struct turn *turn = turns->first; turn; turn = turn->next) {
		waiting->turns[waiting->count] = turn;
		waiting->plans[waiting->count++] = turn->plan;
	}
	return 0;
}

/* free group->turns. */
static int group_form_locked(struct move_turns *turns, struct turn_group *group)
{
	struct waiting waiting;

	if (waiting_find_locked(turns, &waiting))
		return -ENOMEM;
	plan_group_form(waiting.plans, waiting.count, waiting.goes);
	*group = (struct turn_group){.turns = waiting.turns};
	for (uint32_t i = 0; i < waiting.count; i++) {
		waiting.turns[i]->goes = waiting.goes[i];
		if (waiting.goes[i])
			group->turns[group->count++] = waiting.turns[i];
	}
	waiting.turns = NULL;
	waiting_clear(&waiting);
	return 0;
}

static void remove_locked(struct move_turns *turns, struct turn *turn)
{
	struct turn **at = &turns->first;

	while (*at != turn)
		at = &(*at)->next;
	*at = turn->next;
	turn->is_over = true;
}

static void group_end(struct move_turns *turns, struct turn_group *group)
{
	LOCK_GUARD(&turns->lock);

	for (uint32_t i = 0; i < group->count; i++)
		remove_locked(turns, group->turns[i]);
	free(group->turns);
	turns->working = false;
	pthread_cond_broadcast(&turns->changed);
}

/* The first that waits begins when nobody is at work. */
static void wait_locked(struct move_turns *turns, const struct turn *turn)
{
	while (!turn->is_over && (turns->working || turns->first != turn))
		pthread_cond_wait(&turns->changed, &turns->lock);
}

/* 1: it is over already, in somebody else's group. 0: *@group is to be worked for. -ENOMEM. */
static int begin(struct move_turns *turns, struct turn *turn, struct turn_group *group)
{
	LOCK_GUARD(&turns->lock);

	append_locked(turns, turn);
	wait_locked(turns, turn);
	if (turn->is_over)
		return 1;
	if (group_form_locked(turns, group)) {
		remove_locked(turns, turn);
		pthread_cond_broadcast(&turns->changed);
		return -ENOMEM;
	}
	turns->working = true;
	return 0;
}

int move_turns_take(struct move_turns *turns, struct turn *turn,
        void (*work)(void *owner, const struct turn_group *group), void *owner)
{
	struct turn_group group;
	int begun = begin(turns, turn, &group);

	if (begun)
		return begun < 0 ? begun : 0;
	work(owner, &group);
	group_end(turns, &group);
	return 0;
}
