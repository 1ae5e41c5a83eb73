/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Extended reliable connections: a sender (XRC_SEND) has no receive queue, a target (XRC_RECV) has
 * no queue at all, and what it receives lies in whichever shared queue of its domain the sender has
 * named, and completes where that queue completes. Sender and target are the two ends of one
 * connection and settle as the ends of RC do.
 *
 * What the number of a shared queue means since a move is told together with those of datagram
 * queue pairs (datagram_numbers.h), from XRC_NUMBERS on.
 */
#ifndef TETHER_XRC_H
#define TETHER_XRC_H

#include "preload/datagram_numbers.h"
#include "preload/objects.h"
#include "tether.pb-c.h"

/* Numbers have 24 bits (IBA 9.2.1), so those of shared queues and queue pairs never meet. */
enum { XRC_NUMBERS = 1 << 24 };

struct xrc_domain {
	struct ibv_xrcd shown;
	struct ibv_xrcd *real;
	int fd;                          /* a duplicate of what it was opened with; -1: nothing */
	struct completion_queue nowhere; /* where a target's sends would complete */
	/* Who receives into what; and held while the completions of a target are closed. After a
	 * receive gate, before gates of completion queues. */
	pthread_mutex_t lock;
	TAILQ_HEAD(, shared_receive_queue) srqs;
	TAILQ_HEAD(, queue_pair) targets;
	struct gate **gates; /* of the queues, while they are closed */
	size_t closed;
	unsigned users;   /* of both kinds; under the list lock */
	bool has_foreign; /* targets, of other processes or contexts; atomic */
	TAILQ_ENTRY(xrc_domain) link;
};

static inline struct xrc_domain *xrc_domain_of(struct ibv_xrcd *shown)
{
	return shown ? MINE(shown, struct xrc_domain, shown) : NULL;
}

/* For verbs_context. */
struct ibv_xrcd *xrc_open_domain(struct ibv_context *context, struct ibv_xrcd_init_attr *attr);
int xrc_close_domain(struct ibv_xrcd *shown);
struct ibv_srq *xrc_create_srq(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr);
int xrc_query_srq_number(struct ibv_srq *shown, uint32_t *number);

/* A shared queue's real one; NULL with errno. The first one has a number that is nobody's. */
struct ibv_srq *xrc_create_real_srq(
        struct shared_receive_queue *srq, struct ibv_srq_init_attr *attr);
/* The shared queue and all targets of its domain know of each other, or no more. -ENOMEM. */
int xrc_enlist_srq(struct shared_receive_queue *srq);
void xrc_delist_srq(struct shared_receive_queue *srq);
/* Completions of what was posted until now are stale; gates of @srq and its queue closed. */
int xrc_restart_srq(struct shared_receive_queue *srq);

/* A target's real one; NULL with errno. */
struct ibv_qp *xrc_create_real_target(const struct queue_pair *qp);
void xrc_add_target(struct queue_pair *qp);
void xrc_remove_target(struct queue_pair *qp);

/* What the application calls a shared queue elsewhere; @there may be NULL. */
static inline uint32_t xrc_number_to_real(const struct datagram_numbers *there, uint32_t number)
{
	return datagram_number_to_real(there, XRC_NUMBERS | number) & (XRC_NUMBERS - 1);
}

/*
 * What completion_queue.h does for a queue pair's two queues, for those in which a target's
 * receives complete.
 */
int xrc_enlist(struct queue_pair *target);
void xrc_delist(struct queue_pair *target, uint32_t real_number);
void xrc_close_completions(struct xrc_domain *domain);
void xrc_open_completions(struct xrc_domain *domain);
/* Inside these two. */
void xrc_harvest(struct xrc_domain *domain);
void xrc_want_completions(struct xrc_domain *domain);

/* completion_pass for what was received by a target, @qp if it is ours. */
bool xrc_receive_pass(struct completion_queue *cq, struct queue_pair *qp, struct ibv_wc *wc);
/* Is it of a shared queue here? */
static inline bool xrc_is_receive(const struct completion_queue *cq, const struct ibv_wc *wc)
{
	return cq->xrc_srqs.count && tag_is_receive(wc->wr_id) &&
	       number_table_find(&cq->xrc_srqs, tag_incarnation(wc->wr_id));
}

/* Steps, control verbs kept out. */
int xrc_domain_tear_down(struct xrc_domain *domain);
int xrc_domain_rebuild(struct xrc_domain *domain);
int xrc_report_numbers(const struct context *context, Tether__Answer *answer);

/* In a child after fork. */
void xrc_domain_inherit(struct xrc_domain *domain);

#endif
