/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A plan, and what has to be remembered between two attempts at it. Belongs to the plan store, or
 * to whoever has taken it from there.
 */
#ifndef TETHER_IDENTITY_MOVE_H
#define TETHER_IDENTITY_MOVE_H

#include <stdbool.h>

#include "sm-side/plan/plan.h"

struct identity_move;
struct identity_sides;

/* Takes @plan over. NULL: out of memory (@plan is destroyed). */
struct identity_move *identity_move_create(struct plan *plan);
void identity_move_destroy(struct identity_move *move);
const struct plan *identity_move_plan(const struct identity_move *move);
const struct identity_sides *identity_move_sides(const struct identity_move *move);

/* Has an attempt at it got so far that something may have changed? */
bool identity_move_has_begun(const struct identity_move *move);
void identity_move_begin(struct identity_move *move);
/* Has an attempt at it succeeded? */
bool identity_move_is_finished(const struct identity_move *move);
void identity_move_finish(struct identity_move *move);

#endif
