/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A QP that sends to another in this process, for tests of what their completions and events tell.
 */
#ifndef SIMFABRIC_VERBS_OBJECTS_ENDS_H
#define SIMFABRIC_VERBS_OBJECTS_ENDS_H

#include "simfabric/verbs_objects.h"

enum { ENDS_BYTES = 100 /* of a message, and of a receive */ };

/* Their completions are on CQs of their own, both CQs on the channel. */
struct ends {
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_srq *srq; /* of the receiver, if asked for */
	struct ibv_qp *sender, *receiver;
};

void ends_open(struct objects *o, struct ends *ends, bool with_srq);
void ends_close(struct ends *ends);

/* One to the receiver, or to its SRQ; wr_id is 100. */
void ends_post_receive(struct ends *ends, struct ibv_sge sge);
void ends_post_receives(struct objects *o, struct ends *ends, int count);
/* wr_id is 1. */
void ends_post(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode, unsigned flags);
void ends_post_with_key(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode,
        unsigned flags, uint32_t rkey);
/* Send, and both ends have seen it through. */
void ends_exchange(struct objects *o, struct ends *ends, enum ibv_wr_opcode opcode, unsigned flags);

#endif
