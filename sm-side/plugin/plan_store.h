/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Keeps plans by their hash until APPLY names one: the newest 256, and of those whose APPLY has
 * begun the newest 256, so that plans that are only asked for do not drive out one that is being
 * made. Whoever works on a plan takes it out and puts it back, so that nobody else can do so at the
 * same time. Any thread.
 */
#ifndef TETHER_PLAN_STORE_H
#define TETHER_PLAN_STORE_H

#include <stdint.h>

#include "sm-side/plan/plan.h"

struct identity_move;
struct plan_store;

struct plan_store *plan_store_create(void);
void plan_store_destroy(struct plan_store *store);

/* Takes @move over: as the newest, or where it was taken from. Of two of the same hash the one that
 * is half done stays, else @move. */
void plan_store_put(struct plan_store *store, struct identity_move *move);
/* NULL: not there, or taken. */
struct identity_move *plan_store_take(struct plan_store *store, uint64_t hash);
/* The newest that does the moves of @request and has not been finished. */
struct identity_move *plan_store_take_unfinished(
        struct plan_store *store, const struct plan_request *request);

#endif
