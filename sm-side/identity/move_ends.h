/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The ends that a group's routes lead to: what is Set at the ports of those who move, and the LIDs
 * of those who come or end. OpenSM's lock is held, exclusively, but where it says otherwise.
 */
#ifndef TETHER_MOVE_ENDS_H
#define TETHER_MOVE_ENDS_H

#include "sm-side/identity/move_group.h"

/* Who has not been read as planned, or where it could not be sent, drops out. */
void move_ends_put_sides(struct move_group *group);
/* Send again what is missing until all is taken; whose is not drops out. Takes the lock. */
void move_ends_wait_for_sides(struct move_group *group);

/* LIDs for those who come, and tables that are long enough, before any route to them is written.
 * Whether they may have them has been looked at in this hold of the lock. False: no memory, so
 * nobody goes. */
bool move_ends_promise_lids(struct move_group *group);
/* Those of who has ended. */
void move_ends_take_back_lids(const struct move_group *group);

#endif
