/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Work in the fabric under the lease, each in its turn: plans, of which those that wait go as one,
 * and what looks whether they stand. For the connections' threads, without any lock.
 */
#ifndef TETHER_MOVE_WORK_H
#define TETHER_MOVE_WORK_H

#include "sm-side/identity/identity_moves.h"
#include "sm-side/identity/identity_verify.h"

struct plugin;

/* Who works, and under which lease. */
struct worker {
	struct plugin *plugin;
	unsigned connection;
	const char *migration;
};

/* @move is the caller's, and nobody else's meanwhile. NO_LEASE and BUSY besides what
 * identity_moves_apply refuses. */
enum refusal move_work_apply(
        const struct worker *worker, struct identity_move *move, struct move_result *result);

/* The same of identity_verify. */
enum refusal move_work_verify(
        const struct worker *worker, const struct plan *plan, struct differences *differences);

#endif
