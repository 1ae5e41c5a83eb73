/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Unrest under programs that have to go on: what is in the fabric goes on in a thread of its own, a
 * little at a time, while the root moves the VM again and again, or changes its mind.
 */
#ifndef TEST_SHIM_UNREST_H
#define TEST_SHIM_UNREST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/shim_harness.h"

enum { UNREST_FLOWS = 8 }; /* at most */

struct unrest {
	struct harness *h;
	void (*stir)(unsigned *seed); /* a little of what is in the fabric */
	void (*stop)(unsigned *seed); /* up to the vote */
	void (*give_up_before_the_vote)(void);
	void (*describe)(void); /* where everybody stands */
	/* Who has to go on. */
	struct unrest_flow {
		const char *program;
		int number;
		const uint64_t *turns; /* atomic */
	} flows[UNREST_FLOWS];
	int flow_count;
	pthread_t fabric;
	bool is_over; /* atomic */
};

void unrest_add_flow(struct unrest *unrest, const char *program, int number, const uint64_t *turns);
/* So many are wanted: 200, or 10,000 with TETHER_FULL; fewer under a sanitizer. */
int unrest_moves(void);
/* The fabric's thread; programs are started behind it, and end before it. */
void unrest_begin(struct unrest *unrest);
void unrest_end(struct unrest *unrest);
/* Now and then, and behind the last, everybody has to take a turn: who stands still has lost a
 * wake-up, and the program ends there. */
void unrest_move(struct unrest *unrest, int moves);

#endif
