/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What each step of a migration does in this process, a piece at a time: called again and again
 * until it is finished. The service thread's, control verbs kept out.
 */
#ifndef TETHER_STEP_WORKS_H
#define TETHER_STEP_WORKS_H

#include "preload/move.h"

enum progress { WORKING, FINISHED };

/*
 * Go on with move->event. FINISHED: *answer says what came of it. @late: whoever asked gives up
 * soon, so finish now, one way or the other.
 */
typedef enum progress step_work(
        struct move *move, Tether__Answer *answer, uint64_t now_ms, bool late);

/* NULL: not a step of a process. */
step_work *step_work_for(Tether__Step step);

/* Back to before STOP. Only before the vote. */
void step_let_go(struct move *move);

/* Another outcome than DONE, with the name of its reason and a sentence. */
void answer_outcome_is(
        Tether__Answer *answer, Tether__Outcome outcome, const char *reason, const char *text);

#endif
