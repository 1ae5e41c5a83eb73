/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: a device that is on its way out may give work back, as a queue pair
 * does that has failed. An error that may be of that and has no cause so far is kept until the
 * device has been asked whether it is there, or the cause is seen; then it is told.
 */
#ifndef TETHER_DOUBTED_ERRORS_H
#define TETHER_DOUBTED_ERRORS_H

#include "preload/kept_errors.h"

/* A device has told @status, which may be of its loss; the poller's, inside the gate of the
 * completion queue. */
bool doubted_errors_have(enum ibv_wc_status status);
void doubted_error_is_seen(struct queue_pair *qp);
/* The stop is over in which it has, and nothing has come of it: true if that is doubted, as before
 * it. The service thread's, its gates closed. */
bool doubted_error_was_noticed(struct queue_pair *qp);
/* The service thread's, control verbs kept out: tell what is doubted no more. When to look again,
 * on the clock of @now_ms; 0: when something is due. */
uint64_t doubted_errors_look(struct context *context, uint64_t now_ms);

#endif
