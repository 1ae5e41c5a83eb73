/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two ends of XRC: each has a sender, a target for what the other sends, and shared queues that
 * senders name.
 */
#ifndef TEST_SHIM_XRC_ENDS_H
#define TEST_SHIM_XRC_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/shim_harness.h"

enum { QUEUES = 2, BYTES = 32, LONG_BYTES = 2 * FAKE_MTU };

/* An end with a sender in end->qp, a target, and shared queues; those of odd number complete in a
 * queue of their own. */
struct xend {
	struct end *end;
	struct ibv_xrcd *domain;
	struct ibv_cq *cq;
	struct ibv_srq *srqs[QUEUES];
	uint32_t numbers[QUEUES];
	struct ibv_qp *target;
};

extern struct xrc_ends {
	struct harness h;
	struct xend vm, peer;
} xrc;

/* Both, connected to each other. */
int xrc_setup(void **state);
int xrc_teardown(void **state);
/* It completes in @cq. */
struct ibv_srq *xend_create_srq_ex(struct xend *x, struct ibv_cq *cq);
/* Into shared queue @queue. */
int xend_receive(struct xend *x, int queue, uint64_t wr_id, uint32_t offset, uint32_t length);
/* To the shared queue that is called @number. */
int xend_send(struct xend *from, uint32_t number, uint64_t wr_id, uint32_t length);
unsigned xend_execute(struct xend *from, unsigned messages, bool acknowledged);
/* One, a success. */
void expect_completion(struct ibv_cq *cq, uint64_t wr_id, uint32_t qpn);
void expect_no_completion(struct ibv_cq *cq);
/* A message to each shared queue at the other end. */
void expect_it_works(struct xend *from, struct xend *to);

#endif
