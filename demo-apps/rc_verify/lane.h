/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * One QP with its memory, what it has sent and what it has received. The memory has the same layout
 * on both sides, so that one base address and one rkey say everything. Owned by the run; one
 * thread.
 */
#ifndef RC_VERIFY_LANE_H
#define RC_VERIFY_LANE_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "demo-apps/rc_verify/endpoint.h"
#include "demo-apps/rc_verify/receive_book.h"
#include "demo-apps/rc_verify/send_queue.h"
#include "demo-apps/verify/sequence_check.h"
#include "demo-apps/rc_verify/slot_ring.h"
#include "demo-apps/rc_verify/workload.h"
#include "demo-apps/rc_verify/xrc_half.h"

enum {
	LANE_GAP = 16, /* between the pieces of a gathered message: contiguous ones would hide a
	                  wrong SGE */
	LANE_PATTERN = 16384,
};

/* Offsets in a lane's memory. */
struct lane_layout {
	size_t send;     /* depth buffers of send_slot bytes */
	size_t receive;  /* depth buffers of send_slot bytes */
	size_t with_imm; /* window slots for WRITE_WITH_IMM */
	size_t written;  /* window slots for WRITE */
	size_t progress; /* struct lane_progress: what the other side READs */
	size_t pattern;
	size_t total;
	uint32_t send_slot, slot, window;
};

struct lane_progress {
	uint64_t messages, writes; /* progress_encode */
};

/* The other end, as it said at the start. */
struct lane_peer {
	uint16_t lid;
	union ibv_gid gid;
	uint32_t qpn, psn, rkey, counters_rkey;
	uint64_t memory, counters;
};

struct lane {
	uint32_t index;
	struct ibv_qp *qp;
	struct ibv_qp_ex *qp_ex; /* NULL: post with ibv_post_send */
	struct ibv_srq *srq;     /* NULL: the QP's own receives */
	struct xrc_half xrc;
	struct ibv_cq *cq;
	bool owns_cq;
	struct ibv_mr *mr;
	unsigned char *memory;
	struct lane_layout layout;
	uint32_t qpn_at_start, psn, inline_max;
	struct lane_peer peer;

	struct workload workload;
	struct work next; /* drawn, and waiting for room at the receiver */
	bool has_next;
	struct send_queue queue;
	uint64_t messages_sent, writes_sent;
	uint64_t messages_taken, writes_released; /* by the receiver, as last READ */
	uint32_t message_window;                  /* so many more may be under way */
	bool is_asking;                           /* a READ of the progress is under way */

	struct sequence_check messages;
	struct slot_ring writes;
	struct receive_book receives;
	uint64_t receives_done; /* where they complete in order */
	uint64_t late_until_us; /* 0: receives are posted at once */
};

int lane_create(struct lane *lane, uint32_t index, struct endpoint *endpoint,
        const struct options *options);
void lane_destroy(struct lane *lane);
/* @ack_timeout as in ibv_modify_qp(3): 4.096 us * 2^@ack_timeout. */
int lane_connect(struct lane *lane, struct endpoint *endpoint, uint8_t ack_timeout);

/* "lane INDEX ..." for the other side, and its reading. */
void lane_describe(
        const struct lane *lane, const struct endpoint *endpoint, char *line, size_t size);
int lane_peer_read(struct lane *lane, const char *line);

/* The QP's number, its partner and its path as the application may expect them for ever. */
bool lane_unchanged(struct lane *lane);

/* Which completions of receives name. */
static inline uint32_t lane_receiving_qpn(const struct lane *lane)
{
	return lane->xrc.target ? lane->xrc.qpn_at_start : lane->qpn_at_start;
}

static inline struct lane_progress *lane_progress(struct lane *lane)
{
	return (struct lane_progress *)(lane->memory + lane->layout.progress);
}

#endif
