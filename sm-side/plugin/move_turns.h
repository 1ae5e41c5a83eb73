/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Whose turn it is to have the fabric changed. One turn is under way at a time; whoever comes
 * meanwhile waits, and what has waited and can be one plan has the next turn together, as commits
 * share one write of a database's log. Nobody waits for somebody who has not come yet. Any thread;
 * the first of a group works for all of it.
 */
#ifndef TETHER_MOVE_TURNS_H
#define TETHER_MOVE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/plan.h"

struct move_turns;

/* Somebody's wish for a turn; on its stack until it has had it. */
struct turn {
	const struct plan *plan; /* NULL: alone */
	/* The room's own. */
	struct turn *next;
	bool goes, is_over;
};

/* Those whose turn it is, by arrival. */
struct turn_group {
	uint32_t count;
	struct turn **turns;
};

struct move_turns *move_turns_create(void);
/* Nobody may wait any more. */
void move_turns_destroy(struct move_turns *turns);

/* Wait. @work is called by one of the group, for all of it, without any lock; the group is there
 * until it returns. -ENOMEM: nothing was done for this one. */
int move_turns_take(struct move_turns *turns, struct turn *turn,
        void (*work)(void *owner, const struct turn_group *group), void *owner);
/* How many have their turn now, and how many wait for one. */
void move_turns_count(struct move_turns *turns, uint32_t *at_work, uint32_t *waiting);

#endif
