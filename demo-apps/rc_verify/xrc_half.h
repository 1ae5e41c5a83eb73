/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * With XRC the lane's QP only sends; what the other side sends arrives through this half: a target
 * QP, and the shared receive queue that the other side names. One per lane, one thread.
 */
#ifndef RC_VERIFY_XRC_HALF_H
#define RC_VERIFY_XRC_HALF_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/rc_verify/endpoint.h"

struct xrc_half {
	struct ibv_qp *target; /* NULL: not XRC, nothing else here counts */
	struct ibv_srq *srq;
	uint32_t qpn_at_start, srqn_at_start;
	uint32_t peer_qpn, peer_srqn; /* the other side's */
};

/* A message was printed where this fails. */
int xrc_half_create(
        struct xrc_half *half, struct endpoint *endpoint, struct ibv_cq *cq, uint32_t depth);
void xrc_half_destroy(struct xrc_half *half);
/* Its numbers are what they were. */
bool xrc_half_unchanged(const struct xrc_half *half);

#endif
