/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completions on their way to the application: taken from the device ahead of it, made up, of a
 * move and so not shown, those of work that ends without being executed. Everything here that takes
 * a completion queue wants its gate closed or entered, unless it says otherwise.
 */
#ifndef TETHER_COMPLETIONS_H
#define TETHER_COMPLETIONS_H

#include "preload/objects.h"

/* Take all that the device has into the ring, and what may be made up after it. */
void completion_queue_harvest(struct completion_queue *cq);

/* Polling by way of the ring. */
int completion_queue_poll_detour(struct completion_queue *cq, int count, struct ibv_wc *wc);

/* The next one, and when it was, of a queue that stamps. */
int completion_queue_poll_stamped(
        struct completion_queue *cq, struct ibv_wc *wc, struct completion_stamp *stamp);

/* All queues in which the queue pair completes. */
void queue_pair_harvest(struct queue_pair *qp);
void queue_pair_want_completions(struct queue_pair *qp);

/* An error that a stop itself has brought about, or a loss of which nothing is told yet. */
bool completion_is_of_a_move(struct queue_pair *qp, const struct ibv_wc *wc);

/*
 * A completion that is not a plain success: the application's, or the move's own. True: to be
 * delivered, and *wc says it in the application's terms.
 */
bool completion_failed(struct queue_pair *qp, struct ibv_wc *wc);

/* Deliver the success of work that is known as executed, as far as it is its turn. */
void queue_pair_make_up(struct queue_pair *qp);

/*
 * Nothing more is executed: open work completes as it would in the error state, the first of it
 * with @first (IBV_WC_WR_FLUSH_ERR if nothing was wrong). Sends want the send gate closed and
 * send_cq's, receives the receive gate and recv_cq's. Harvest first.
 */
void queue_pair_flush_sends(struct queue_pair *qp, enum ibv_wc_status first);
void queue_pair_flush_receives(struct queue_pair *qp);
/* Both, and the application sees ERR. All four gates. */
void queue_pair_flush(struct queue_pair *qp, enum ibv_wc_status first);

#endif
