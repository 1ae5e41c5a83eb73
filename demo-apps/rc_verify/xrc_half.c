/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/xrc_half.h"

#include <errno.h>

#include "demo-apps/verify/process.h"

static int srq_create(
        struct xrc_half *half, struct endpoint *endpoint, struct ibv_cq *cq, uint32_t depth)
{
	struct ibv_srq_init_attr_ex attr = {
	        .attr = {.max_wr = depth, .max_sge = 2},
	        .comp_mask = IBV_SRQ_INIT_ATTR_TYPE | IBV_SRQ_INIT_ATTR_PD |
	                     IBV_SRQ_INIT_ATTR_XRCD | IBV_SRQ_INIT_ATTR_CQ,
	        .srq_type = IBV_SRQT_XRC,
	        .pd = endpoint->pd,
	        .xrcd = endpoint->xrcd,
	        .cq = cq,
	};
	int error;

	half->srq = ibv_create_srq_ex(endpoint->context, &attr);
	if (!half->srq)
		return failed("ibv_create_srq_ex", errno);
	error = ibv_get_srq_num(half->srq, &half->srqn_at_start);
	return error ? failed("ibv_get_srq_num", error) : 0;
}

int xrc_half_create(
        struct xrc_half *half, struct endpoint *endpoint, struct ibv_cq *cq, uint32_t depth)
{
	struct ibv_qp_init_attr_ex attr = {
	        .qp_type = IBV_QPT_XRC_RECV,
	        .comp_mask = IBV_QP_INIT_ATTR_XRCD,
	        .xrcd = endpoint->xrcd,
	};
	int error = srq_create(half, endpoint, cq, depth);

	if (error)
		return error;
	half->target = ibv_create_qp_ex(endpoint->context, &attr);
	if (!half->target)
		return failed("ibv_create_qp_ex of a target", errno);
	half->qpn_at_start = half->target->qp_num;
	return 0;
}

void xrc_half_destroy(struct xrc_half *half)
{
	if (half->target)
		ibv_destroy_qp(half->target);
	if (half->srq)
		ibv_destroy_srq(half->srq);
}

bool xrc_half_unchanged(const struct xrc_half *half)
{
	uint32_t number;

	return half->target->qp_num == half->qpn_at_start && !ibv_get_srq_num(half->srq, &number) &&
	       number == half->srqn_at_start;
}
