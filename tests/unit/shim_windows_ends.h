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
struct ibv_mw_bind_info part_of(const struct end *end);
void dealloc(struct ibv_mw *mw);
int post(struct end *end, struct ibv_send_wr *wr);
void post_bind(struct end *end, struct ibv_mw *mw, uint32_t rkey, uint64_t wr_id, unsigned flags);
void post_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id);
void post_send_invalidate(struct end *end, uint32_t rkey, uint64_t wr_id);
/* One, a success. */
void completes(struct harness *h, struct end *end, uint64_t wr_id, enum ibv_wc_opcode opcode);
/* By a bind that has completed; its key. */
uint32_t bound(struct harness *h, struct end *end, struct ibv_mw *mw, uint32_t rkey);
uint32_t bound_type_1(struct harness *h, struct end *end, struct ibv_mw *mw);
/* What @from writes by @rkey to a window of @to: its status. */
enum ibv_wc_status writes(struct harness *h, struct end *from, const struct end *to, uint32_t rkey);
/* The peer, to a window of the VM. */
void must_let_in(struct harness *h, uint32_t rkey);
void must_not_let_in(struct harness *h, uint32_t rkey);
/* The VM has stopped, and goes on where it is. */
void abort_behind_the_vote(struct harness *h);

#endif
