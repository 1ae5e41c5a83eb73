/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* LinearFDBTop of a group's switches, before any route to those who come is written. */
#ifndef TETHER_MOVE_TOPS_H
#define TETHER_MOVE_TOPS_H

#include "sm-side/identity/move_group.h"

/* No switch looks at entries beyond its LinearFDBTop, so these wait until it is high enough. Those
 * who need it drop out where it does not become so. Takes OpenSM's lock for each look. False:
 * somebody has dropped out. */
bool move_tops_raise(struct move_group *group);

#endif
