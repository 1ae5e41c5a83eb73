/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What ends do with memory windows: bind, invalidate, and write to what the other has bound. */
#ifndef TEST_SHIM_WINDOWS_ENDS_H
#define TEST_SHIM_WINDOWS_ENDS_H

#include <stdint.h>

#include "tests/unit/shim_harness.h"

enum {
	ACCESS = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	AT = 1024,   /* where windows begin in their region */
	SIZE = 2048, /* of windows */
	MOVES = 3,
};

struct ibv_mw *window_of(struct end *end, enum ibv_mw_type type);
/* Another one, of HARNESS_BYTES. */
struct ibv_mr *region_for_windows(struct ibv_pd *pd, uint8_t *memory);
struct ibv_mw_bind_info part_of(const struct end *end);
void dealloc(struct ibv_mw *mw);
int post(struct end *end, struct ibv_send_wr *wr);
void post_bind(struct end *end, struct ibv_mw *mw, uint32_t rkey, uint64_t wr_id, unsigned flags);
void post_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id);
void post_send_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id);
/* Its acknowledgement does not: what is posted behind it is done, and not known to be. */
void message_arrives(struct end *from, struct end *to, uint64_t wr_id);
/* A window of the VM; the peer knows that it has. */
void peer_invalidates(struct harness *h, uint32_t rkey);
void vm_hears_of_it(struct harness *h, uint32_t rkey);
/* One, a success. */
void completes(struct harness *h, struct end *end, uint64_t wr_id, enum ibv_wc_opcode opcode);
/* So many, whose wr_ids count from 1. */
void complete_in_order(struct harness *h, struct end *end, unsigned count);
/* By a bind that has completed; its key. */
uint32_t bound(struct harness *h, struct end *end, struct ibv_mw *mw, uint32_t rkey);
uint32_t bound_type_1(struct harness *h, struct end *end, struct ibv_mw *mw);
/* What @from writes by @rkey to a window of @to: its status. */
enum ibv_wc_status writes(struct harness *h, struct end *from, const struct end *to, uint32_t rkey);
/* The peer, to a window of the VM. */
void must_let_in(struct harness *h, uint32_t rkey);
void must_not_let_in(struct harness *h, uint32_t rkey);
/* Connected as the old ones, which took with them what was bound of type 2. */
void make_new_queue_pairs(struct harness *h);
/* The VM has stopped, and goes on where it is. */
void abort_behind_the_vote(struct harness *h);

#endif
