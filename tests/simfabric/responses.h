/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The answers that a responder owes, in the order of the requests, until there is room on the wire:
 * acknowledgements collapse, data of READs is read when it is sent. Called by responder.c;
 * responder_send is here.
 */
#ifndef SIMFABRIC_RESPONSES_H
#define SIMFABRIC_RESPONSES_H

#include "simfabric/queue_pair_engine.h"

/* For one more answer beside a NAK. */
bool responses_have_room(const struct responder *responder);
void responses_owe_ack(struct queue_pair *qp, uint32_t psn);
void responses_owe_nak(struct queue_pair *qp, uint8_t syndrome);
void responses_owe_read(struct queue_pair *qp, const struct packet *packet, bool is_repeat);
void responses_owe_atomic(struct queue_pair *qp, const struct saved_request *saved, bool is_repeat);
/* READs and atomics that are not answered yet, repeats apart. */
uint32_t responses_reads_owed(struct responder *responder);
/* An answer from @psn on is owed anyhow: the request was repeated on the wire or too early. */
bool responses_are_owed(struct queue_pair *qp, uint32_t psn);

/*
 * Where a peer's bytes lie: an rkey is good in @pd, or if a window of type 2 has it for this queue
 * pair. NULL: it does not allow that.
 */
uint8_t *responder_resolve(const struct queue_pair *qp, const void *pd, uint32_t rkey,
        uint64_t address, uint64_t length, unsigned access);

#endif
