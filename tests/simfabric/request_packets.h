/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a work request looks like on the wire, packet by packet: the part of the sending half that
 * all transports share. Nothing here changes the queue pair.
 */
#ifndef SIMFABRIC_REQUEST_PACKETS_H
#define SIMFABRIC_REQUEST_PACKETS_H

#include "simfabric/queue_pair_engine.h"

/* The enum packet_trait of its packets; 0: local work. */
uint16_t work_is(const struct send_work *work);
enum ibv_wc_opcode work_completes_as(const struct send_work *work);

/* Answered with data, so an acknowledgement alone does not complete it. */
static inline bool wants_answer(const struct send_work *work)
{
	return work_is(work) & (IS_READ | IS_ATOMIC);
}

/* The packet of next_psn, which is one of @work's. False: its memory is not there. */
bool request_write(struct queue_pair *qp, const struct send_work *work, struct packet *packet);
/* The packet's payload, of the length that it says. False as above. */
bool request_copy_payload(struct queue_pair *qp, const struct send_work *work, uint64_t offset,
        struct packet *packet);

#endif
