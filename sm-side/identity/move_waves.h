/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What of a group's LFT Sets goes out in which wave, and when the next one may. A function returns
 * whether all who go have got through it; somebody has dropped out where not.
 */
#ifndef TETHER_MOVE_WAVES_H
#define TETHER_MOVE_WAVES_H

#include "sm-side/identity/move_group.h"

/* Where the order matters, the wave that an earlier attempt has begun comes to its end before
 * anything else is written; and so does the pause after it. Takes OpenSM's lock. */
bool move_waves_finish_begun(struct move_group *group);

/* The first of @sets, and whatever an earlier attempt has Set and no switch has acknowledged. After
 * move_group_join; OpenSM's lock is held, exclusively. */
bool move_waves_put_first(struct move_group *group, struct plan_sets *sets);

/* Each other wave when the one before it is acknowledged; the last is the caller's to wait for.
 * Takes the lock for each. */
bool move_waves_put_later(struct move_group *group, const struct plan_sets *sets);

/* Those whose Sets no switch has taken drop out. Takes the lock. */
void move_waves_drop_unacknowledged(struct move_group *group);

#endif
