/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Work requests that bind and invalidate memory windows: BIND_MW and LOCAL_INV, which are done
 * where they are posted, in their turn. In the log they stand as all others do, but they are posted
 * one by one and with a mark in the tag, so that work of other kinds costs no look at what it is.
 * Each is signalled, whatever the application asks: what is bound is known from completions.
 * Inside the send gate, except where it says otherwise.
 */
#ifndef TETHER_WINDOW_WORK_H
#define TETHER_WINDOW_WORK_H

#include "preload/objects.h"

/* Marks in the tag of a send. */
#define TAG_LOCAL_WORK (UINT64_C(1) << 62)
#define TAG_REBINDING  (UINT64_C(1) << 61) /* not in the log: window_binding.h */

/*
 * A bind of type 2, or an invalidation, into the slot @ahead of head: send_log_begin has made it
 * empty. 0, or -EINVAL.
 */
int window_work_fill_bind(struct queue_pair *qp, struct send_slot *slot, struct ibv_mw *mw,
        uint32_t rkey, const struct ibv_mw_bind_info *info);
void window_work_fill_invalidate(struct send_slot *slot, uint32_t rkey);

/* Is @wr local work? Then post it by itself, or keep it; an errno. */
bool window_work_is(const struct ibv_send_wr *wr);
int window_work_post(struct queue_pair *qp, const struct ibv_send_wr *wr);
/* @count slots ahead of head are filled, some of them with local work: post, or keep them. */
int window_work_post_filled(struct queue_pair *qp, uint32_t count, uint32_t *posted);

/* What is left of them is work now, and not with the device. */
void window_work_keep(struct queue_pair *qp, uint32_t count);
/*
 * The device has refused the first that was kept, behind others: the queue pair ends, as by a
 * completion with an error, @first if nothing before it is open; one that is stopped tries again at
 * RESUME. The build gate alone.
 */
void window_work_refused(struct queue_pair *qp, enum ibv_wc_status first);

/* For ibv_context_ops: type 1. As ibv_bind_mw(3) says; enters the gates. */
int window_work_bind(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind);

/* How many of the @count slots from @sequence on come before local work. */
uint32_t window_work_ahead(const struct queue_pair *qp, uint32_t sequence, uint32_t count);
/* Give the device the one at @sequence. An errno; EINVAL also where its window is gone. */
int window_work_give(struct queue_pair *qp, uint32_t sequence);

/* Of a send without errors whose tag is of no incarnation: as completion_pass. */
bool window_work_completed(struct queue_pair *qp, struct ibv_wc *wc);
/* What settlement has found executed: windows are as it says. Both gates. */
void window_work_settled(struct queue_pair *qp);

/*
 * What is open was given back, and the queue pair begins anew in place: its windows have the keys
 * of the last binds that were done. All gates, before the log restarts.
 */
void window_work_was_given_back(struct queue_pair *qp);

/*
 * Something of it is open where nobody could tell whether it was done: the queue pair @stays, so
 * its windows do with the keys that they have, whatever RESET does to what they are bound to; or
 * the device keeps that, too, and an abort may come. Both gates.
 */
bool window_work_is_exposed(const struct queue_pair *qp, bool stays);

#endif
