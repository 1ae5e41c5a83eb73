/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * STOP and SETTLE: close send gates, let what was sent complete, then take the queue pairs to ERR
 * and say what the responder has accepted. The service thread's, with control verbs kept out.
 */
#ifndef TETHER_DRAIN_H
#define TETHER_DRAIN_H

#include "preload/move.h"

/* From here on sends of the concerned queue pairs (move_concern) go to their logs only. Idempotent.
 */
void drain_hold(struct move *move, uint64_t now_ms);

/*
 * Collect completions. True: every send that will complete by itself has. A queue pair that made no
 * progress for @stuck_ms is not waited for, unless it is an atomic that may have been executed:
 * only its answer can tell.
 */
bool drain_is_done(struct move *move, uint64_t now_ms, unsigned stuck_ms);
/* A queue pair has an atomic that may have been executed and is not answered. */
bool drain_has_exposed_atomic(const struct move *move);
/* Likewise, one has work that binds or invalidates memory windows (window_work.h). */
bool drain_has_exposed_windows(const struct move *move);
/* One has either, and its transport has not given up: the answer may come. */
bool drain_awaits_answer(const struct move *move);

/*
 * Take every concerned queue pair to ERR and note its responder's frontier; -errno. Nothing that is
 * still under way in the fabric can be executed after that, so the note stays true. Idempotent. Not
 * while an answer is awaited.
 */
int drain_break(struct move *move);
/* The device has begun to give unfinished work back, or there is none: completions are all here. */
bool drain_frontiers_are_known(struct move *move);

/* Take all completions of the contexts concerned ahead of the application. */
void drain_harvest(struct move *move);

/* Back to before STOP; only where nothing was broken. Held sends are posted. */
void drain_let_go(struct move *move);

/* For one queue pair, all its gates closed by the caller. */
void queue_pair_hold(struct queue_pair *qp);
void queue_pair_let_go(struct queue_pair *qp);
void queue_pair_hold_receives(struct queue_pair *qp);
void queue_pair_let_receives_go(struct queue_pair *qp);
/* Give the device all that is in the log and not with it. */
void queue_pair_post_kept(struct queue_pair *qp);
/* It ends with errors, as verbs define: open work is flushed, the first of it with @first. */
void queue_pair_end(struct queue_pair *qp, enum ibv_wc_status first);

#endif
