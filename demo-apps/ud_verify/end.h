/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One side: its device, its datagram QPs with their receives, and handles to the other side. One
 * per process, one thread.
 */
#ifndef UD_VERIFY_END_H
#define UD_VERIFY_END_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/ud_verify/options.h"
#include "demo-apps/verify/device.h"

enum { END_QKEY = 0x11223344, GRH_BYTES = 40 };

struct end_qp {
	struct ibv_qp *qp;
	struct ibv_qp_ex *qp_ex; /* every other QP posts with ibv_wr_* */
	uint32_t qpn;            /* as it was at the start */
	uint32_t sends_open;     /* that no completion has told of */
	uint64_t posted;
};

struct end {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_mr *mr;
	unsigned char *memory; /* receives of all QPs, then sends */
	struct end_qp qps[QPS_MAX];
	uint32_t count, receives, sends; /* receives and sends: slots of each QP */
	uint32_t slot;
	uint32_t signal_every;
	struct port_address own;
	struct ibv_ah *plain, *global; /* to the other side: without and with a GRH */
	struct ibv_ah_attr plain_attr, global_attr;
	bool is_ethernet; /* a GRH is in each datagram; else some have none */
	int gid_index;
	uint16_t pkey_index;
};

/* 0 or -errno: a message was printed. */
int end_open(struct end *end, const struct options *options);
int end_meet(struct end *end, const struct port_address *other);
void end_close(struct end *end);

int end_post_receive(struct end *end, uint32_t qp, uint32_t slot);
/* GRH and datagram. */
unsigned char *end_receive_at(const struct end *end, uint32_t qp, uint32_t slot);
/* Where the next datagram of @qp is put together; there is room while sends_open < sends. */
unsigned char *end_send_at(const struct end *end, uint32_t qp);
/* One has told of itself and those before it. */
void end_sends_completed(struct end *end, uint32_t qp);
/* No completion is to come. */
bool end_sends_are_done(const struct end *end, uint32_t qp);
/* @fresh: by a handle that is destroyed as soon as the work is posted. */
int end_send(
        struct end *end, uint32_t qp, uint32_t to_qpn, uint32_t length, bool global, bool fresh);

/* wr_id of a receive, and back. */
static inline uint64_t receive_id(uint32_t qp, uint32_t slot)
{
	return 1ULL << 63 | (uint64_t)qp << 32 | slot;
}

static inline bool id_is_receive(uint64_t wr_id)
{
	return wr_id >> 63;
}

#endif
