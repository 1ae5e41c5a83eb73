/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * RECONNECT and RESUME: queue pairs in INIT learn the other ends' numbers and go to RTR, then to
 * RTS, and what is left to do is posted. The service thread's, control verbs kept out.
 */
#ifndef TETHER_RECONNECT_H
#define TETHER_RECONNECT_H

#include "preload/move.h"

/*
 * To RTR, with the numbers of @event. A queue pair whose other end is not there any more, or that
 * cannot be connected, ends with an error. -EBADMSG: unequal columns. -EAGAIN, unless it is @late:
 * the kernel does not find an other end yet.
 */
int reconnect_to_rtr(struct move *move, const Tether__Event *event, bool late);

/*
 * What was bound through queue pairs that have begun anew is bound again, before their peers go on.
 * False: once more. @late: what is not, does not go on.
 */
bool reconnect_windows_are_bound(struct move *move, bool late);

/* To RTS, replay, open the gates; the migration is over for these queue pairs. */
void reconnect_resume(struct move *move);

/* Whatever stands or not: every concerned queue pair ends with errors, as verbs define. */
void reconnect_end_all(struct move *move);

#endif
