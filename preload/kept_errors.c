/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/kept_errors.h"

#include "preload/completions.h"

/* The device's events are the parent's, so that it is not asked whether it has told of it. */
static void tell(struct queue_pair *qp)
{
	queue_pair_flush_sends(qp, qp->given_up ? qp->given_up : IBV_WC_WR_FLUSH_ERR);
	queue_pair_flush_receives(qp);
	kept_error_is_over(qp);
	qp->application_error = true;
	qp->shown.qp_base.state = IBV_QPS_ERR;
}

void kept_errors_inherit(struct context *context)
{
	struct queue_pair *qp;

	TAILQ_FOREACH(qp, &context->qps, link)
	{
		bool has_failed = qp->flushed || qp->receives_flushed || queue_pair_awaits(qp);

		if (has_failed && !qp->application_error)
			tell(qp);
	}
}
