/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Verbs of the fake HCA on a device that may have been taken away (fake.gone): as of a provider
 * whose kernel has parted it from its context, destroying fails, too, and is not to be tried twice.
 */
#ifndef TEST_SHIM_FAKE_LOSS_H
#define TEST_SHIM_FAKE_LOSS_H

#include <infiniband/verbs.h>
#include <stdbool.h>

bool fake_is_gone(const struct ibv_context *context);

/* Where a test says that it refuses work then, too. */
int lost_refuses(const struct ibv_context *context);

/* The first of what is open fails with @status, the rest is flushed. */
void fake_fail(struct ibv_qp *real_qp, enum ibv_wc_status status);

/* Its RECVs are flushed before that is told of which they are. */
void fake_flush_receives_first(struct ibv_qp *real_qp);

/* Its transport has: the first of what is open fails with RETRY_EXC_ERR, the rest is flushed. */
void fake_give_up(struct ibv_qp *real_qp);

int lost_destroy_qp(struct ibv_qp *qp);
int lost_destroy_cq(struct ibv_cq *cq);
int lost_destroy_srq(struct ibv_srq *srq);
int lost_destroy_ah(struct ibv_ah *ah);
int lost_destroy_comp_channel(struct ibv_comp_channel *channel);
int lost_dereg_mr(struct ibv_mr *mr);
int lost_dealloc_pd(struct ibv_pd *pd);
int lost_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask);
int lost_query_qp(
        struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask, struct ibv_qp_init_attr *init);

#endif
