/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The answering half of a queue pair: executes requests in PSN order, each once, and owes answers
 * that it sends when there is room. Called by queue_pair_engine.c only.
 */
#ifndef SIMFABRIC_RESPONDER_H
#define SIMFABRIC_RESPONDER_H

#include "simfabric/requester.h"

enum sent responder_send(struct queue_pair *qp);
/* @packet is a request from the peer. */
void responder_receive(struct queue_pair *qp, const struct packet *packet);
void responder_flush(struct queue_pair *qp);
/* From INIT to RTR: the first packet expected is @psn. */
void responder_start(struct queue_pair *qp, uint32_t psn);

#endif
