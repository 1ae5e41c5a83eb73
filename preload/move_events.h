/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Events while a move is on. From before queue pairs are broken until all they have given back is
 * here, and again until the VM's objects are connected, the service thread reads what the devices
 * tell: what the move causes wakes nobody, what is the application's is kept for it. The service
 * thread's, with control verbs kept out.
 */
#ifndef TETHER_MOVE_EVENTS_H
#define TETHER_MOVE_EVENTS_H

#include "preload/move.h"

/* Of all contexts that are concerned. Again and again while the step is in work. */
void move_events_take_over(struct move *move);
/* Taken over, queue pairs may be broken: of all receives that are here it is known whether they
 * were solicited. False: take over once more. */
bool move_events_are_sifted(struct move *move);
/* What comes from now on goes the usual way; of a context whose events are hidden not yet. */
void move_events_give_back(void);

#endif
