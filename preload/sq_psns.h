/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which devices keep the PSNs that ibv_query_qp(3) tells: the requester's, where nothing is
 * acknowledged, and the responder's. One that answers what it was given at RTS or RTR cannot be
 * told from one that has sent or received nothing (irdma answers so), nor one that answers 0 where
 * numbers wrap. So of requesters each kind of queue pair is believed once one of it has said
 * another number that it may have come to, and the responder's of all once one of them has, here or
 * at a device of the same vendor and part before; and of those whose sources say that they count.
 *
 * The service thread's.
 */
#ifndef TETHER_SQ_PSNS_H
#define TETHER_SQ_PSNS_H

#include "preload/objects.h"

/* @qp is in ERR, its completions are taken, and its migration has what it says. */
void sq_psns_learn(struct queue_pair *qp);
bool sq_psns_are_kept(const struct queue_pair *qp);
/* Behind sq_psns_learn for all queue pairs of its context: its rq_psn is a number that it has come
 * to. False: perhaps nothing but what it was given, or an empty field. */
bool psns_rq_is_told(const struct queue_pair *qp);
/* The context has a device again. */
void sq_psns_arrive(struct context *context);

#endif
