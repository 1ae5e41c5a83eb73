/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The agents of the tree, and what each has said of itself: who is asked in a round, who has
 * answered, how long that took. Pure; belongs to agent_poll and its thread.
 */
#ifndef TETHER_AGENTS_H
#define TETHER_AGENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct agent {
	struct agent *next;
	char *name;
	char *behind; /* whose link it is reached through; "": its own */
	Tether__Role role;
	bool connected;       /* one behind another: has answered this round */
	bool answered;        /* this round; else what it has said is of an earlier one */
	uint64_t lag_us;      /* from question to answer */
	Tether__Report *said; /* NULL: nothing yet */
};

struct agents {
	struct agent *list; /* by name, and whom it is behind */
	uint64_t asked_us;
};

/* A round begins: who is there is said by agents_here, the others are away. */
void agents_round(struct agents *agents, uint64_t now_us);
/* Has been heard of, and may be away. -ENOMEM */
int agents_know(struct agents *agents, const char *name, Tether__Role role);
/* Has a link to the root, over which it is asked. -ENOMEM */
int agents_here(struct agents *agents, const char *name, Tether__Role role);
/* It is away, and who is reached through it. */
void agents_gone(struct agents *agents, const char *name, Tether__Role role);
/* What one answers. -ENOMEM */
int agents_take(struct agents *agents, const Tether__Report *report, uint64_t now_us);
void agents_clear(struct agents *agents);

#endif
