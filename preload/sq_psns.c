/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/sq_psns.h"

#include "preload/settlement.h"

static uint32_t kind_of(const struct queue_pair *qp)
{
	return 1u << qp->init.qp_type;
}

/* As their sources have it: mlx4 and mlx5, rdma_rxe. */
static bool is_known_to_count(const struct sq_psns *psns)
{
	enum { MELLANOX = 0x02c9, RXE = 0xffffff };

	return psns->vendor_id == MELLANOX || psns->vendor_id == RXE;
}

/* An empty field is no number. */
static bool rq_has_moved(const struct queue_pair *qp)
{
	uint32_t rq_psn = qp->migration.rq_psn;

	return qp->reliable && rq_psn != PSN_UNKNOWN && rq_psn && rq_psn != qp->given_rq_psn;
}

void sq_psns_learn(struct queue_pair *qp)
{
	if (!qp->reliable && settlement_psn_has_moved(&qp->sends, qp->migration.sq_psn))
		qp->context->sq_psns.kept |= kind_of(qp);
	qp->context->sq_psns.rq_kept |= rq_has_moved(qp);
}

bool psns_rq_is_told(const struct queue_pair *qp)
{
	return !qp->reliable || rq_has_moved(qp) || qp->context->sq_psns.rq_kept ||
	       is_known_to_count(&qp->context->sq_psns);
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
		psns->kept = psns->rq_kept = 0;
	psns->vendor_id = attr.vendor_id;
	psns->vendor_part_id = attr.vendor_part_id;
}
