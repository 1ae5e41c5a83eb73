/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A queue pair whose real one stays begins another incarnation. */
#include "preload/rebuild_state.h"

#include "notifier/base/log.h"
#include "preload/completions.h"
#include "preload/data_path.h"
#include "preload/drain.h"
#include "preload/kept_errors.h"
#include "preload/lost_devices.h"
#include "preload/queue_pair.h"
#include "preload/shared_receive_queue.h"
#include "preload/window_binding.h"
#include "preload/window_work.h"

void queue_pair_begin_incarnation(struct queue_pair *qp)
{
	send_log_restart(&qp->sends, qp->migration.fresh_psn);
	receive_log_restart(&qp->receives);
	qp->receives_done = 0;
	qp->flushed = qp->receives_flushed = false;
	qp->given_up = 0;
	kept_error_is_over(qp);
}

int queue_pair_to_application_state(struct queue_pair *qp)
{
	enum ibv_qp_state state = qp->shown.qp_base.state;
	int err;

	if (state == IBV_QPS_RESET)
		return 0;
	err = queue_pair_to_init(qp);
	if (err)
		return err;
	return qp->application_error ? queue_pair_to_state(qp, IBV_QPS_ERR)
	                             : -queue_pair_give_kept_receives(qp);
}

/* ---- in place ---- */

static int renew(struct queue_pair *qp)
{
	int err;

	queue_pair_harvest(qp);
	err = queue_pair_to_state(qp, IBV_QPS_RESET);
	if (err)
		return err;
	window_work_was_given_back(qp);
	queue_pair_begin_incarnation(qp);
	window_binding_lapses(qp);
	err = queue_pair_to_application_state(qp);
	if (err)
		return err;
	qp->migration.renewed = true;
	queue_pair_let_receives_go(qp);
	return 0;
}

/* Buffers of shared queues that queue pairs gave back when they went to ERR. */
static void repost_shared(struct context *context)
{
	struct shared_receive_queue *srq;

	TAILQ_FOREACH(srq, &context->srqs, link)
	{
		int err;

		if (!srq->real)
			continue;
		gate_close(&srq->gate);
		err = shared_receive_queue_repost(srq, false);
		gate_open(&srq->gate);
		if (err && !lost_device_is_behind(context, -err))
			log_error("rebuild", "shared receive queue: not posted again: error %d",
			        -err);
	}
}

void rebuild_repost_shared(void)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	repost_shared(context);
}

/* One that cannot be renewed is not connected again and ends with an error; the others go on. */
void rebuild_renew(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	{
		int err;

		if (qp->migration.renewed || !qp->migration.settled || !queue_pair_is_made(qp))
			continue;
		queue_pair_close(qp);
		err = renew(qp);
		qp->migration.lost |= err != 0;
		queue_pair_open(qp);
		if (err)
			log_error("rebuild", "qp 0x%x: not renewed: error %d",
			        queue_pair_number(qp), -err);
	}
	rebuild_repost_shared();
}
