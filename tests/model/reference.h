/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a program may see of a run: the reference that each run is judged by. It knows nothing of
 * migrations. A queue pair executes its work in order, each once, and says so; errors have a cause
 * that is in the program.
 *
 * A violation is a sentence. Judging goes on behind it as well as it can.
 */
#ifndef MODEL_REFERENCE_H
#define MODEL_REFERENCE_H

#include "model/program.h"
#include "model/trace.h"

enum { QUEUES = ENDS_MOST + PROCESSES * (1 + XRC_SRQS) };

struct reference;

struct reference *reference_new(const struct program *program);
void reference_free(struct reference *reference);

void reference_event(struct reference *reference, const struct event *event);
/* Everything has come to rest and been told: what is missing? Returns all violations' number. */
unsigned reference_judge(struct reference *reference);

unsigned reference_violations(const struct reference *reference);
/* Ends that have failed, or whose RECVs came back, for no other cause than EVENT_EXCUSED. */
unsigned reference_excuses(const struct reference *reference);
/* NULL: there are not so many. */
const char *reference_said(const struct reference *reference, unsigned index);

/* What an executor asks, so as to know when a run has come to its end. */

/* Work that is known to be executed: the first so many of @end. */
unsigned reference_executed(const struct reference *reference, unsigned end);
/* All that can complete has, as far as @end's own work goes. */
bool reference_is_done(const struct reference *reference, unsigned end);
/* It has had an error, so its queue pair is in ERR. */
bool reference_has_failed(const struct reference *reference, unsigned end);
/* RECVs that @queue lacks for what is posted to those that take from it. */
unsigned reference_missing_receives(const struct reference *reference, unsigned queue);

/* The receive queue that @end takes from; of a target's the one that @srq says. */
unsigned reference_queue_of(const struct program *program, unsigned end, unsigned srq);
/* What a counter holds at the beginning. */
uint64_t reference_counter_begins(unsigned process, unsigned counter);

#endif
