/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Migrations whose VMs are connected, with what the conductor does about their turns: the machine
 * that runs (migration_states.def, turns.c), without anybody who is asked. A world is a row of
 * migrations by what distinguishes them; a crew is made of it, something happens, and it is a world
 * again.
 */
#ifndef TEST_BOTH_ENDS_CREW_H
#define TEST_BOTH_ENDS_CREW_H

#include "sm-side/migration/migration.h"
#include "sm-side/migration/turns.h"

enum { MOVES_MAX = 3 };

/* Who sees whom: which processes answer a migration besides those of its own VM. */
enum sharing {
	SHARE_BOTH_WAYS,
	SHARE_ONE_WAY, /* as those do who hear datagrams only: the last sees all others, nobody him
	                */
	SHARE_SEEN_LATE, /* at STOP: their agent was being started anew when they were prepared */
};

struct kind {
	enum sharing sharing;
	unsigned moves;
	bool evacuation; /* the last one */
	bool faults, kills;
};

/* What distinguishes one migration from another that is as far. */
struct standing {
	uint8_t state, journalled, fact, busy_with, waited_for;
	bool waits_turn, yields, abort_asked, committed, given_up, applied, vacated, unlinked;
	bool overall, broken, prepared, seen;
};

struct world {
	struct standing moves[MOVES_MAX];
};

static inline unsigned kind_moves(const struct kind *kind)
{
	return kind->moves < MOVES_MAX ? kind->moves : MOVES_MAX;
}

extern const char *const crew_vms[MOVES_MAX];

struct crew {
	const struct kind *kind;
	struct migration moves[MOVES_MAX];
	bool seen[MOVES_MAX];
	const struct migration *list[MOVES_MAX];
	struct under_way under_way;
};

void crew_stand_up(struct crew *crew, const struct kind *kind, const struct world *world);
/* The crew is no more. */
struct world crew_lie_down(struct crew *crew);

enum what {
	DO_DONE,
	DO_FAIL,
	DO_TIMEOUT,
	DO_OVERALL,
	DO_ABORT,
	DO_AGENT_LOST,
	DO_FACT_1,
	DO_FACT_2,
	DO_FACT_3,
	DO_COUNT
};

bool crew_can(const struct crew *crew, unsigned i, enum what what);
void crew_happens(struct crew *crew, unsigned i, enum what what);
/* Who waits looks again, as the conductor does from its loop. */
void crew_give_turns(struct crew *crew);
/* tether-smd has been killed and is there again. */
void crew_recovers(struct crew *crew);

#endif
