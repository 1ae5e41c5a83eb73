/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Asynchronous events. The application's descriptor is an outer one (outer_fd.h); behind it the
 * device's events are filtered as they are read: those that a move causes are nobody's. What the
 * device had told before it went is kept in the context's list, under its lock, until it is read.
 */
#ifndef TETHER_ASYNC_EVENTS_H
#define TETHER_ASYNC_EVENTS_H

#include "preload/objects.h"

/* For a context with its first real device, which is shown; -errno. */
int async_events_open(struct context *context);
void async_events_close(struct context *context);
/* Show what a real device tells; -errno. Detached before it is closed. */
int async_events_attach(struct context *context);
void async_events_detach(struct context *context);

/* An event for the application, of its objects. */
void async_events_raise(struct context *context, const struct ibv_async_event *event);
/* It ends, and the application does not know yet: of one with a shared queue that is told, too. */
void async_events_raise_last_wqe(struct queue_pair *qp);
/* What the device has told so far is read; control verbs. */
void async_events_collect(struct context *context);

/* The same by the service thread, while the application may be reading. */
void async_events_look(struct context *context);

/* Unread events of an object are dropped, those that were got are waited for. After the real object
 * is gone, without locks. */
void async_events_await_cq(struct completion_queue *cq);
void async_events_await_qp(struct queue_pair *qp);
void async_events_await_srq(struct shared_receive_queue *srq);

/*
 * The service thread's, with control verbs kept out: what the device has told is filtered and kept,
 * and the descriptor shows nothing of what follows until it is attached again.
 */
void async_events_take_over(struct context *context);

/* In a child after fork. */
void async_events_inherit(struct context *context);

#endif
