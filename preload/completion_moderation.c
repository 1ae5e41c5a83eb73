/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_moderation.h"

#include <errno.h>

#include "notifier/base/log.h"
#include "preload/control.h"

int completion_queue_modify(struct ibv_cq *shown, struct ibv_modify_cq_attr *attr)
{
	struct completion_queue *cq = completion_queue_of(shown);
	int err;

	if (attr->attr_mask != IBV_CQ_ATTR_MODERATE)
		return EINVAL;
	if (attr->moderate.cq_count > 1 && !attr->moderate.cq_period)
		return EOPNOTSUPP;
	err = control_enter(cq->context, NEEDS_DEVICE);
	if (err)
		return err;
	gate_close(&cq->gate);
	err = ibv_modify_cq(cq->real, attr);
	if (!err)
		cq->moderation = attr->moderate;
	gate_open(&cq->gate);
	control_leave();
	return err;
}

void completion_moderation_repeat(struct completion_queue *cq)
{
	struct ibv_modify_cq_attr attr = {
	        .attr_mask = IBV_CQ_ATTR_MODERATE, .moderate = cq->moderation};
	int err;

	if (!cq->moderation.cq_count && !cq->moderation.cq_period)
		return;
	err = ibv_modify_cq(cq->real, &attr);
	if (err)
		log_warn("completion", "a queue is not moderated any more: error %d", err);
}
