/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the three parts of rebuild.h share: rebuild_in_place.c, rebuild_away.c and rebuild.c, and
 * nobody else.
 */
#ifndef TETHER_REBUILD_STATE_H
#define TETHER_REBUILD_STATE_H

#include "preload/rebuild.h"

/* Each @object of @type in a list of the context in hand. */
#define EACH_OBJECT(type, object, list)                                                            \
	for (struct type *object = TAILQ_FIRST(&context->list); object;                            \
	        object = TAILQ_NEXT(object, link))

static inline bool queue_pair_is_made(const struct queue_pair *qp)
{
	return qp->real && !qp->half_made;
}

/* For one queue pair, all its gates closed by the caller; 0 or -errno. */

/* What is open in the logs belongs to the next incarnation; later completions of this one are
 * stale. */
void queue_pair_begin_incarnation(struct queue_pair *qp);
/* In RESET. One that has ended goes back to the error that the application knows. */
int queue_pair_to_application_state(struct queue_pair *qp);
int queue_pair_destroy_real(struct queue_pair *qp);

#endif
