/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/lost_peers.h"

#include "notifier/base/log.h"
#include "preload/data_path.h"
#include "preload/drain.h"
#include "preload/lost_devices.h"
#include "preload/move.h"
#include "preload/queue_pair.h"
#include "preload/settings.h"

enum { LOOK_AGAIN_MS = 100 }; /* at one whose migration takes longer */

static bool may_wait(const struct queue_pair *qp)
{
	return settings()->unplanned_ms && qp->reliable && !qp->application_error &&
	       !qp->context->inherited && lost_devices_are_watched();
}

/* What was doubted of it has a cause. */
static void miss(struct queue_pair *qp)
{
	__atomic_store_n(&qp->awaits, AWAITS_PEER, __ATOMIC_RELAXED);
	lost_devices_look_soon();
}

void lost_peer_is_noticed(struct queue_pair *qp)
{
	if (!qp->held && may_wait(qp))
		miss(qp);
}

bool lost_peer_is_waited_for(const struct queue_pair *qp)
{
	return lost_peer_is_missed(qp) ||
	       (qp->flushed && may_wait(qp) && qp->given_up == IBV_WC_RETRY_EXC_ERR);
}

bool lost_peer_was_noticed(struct queue_pair *qp)
{
	bool is_waited_for = lost_peer_is_waited_for(qp);

	if (is_waited_for && !lost_peer_is_missed(qp))
		miss(qp);
	return is_waited_for;
}

/* A stop may have been quicker. */
static void hold(struct queue_pair *qp, uint64_t now_ms)
{
	log_warn("peer", "qp 0x%x: its other end does not answer, held", queue_pair_number(qp));
	if (!qp->held)
		queue_pair_hold(qp);
	if (!qp->receives_held)
		queue_pair_hold_receives(qp);
	qp->misses_until_ms = now_ms + settings()->unplanned_ms;
}

static void end(struct queue_pair *qp)
{
	kept_error_is_over(qp);
	queue_pair_end(qp, IBV_WC_RETRY_EXC_ERR);
	queue_pair_let_go(qp);
	queue_pair_let_receives_go(qp);
}

/* The device flushes the RECVs that it has, behind those that it has completed: those that were
 * kept, too. */
static void let_receives_go(struct queue_pair *qp)
{
	queue_pair_let_receives_go(qp);
	if (!qp->srq && !qp->receives_flushed && queue_pair_give_kept_receives(qp))
		qp->receives_flushed = true;
}

void lost_peer_is_left(struct queue_pair *qp)
{
	if (!lost_peer_is_missed(qp) || queue_pair_is_in_hand(qp))
		return;
	queue_pair_let_go(qp);
	let_receives_go(qp);
}

static void look(struct queue_pair *qp, uint64_t now_ms)
{
	queue_pair_close(qp);
	if (!qp->misses_until_ms)
		hold(qp, now_ms);
	else if (now_ms >= qp->misses_until_ms && !queue_pair_is_in_hand(qp))
		end(qp);
	queue_pair_open(qp);
}

uint64_t lost_peers_look(struct context *context, uint64_t now_ms)
{
	struct queue_pair *qp;
	uint64_t next = 0;

	TAILQ_FOREACH(qp, &context->qps, link)
	{
		if (!lost_peer_is_missed(qp) || !qp->real)
			continue;
		look(qp, now_ms);
		if (lost_peer_is_missed(qp) && (!next || qp->misses_until_ms < next))
			next = qp->misses_until_ms;
	}
	return next && next <= now_ms ? now_ms + LOOK_AGAIN_MS : next;
}
