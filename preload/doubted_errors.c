/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/doubted_errors.h"

#include "notifier/base/log.h"
#include "preload/completions.h"
#include "preload/drain.h"
#include "preload/lost_devices.h"
#include "preload/move.h"
#include "preload/queue_pair.h"
#include "preload/settings.h"

enum { LOOK_AGAIN_MS = 100 }; /* at one that a migration has in hand */

bool doubted_errors_have(enum ibv_wc_status status)
{
	return settings()->unplanned_ms &&
	       (status == IBV_WC_WR_FLUSH_ERR || status == IBV_WC_LOC_QP_OP_ERR);
}

static bool may_doubt(const struct queue_pair *qp)
{
	return !qp->application_error && !lost_peer_is_missed(qp) && !qp->context->inherited &&
	       lost_devices_are_watched();
}

static void doubt(struct queue_pair *qp)
{
	unsigned until = lost_device_is_doubted(qp->context);
	enum awaits nothing = AWAITS_NOTHING;

	if (error_is_doubted(qp))
		return;
	__atomic_store_n(&qp->doubted_until, until, __ATOMIC_RELAXED);
	/* Another poller may have seen the cause just now. */
	__atomic_compare_exchange_n(
	        &qp->awaits, &nothing, AWAITS_WORD, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void doubted_error_is_seen(struct queue_pair *qp)
{
	if (!qp->held && may_doubt(qp))
		doubt(qp);
}

bool doubted_error_was_noticed(struct queue_pair *qp)
{
	bool has_failed = qp->flushed || qp->receives_flushed;

	if (has_failed && may_doubt(qp) &&
	        doubted_errors_have(qp->given_up ? qp->given_up : IBV_WC_WR_FLUSH_ERR))
		doubt(qp);
	return error_is_doubted(qp);
}

/* The first one told says why. */
static void tell(struct queue_pair *qp)
{
	enum ibv_wc_status status = qp->given_up;

	if (qp->application_error || !status)
		status = IBV_WC_WR_FLUSH_ERR;
	log_debug(
	        "device", "qp 0x%x: it has failed, and its device is there", queue_pair_number(qp));
	queue_pair_end(qp, status);
}

static bool is_due(const struct queue_pair *qp)
{
	return error_is_doubted(qp) &&
	       (qp->application_error || lost_device_has_answered(qp->context, qp->doubted_until));
}

/* Nobody may have polled its cause. True: it is due, and in other hands. */
static bool look(struct queue_pair *qp)
{
	bool tells, is_in_hand;

	queue_pair_close(qp);
	if (is_due(qp))
		queue_pair_harvest(qp);
	tells = is_due(qp);
	is_in_hand = queue_pair_is_in_hand(qp);
	if (tells && !is_in_hand)
		tell(qp);
	queue_pair_open(qp);
	return tells && is_in_hand;
}

uint64_t doubted_errors_look(struct context *context, uint64_t now_ms)
{
	struct queue_pair *qp;
	bool again = false;

	TAILQ_FOREACH(qp, &context->qps, link)
	again |= error_is_doubted(qp) && look(qp);
	return again ? now_ms + LOOK_AGAIN_MS : 0;
}
