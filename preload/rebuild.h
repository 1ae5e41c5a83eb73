/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * RELEASE and ATTACH: take the real objects of the VM's contexts away, and make all of them again
 * on the device that takes its place. A peer's queue pairs keep their objects and begin another
 * incarnation in place. The service thread's, control verbs kept out; all return 0 or -errno.
 */
#ifndef TETHER_REBUILD_H
#define TETHER_REBUILD_H

#include "preload/move.h"

/* Completions are taken first; everything real goes; the device is closed. Fates are decided. */
int rebuild_tear_down(struct move *move);

/* Settled queue pairs whose real ones are still there: through RESET to INIT, receives posted. One
 * that does not go to RESET is lost, and alone in that. */
void rebuild_renew(struct move *move);

/* What shared receive queues got back unused, goes to their devices again. */
void rebuild_repost_shared(void);

/* Every object of the VM's contexts stands. */
bool rebuild_is_whole(const struct move *move);
/* A context whose device was taken away is lost, with all that is open in it. */
void rebuild_lose(struct context *context);
/* Or it waits for the next, and its queue pairs are held: a move may settle and rebuild them. */
void rebuild_await_device(struct context *context);
/* The end, however far it went: a context whose objects all stand runs, every other is lost. */
void rebuild_end(struct move *move);

/* -ENODEV: there is no device yet, or its port is not active; -ENOENT: its tables lack what is in
 * use: try again. */
int rebuild_open(struct move *move);
/* All objects up to INIT, receives posted. -EAGAIN: so far some of them, call again. */
int rebuild_objects(struct move *move);

#endif
