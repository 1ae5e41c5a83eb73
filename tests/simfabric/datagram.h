/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The transport of UD queue pairs (IBA 9.8.3): one packet a message, addressed by each request, not
 * acknowledged. What does not fit is dropped without a word at the receiver. Called by
 * queue_pair_engine.c only.
 */
#ifndef SIMFABRIC_DATAGRAM_H
#define SIMFABRIC_DATAGRAM_H

#include "simfabric/requester.h"

enum {
	/* In front of each message a receive buffer has room for a GRH, whether one comes or not.
	 */
	DATAGRAM_GRH_ROOM = 40,
	MULTICAST_LID = 0xc000, /* the first */
	/* A Q_Key of which this bit is set in a request stands for the queue pair's own (IBA
	 * 10.2.5). */
	CONTROLLED_QKEY = 1u << 31,
};

enum sent datagram_send(struct queue_pair *qp);
void datagram_receive(struct queue_pair *qp, const struct packet *packet);

#endif
