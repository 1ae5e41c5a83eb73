/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Brings evacuations to their end, migration by migration: as many at a time as may be, those that
 * share connections one after the other, each to the host with the most room. Goes on with them
 * after a restart. Lives in the thread of its event_base; the conductor, the journal and the
 * evacuations are its caller's and must outlive it.
 */
#ifndef TETHER_EVACUATOR_H
#define TETHER_EVACUATOR_H

#include "sm-side/conductor/conductor.h"
#include "sm-side/conductor/evacuation.h"

struct evacuator;

/* @changed, from the loop or from inside a call below: something is new in an evacuation. NULL:
 * no memory. */
struct evacuator *evacuator_create(struct event_base *base, struct conductor *conductor,
        struct journal *journal, struct evacuations *evacuations, void (*changed)(void *owner),
        void *owner);
void evacuator_destroy(struct evacuator *evacuator);

struct admission evacuator_begin(
        struct evacuator *evacuator, const struct evacuation_wish *wish, uint64_t *id);
/* No VM begins to move any more, and what is not committed is aborted. NULL, or why not. */
const char *evacuator_abort(struct evacuator *evacuator, uint64_t id);
/* A migration has gone on. */
void evacuator_look(struct evacuator *evacuator);
const struct evacuations *evacuator_evacuations(const struct evacuator *evacuator);

#endif
