/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/xrc.h"

static void use(struct queue_pair *qp, const struct xrc_srq *srq)
{
	struct responder *responder = &qp->responder;

	responder->queue = srq ? srq->queue : NULL;
	responder->completions = srq ? srq->completions : NULL;
	responder->pd = srq ? srq->pd : NULL;
}

void xrc_use_srq_of_message(struct queue_pair *qp)
{
	if (qp->type == IBV_QPT_XRC_RECV)
		use(qp, qp->host->find_srq(qp, qp->responder.srqn));
}

void xrc_use_srq_of_packet(struct queue_pair *qp, const struct packet *packet)
{
	if (qp->type == IBV_QPT_XRC_RECV)
		use(qp, qp->host->find_srq(qp, packet->srqn));
}
