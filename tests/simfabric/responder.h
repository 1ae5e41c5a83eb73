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

/* ---- for all transports that have receives ---- */

/* A packet has come: the first one tells that the connection stands. */
void responder_hear(struct queue_pair *qp);
/* As long as its place in the message demands. */
bool responder_payload_fits(const struct queue_pair *qp, const struct packet *packet);
/* An enum packet_syndrome, not yet answered. */
uint8_t responder_execute_write(struct queue_pair *qp, const struct packet *packet);

/* Take the next buffer; false: there is none. */
bool responder_take_receive(struct queue_pair *qp);
/* The completion of the buffer taken, as @packet (NULL: none) tells. */
void responder_describe_receive(struct queue_pair *qp, const struct packet *packet,
        enum ibv_wc_status status, struct completion *completion);
/* False: the completion queue is full. */
bool responder_finish_receive(struct queue_pair *qp, const struct completion *completion);

#endif
