/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which devices keep the PSN that their requester has come to, where nothing is acknowledged. One
 * that answers what it was given when the queue pair came to RTS cannot be told from one that has
 * sent nothing. So each kind of queue pair is believed once one of it has said another number that
 * it may have come to, here or at a device of the same vendor and part before.
 *
 * A provider that does not keep the responder's PSN says 0 of every queue pair. That may be within
 * what is open, where numbers wrap, so it is no number unless the device has said another one.
 *
 * The service thread's.
 */
#ifndef TETHER_SQ_PSNS_H
#define TETHER_SQ_PSNS_H

#include "preload/objects.h"

/* @qp is in ERR, its completions are taken, and its migration has what it says. */
void sq_psns_learn(struct queue_pair *qp);
bool sq_psns_are_kept(const struct queue_pair *qp);
/* Behind sq_psns_learn for all queue pairs of its context: is its rq_psn nothing but an empty
 * field? */
bool sq_psns_rq_is_empty(const struct queue_pair *qp);
/* The context has a device again. */
void sq_psns_arrive(struct context *context);

#endif
