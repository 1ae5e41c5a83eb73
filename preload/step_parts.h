/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Of the rooms that share the steps, nobody else's: what each step does, and what they call of each
 * other. The service thread's, control verbs kept out.
 */
#ifndef TETHER_STEP_PARTS_H
#define TETHER_STEP_PARTS_H

#include "preload/step_works.h"

/* step_prepare.c: who is concerned, and whether it can be. */
step_work step_prepare_work;
/* Everybody who is concerned now is. False: *answer says why not. */
bool step_may_begin(struct move *move, Tether__Answer *answer);
/* While there is a device to ask; @missing_only: again only what was opened since. */
void step_learn_tables(const struct move *move, bool missing_only);

/* step_vote.c: gates are closed and queues drained, then broken, and it is said how far all came.
 */
step_work step_stop_work, step_settle_work;

/* step_rebuild.c: the vote is settled, the device let go, and all made and connected again. */
step_work step_release_work, step_attach_work, step_reconnect_work, step_resume_work;
/* Gates open on what was made; without a device all ends. */
void step_go_on(struct move *move);

/* step_ends.c: nothing came of it. */
step_work step_abort_work, step_error_work;

/* step_works.c: FAILED, with the name of its reason, and @what and @err (negative) as its text. */
void step_failed_with(Tether__Answer *answer, const char *reason, const char *what, int err);
/* What was counted since the last answer: the other end adds up. */
void step_add_counts(struct move *move, Tether__Answer *answer);

#endif
