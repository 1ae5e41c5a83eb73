/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Completion queues of the fake HCA, and completions that are late. */
#ifndef TEST_SHIM_FAKE_COMPLETIONS_H
#define TEST_SHIM_FAKE_COMPLETIONS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

void fake_completions_reset(void);
/* What fake.inside wants called. */
void fake_inside(void);
/* Push it, or keep it back: a completion that is late. */
void fake_push_late(struct ibv_cq *cq, const struct ibv_wc *wc, bool solicited, bool keep);
/* Of a queue pair that has been reset. */
void fake_purge(struct ibv_cq *shown, uint32_t qp_num);

struct ibv_cq *fake_create_cq(struct ibv_context *context, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int vector);
int fake_resize_cq(struct ibv_cq *cq, int cqe);
int fake_destroy_cq(struct ibv_cq *cq);
int fake_poll_cq(struct ibv_cq *shown, int count, struct ibv_wc *wc);
struct fake_stamp;
/* One of a queue whose completions are read with their stamps. */
bool fake_take_stamped(struct ibv_cq *cq, struct ibv_wc *wc, struct fake_stamp *stamp);
/* Only noted: fake.delays_events does what it says. */
int fake_modify_cq(struct ibv_cq *cq, struct ibv_modify_cq_attr *attr);
struct ibv_moderate_cq fake_moderation(const struct ibv_cq *real_cq);
int fake_req_notify_cq(struct ibv_cq *shown, int solicited_only);

#endif
