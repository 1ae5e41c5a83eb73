/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/sq_psns.h"

#include "preload/settlement.h"

static uint32_t kind_of(const struct queue_pair *qp)
{
	return 1u << qp->init.qp_type;
}

void sq_psns_learn(struct queue_pair *qp)
{
	if (!qp->reliable && settlement_psn_has_moved(&qp->sends, qp->migration.sq_psn))
		qp->context->sq_psns.kept |= kind_of(qp);
	if (qp->reliable && qp->migration.rq_psn != PSN_UNKNOWN)
		qp->context->sq_psns.rq_told |= qp->migration.rq_psn != 0;
}

bool sq_psns_rq_is_empty(const struct queue_pair *qp)
{
	return qp->reliable && !qp->migration.rq_psn && !qp->context->sq_psns.rq_told;
}

bool sq_psns_are_kept(const struct queue_pair *qp)
{
	return qp->context->sq_psns.kept & kind_of(qp);
}

void sq_psns_arrive(struct context *context)
{
	struct sq_psns *psns = &context->sq_psns;
	struct ibv_device_attr attr;

	if (below.ibv_query_device(context->real, &attr))
		attr.vendor_id = attr.vendor_part_id = 0;
	if (attr.vendor_id != psns->vendor_id || attr.vendor_part_id != psns->vendor_part_id)
		psns->kept = psns->rq_told = 0;
	psns->vendor_id = attr.vendor_id;
	psns->vendor_part_id = attr.vendor_part_id;
}
