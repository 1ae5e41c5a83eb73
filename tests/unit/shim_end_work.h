/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What an end posts, polls and has executed. */
#ifndef TEST_SHIM_END_WORK_H
#define TEST_SHIM_END_WORK_H

#include "tests/unit/shim_ends.h"

/* The real queue pair behind one of ours. */
struct ibv_qp *real_of(struct ibv_qp *shown);

int harness_poll(struct harness *h, struct end *end);
/* One completion, a success. */
void harness_expect_one(struct harness *h, struct end *end, uint64_t wr_id);
/* So much of what it has posted is executed, and acknowledged or not: fake_execute. */
unsigned end_run(struct end *from, unsigned messages);
unsigned end_run_unacknowledged(struct end *from, unsigned messages);
/* What it has posted and nobody has executed. */
unsigned end_pending(const struct end *from);
/* wr_id counts; @length bytes at @offset of both memories. 0 or an errno. */
int end_send(struct end *from, uint64_t wr_id, uint32_t offset, uint32_t length, unsigned flags);
int end_rdma(struct end *from, const struct end *to, enum ibv_wr_opcode opcode, uint64_t wr_id,
        uint32_t offset, uint32_t length, unsigned flags);
int end_fetch_add_flagged(struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset,
        uint64_t add, unsigned flags);
int end_fetch_add(
        struct end *from, const struct end *to, uint64_t wr_id, uint32_t offset, uint64_t add);
/* A few bytes that the VM writes to its peer. */
int harness_write(struct harness *h, uint64_t wr_id);
int end_receive(struct end *end, uint64_t wr_id, uint32_t offset, uint32_t length);

#endif
