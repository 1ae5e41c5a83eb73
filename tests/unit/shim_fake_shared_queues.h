/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Shared receive queues of the fake HCA, those of XRC too, and XRC domains. */
#ifndef TEST_SHIM_FAKE_SHARED_QUEUES_H
#define TEST_SHIM_FAKE_SHARED_QUEUES_H

#include <infiniband/verbs.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tests/unit/shim_fake_queue_pairs.h"

struct fake_srq {
	struct ibv_srq srq;
	struct fake_receive_queue queue;
	uint32_t limit; /* 0: not armed */
	/* Of XRC: */
	struct ibv_xrcd *xrcd;
	struct ibv_cq *cq;
	uint32_t number;
	TAILQ_ENTRY(fake_srq) link;
};

TAILQ_HEAD(fake_srqs, fake_srq);
extern struct fake_srqs fake_srqs;

/* Its event, if fewer receives are left than its limit. */
void fake_check_limit(struct fake_srq *srq);

struct ibv_srq *fake_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attr);
struct ibv_srq *fake_create_srq_ex(struct ibv_context *context, struct ibv_srq_init_attr_ex *attr);
int fake_modify_srq(struct ibv_srq *shown, struct ibv_srq_attr *attr, int mask);
int fake_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr);
int fake_get_srq_num(struct ibv_srq *srq, uint32_t *number);
int fake_destroy_srq(struct ibv_srq *srq);
int fake_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
struct ibv_xrcd *fake_open_xrcd(struct ibv_context *context, struct ibv_xrcd_init_attr *attr);
int fake_close_xrcd(struct ibv_xrcd *xrcd);

#endif
