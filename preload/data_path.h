/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Posting and polling: what runs for every work request. The operations of every context of this
 * library; any thread.
 */
#ifndef TETHER_DATA_PATH_H
#define TETHER_DATA_PATH_H

#include "preload/objects.h"

extern const struct ibv_context_ops data_path_ops;

/* For verbs_context: ibv_qp_ex over the same log (data_path_ex.c). */
struct ibv_qp *data_path_ex_create_qp(struct ibv_context *, struct ibv_qp_init_attr_ex *);

/* data_path_poll.c; the first for ibv_cq_ex, too. */
int data_path_poll_cq(struct ibv_cq *shown, int count, struct ibv_wc *wc);
int data_path_req_notify_cq(struct ibv_cq *shown, int solicited_only);
/* One of a queue that stamps, and as it is shown when that was. */
int data_path_poll_stamped(
        struct completion_queue *cq, struct ibv_wc *wc, struct completion_stamp *stamp);

/* The queue pair that @wc of a real queue belongs to; NULL: not (any more) one of ours. */
struct queue_pair *completion_owner(const struct completion_queue *cq, const struct ibv_wc *wc);
/*
 * A completion from the device: the log takes note, *wc is put into the application's terms. False:
 * the application did not ask for it. Inside the queue's gate. @qp NULL: nobody's, or of an
 * XRC target of another process.
 */
bool completion_pass(struct completion_queue *cq, struct queue_pair *qp, struct ibv_wc *wc);

/*
 * Give the device the @count slots from @sequence on, at most POST_CHUNK. Returns 0 with *@posted =
 * @count, or an errno of the device and how many slots it has dealt with. Inside the gate of the
 * queue.
 */
int queue_pair_give_receives(
        struct queue_pair *qp, uint32_t sequence, uint32_t count, uint32_t *posted);
int shared_queue_give(struct shared_receive_queue *srq, const uint32_t *indices, uint32_t count,
        uint32_t *posted);

/* What is kept, as far as it goes to nobody who is stopped. Inside the send gate. An errno. */
int queue_pair_give_kept(struct queue_pair *qp);
/* The same of RECVs, inside the receive gate. */
int queue_pair_give_kept_receives(struct queue_pair *qp);
/* @count slots ahead of head are filled: post them, or keep them while stopped. An errno. */
int queue_pair_post_filled(struct queue_pair *qp, uint32_t count, uint32_t *posted);
/* The device has refused those behind @posted of them, which are committed: keep them if it may be
 * gone. An errno. */
int queue_pair_keep_refused(struct queue_pair *qp, uint32_t count, uint32_t *posted, int err);

#endif
