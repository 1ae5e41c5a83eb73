/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * From a queue pair into the ring of the process that has its peer: the way is looked up in the
 * switches' tables for each packet as they stand then, and the data faults do their work. Under the
 * HCA's lock; one packet at a time between reserve and send or discard.
 */
#ifndef SIMFABRIC_HCA_WIRE_H
#define SIMFABRIC_HCA_WIRE_H

#include "simfabric/hca.h"

struct packet *hca_wire_reserve(struct queue_pair *qp, uint16_t dlid, uint32_t dest_qpn);
void hca_wire_send(struct queue_pair *qp, struct packet *packet);
void hca_wire_discard(struct queue_pair *qp, struct packet *packet);
bool hca_wire_is_under_way(struct queue_pair *qp);

/* Send the delayed packets that are due. */
void hca_wire_turn(uint64_t now_ns);
/* When the next one is due; UINT64_MAX: there is none. */
uint64_t hca_wire_next_due_ns(void);
/* Forget delayed packets, as the child of a fork and as the HCA's last context. */
void hca_wire_clear(void);
/* How long the completion of a receive stays hidden. */
uint64_t hca_wire_hold_ns(const struct hca *hca, bool is_receive);

#endif
