/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The extended reliable connected transport (IBA annex A14): the target of a connection has no
 * receive queue; each request names the SRQ that it is for, by its number in the target's domain.
 * The SRQ brings receives, completion queue and the protection domain that keys are checked in.
 * Part of the responder, under the HCA's lock.
 */
#ifndef SIMFABRIC_XRC_H
#define SIMFABRIC_XRC_H

#include "simfabric/queue_pair_engine.h"

struct xrc_srq {
	uint32_t number;
	const void *domain; /* NULL: an ordinary SRQ, which no packet can name */
	const void *pd;
	struct receive_queue *queue;
	struct completion_queue *completions;
};

/*
 * Let the responder of an XRC target go on with the SRQ that @packet names, or with that of the
 * message which is half received. It has neither queue nor completions nor PD if there is none.
 * Looked up each time, since an SRQ may be destroyed at any moment. Other queue pairs: nothing.
 */
void xrc_use_srq_of_packet(struct queue_pair *qp, const struct packet *packet);
void xrc_use_srq_of_message(struct queue_pair *qp);

#endif
