/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What cannot be moved is refused by name, before anything is touched. */
#ifndef TETHER_VETO_H
#define TETHER_VETO_H

#include "preload/move.h"

/*
 * Add a refusal to @answer for each reason why what @move concerns here cannot move. Control verbs
 * kept out. -ENOMEM.
 */
int veto_check(const struct move *move, Tether__Answer *answer);

/* One of these reasons may come up until the last moment: a forked process has the device, too. */
bool veto_is_shared(const struct move *move);

#endif
