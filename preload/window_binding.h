/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is bound when a VM stops is bound again before its peers go on. Type 1 goes by its domain:
 * at ATTACH, through a queue pair of this library's that is connected to itself. Type 2 by its
 * queue pair: at RECONNECT, where that goes to RTS as soon as it is in RTR, since a bind takes no
 * packet. The service thread's, control verbs kept out, except where it says otherwise.
 */
#ifndef TETHER_WINDOW_BINDING_H
#define TETHER_WINDOW_BINDING_H

#include "preload/objects.h"

/* Post the bind of @mw to a real queue pair, in its real numbers. An errno. Any thread. */
int window_binding_post(struct ibv_qp *real, struct memory_window *mw,
        const struct window_binding *binding, uint64_t tag, unsigned flags);

/*
 * Find out what RESET does to windows of type 2, which matters where a queue pair begins anew in
 * place: tried with one of this library's. -errno: it could not be.
 */
int window_binding_learn(struct context *context);

/*
 * ATTACH, regions stand: windows of type 1. 0 or -errno; -EAGAIN: some are left, call again. One
 * alone that cannot be stays unbound.
 */
int window_binding_at_once(struct context *context);

/* The queue pair has been in RESET, in place: what is bound through it has lapsed, if it has. */
void window_binding_lapses(struct queue_pair *qp);

/* RECONNECT, in RTR, all gates: go on. */
enum window_progress { WINDOWS_BOUND, WINDOWS_BEING_BOUND, WINDOWS_FAILED };
enum window_progress window_binding_go_on(struct queue_pair *qp);

/* What the device says to that; inside the queue's gate. @number: of the window. */
void window_binding_completed(struct queue_pair *qp, uint32_t number);
void window_binding_failed(struct queue_pair *qp);

#endif
