/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* An extended CQ, and a QP connected to itself that completes on it. */
#ifndef SIMFABRIC_VERBS_OBJECTS_LOOP_H
#define SIMFABRIC_VERBS_OBJECTS_LOOP_H

#include "simfabric/verbs_objects.h"

enum { LOOP_BYTES = 100 };

struct loop {
	struct ibv_cq_ex *cq;
	struct ibv_qp *qp;
};

/* A CQ of sixteen entries with these readers; to be changed as a test needs it. */
struct ibv_cq_init_attr_ex loop_wants(uint64_t wc_flags);
void loop_open(struct objects *o, struct loop *loop, struct ibv_cq_init_attr_ex attr);
void loop_close(struct loop *loop);

/* A signalled WRITE. */
void loop_post_write(struct objects *o, struct loop *loop, uint64_t wr_id);
/* The first of a batch, which the caller ends. */
void loop_start(struct ibv_cq_ex *cq);

#endif
