/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/refused_work.h"

#include "notifier/base/log.h"
#include "preload/completion_arm.h"
#include "preload/data_path.h"
#include "preload/drain.h"
#include "preload/lost_devices.h"
#include "preload/queue_pair.h"
#include "preload/shared_receive_queue.h"

/* Whoever is stopped is given it by the migration. An errno. */
static int give_kept(struct queue_pair *qp)
{
	int err = qp->receives_held ? 0 : queue_pair_give_kept_receives(qp);

	return err || qp->held ? err : queue_pair_give_kept(qp);
}

static void give(struct queue_pair *qp)
{
	int err;

	queue_pair_close(qp);
	err = qp->real ? give_kept(qp) : 0;
	if (err && !lost_device_is_behind(qp->context, err)) {
		log_error("device", "qp 0x%x: kept work cannot be posted: error %d",
		        queue_pair_number(qp), err);
		queue_pair_end(qp, IBV_WC_WR_FLUSH_ERR);
	}
	queue_pair_open(qp);
}

static void give_shared(struct shared_receive_queue *srq)
{
	int err;

	gate_close(&srq->gate);
	err = srq->real && !srq->held ? shared_receive_queue_repost(srq, false) : 0;
	gate_open(&srq->gate);
	if (err && !lost_device_is_behind(srq->context, -err))
		log_error("device", "shared receive queue: not posted again: error %d", -err);
}

static void arm(struct completion_queue *cq)
{
	int err;

	gate_close(&cq->gate);
	err = cq->arm.refused ? completion_arm_repeat(cq) : 0;
	gate_open(&cq->gate);
	if (err && !lost_device_is_behind(cq->context, err))
		log_error("device", "completion queue: not armed again: error %d", err);
}

void refused_work_give(struct context *context)
{
	struct shared_receive_queue *srq;
	struct completion_queue *cq;
	struct queue_pair *qp;

	log_warn("device", "%s has refused work, and is there", context->device->shown.name);
	TAILQ_FOREACH(srq, &context->srqs, link)
	give_shared(srq);
	TAILQ_FOREACH(qp, &context->qps, link)
	give(qp);
	TAILQ_FOREACH(cq, &context->cqs, link)
	arm(cq);
}
