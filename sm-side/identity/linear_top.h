/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * No switch looks at entries beyond its LinearFDBTop. Whether it is high enough is asked of what
 * the switches have answered, not of the plan: each sweep lowers it to the highest LID there is,
 * and another plan may have raised it when this one was made. OpenSM's lock is held, exclusively to
 * send.
 */
#ifndef TETHER_LINEAR_TOP_H
#define TETHER_LINEAR_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/plan.h"

struct osm_opensm;
struct smp_sender;

/* Does every switch look at the LIDs that @plan creates? */
bool linear_top_covers(const struct osm_opensm *osm, const struct plan *plan);

/* Raise it where it is too low. *@posted: how many Sets; OpenSM's belief comes right with the
 * responses. NOT_ACKNOWLEDGED: one could not be sent. */
enum refusal linear_top_send(const struct osm_opensm *osm, struct smp_sender *sender,
        const struct plan *plan, uint32_t *posted);

#endif
