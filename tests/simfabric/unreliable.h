/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The transport of UC queue pairs (IBA 9.8.2): connected, in order, not acknowledged. A message of
 * which a packet is lost is gone; the next one is heard again. Called by queue_pair_engine.c only.
 */
#ifndef SIMFABRIC_UNRELIABLE_H
#define SIMFABRIC_UNRELIABLE_H

#include "simfabric/requester.h"

enum sent unreliable_send(struct queue_pair *qp);
void unreliable_receive(struct queue_pair *qp, const struct packet *packet);

#endif
