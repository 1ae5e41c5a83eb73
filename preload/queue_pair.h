/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Queue pairs as the application sees them: made, modified, asked, destroyed. Their real ones are
 * made and connected again here, too.
 */
#ifndef TETHER_QUEUE_PAIR_H
#define TETHER_QUEUE_PAIR_H

#include "preload/objects.h"

/*
 * For ibv_create_qp and ibv_create_qp_ex; NULL with errno. @attr gets the real capabilities. A
 * target of XRC has a @domain instead of @pd.
 */
struct queue_pair *queue_pair_create(struct context *context, struct protection_domain *pd,
        struct xrc_domain *domain, struct ibv_qp_init_attr *attr);

/* All four gates, in the order of locks. */
void queue_pair_close(struct queue_pair *qp);
void queue_pair_open(struct queue_pair *qp);

/* All but the receive gate. */
void queue_pair_close_sends(struct queue_pair *qp);
void queue_pair_open_sends(struct queue_pair *qp);

/*
 * Completions of work that is gone may name what the application has freed: take them out of the
 * rings. All four gates.
 */
void queue_pair_purge(struct queue_pair *qp);

/* The agent may forget that this one is connected to @remote, if it is. */
void queue_pair_forget_remote(const struct queue_pair *qp, const struct remote *remote);

/* Where a connected one is reached, others at first (places.h). */
uint32_t queue_pair_lid(const struct queue_pair *qp);

/* Its state lets it receive. */
static inline bool queue_pair_is_active(const struct queue_pair *qp)
{
	enum ibv_qp_state state = qp->shown.qp_base.state;

	return state != IBV_QPS_RESET && state != IBV_QPS_INIT;
}

/* Is the application's connection made: is there another end that knows this one? */
static inline bool queue_pair_is_connected(const struct queue_pair *qp)
{
	return qp->attr_mask & IBV_QP_DEST_QPN && queue_pair_is_active(qp);
}

/*
 * Steps, control verbs kept out. All return 0 or -errno.
 * _make_real: another real queue pair in RESET, listed with its completion queues.
 * _to_init, _to_rtr, _to_rts: with the application's attributes, and the numbers of `migration` and
 * `remote`.
 */
int queue_pair_make_real(struct queue_pair *qp);
int queue_pair_to_init(struct queue_pair *qp);
int queue_pair_to_rtr(struct queue_pair *qp, uint32_t rq_psn);
int queue_pair_to_rts(struct queue_pair *qp);
int queue_pair_to_state(struct queue_pair *qp, enum ibv_qp_state state);

#endif
