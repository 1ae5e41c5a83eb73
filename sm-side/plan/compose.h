/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Several moves as one: where each identity is when all of them are done, and what that means for
 * its LID. The order of the moves in a request does not matter. A VM that goes where another VM of
 * the request has been takes that one's routes; who is in the last slot of such a row and no VM of
 * the request comes back to the first. Pure.
 */
#ifndef TETHER_PLAN_COMPOSE_H
#define TETHER_PLAN_COMPOSE_H

#include "sm-side/plan/relabel.h"

/*
 * Fill in @plan's transfers from its moves, and *@relabels beside them (one for each, in the same
 * order; free it, also when refused). MOVES_COLLIDE: two of them cannot be in one plan. NO_MEMORY.
 */
enum refusal compose(struct plan *plan, struct relabel **relabels);

#endif
