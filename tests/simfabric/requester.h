/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The requesting half of a queue pair: sends what is posted, matches the answers, retries. Called
 * by queue_pair_engine.c only.
 */
#ifndef SIMFABRIC_REQUESTER_H
#define SIMFABRIC_REQUESTER_H

#include "simfabric/queue_pair_engine.h"

enum sent { SENT, NOTHING_TO_SEND, NO_ROOM };

enum sent requester_send(struct queue_pair *qp);
/* @packet is a response from the peer. */
void requester_receive(struct queue_pair *qp, const struct packet *packet);
void requester_expire(struct queue_pair *qp);
/*
 * Local work that is next is done, once, and completed when all before it is. False: there is none,
 * or it must wait, or it has failed.
 */
bool requester_pass_local_work(struct queue_pair *qp);
/* Complete everything that is not completed with IBV_WC_WR_FLUSH_ERR. */
void requester_flush(struct queue_pair *qp);

/* ---- for transports without acknowledgements (datagram.c, unreliable.c) ---- */

/* @work begins: its packets get the next PSNs. */
void requester_number_packets(struct queue_pair *qp, struct send_work *work);
/* The packet of next_psn is out; nothing will be heard of it. @last: so is its message. */
void requester_sent_for_good(struct queue_pair *qp, bool last);
/* The request at the cursor fails locally: the send queue stands still (SQE), receives go on. */
void requester_fail_sends(struct queue_pair *qp, enum ibv_wc_status status);

/* From RTR to RTS: the first packet gets @psn. */
void requester_start(struct queue_pair *qp, uint32_t psn);
/* All that was started is completed. */
bool requester_is_drained(const struct queue_pair *qp);

#endif
