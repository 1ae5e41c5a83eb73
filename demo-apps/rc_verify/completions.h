/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Completion queues, asked by ibv_poll_cq or step by step through ibv_cq_ex. One thread. */
#ifndef RC_VERIFY_COMPLETIONS_H
#define RC_VERIFY_COMPLETIONS_H

#include <infiniband/verbs.h>
#include <stdbool.h>

/* NULL with errno. */
struct ibv_cq *completions_create(struct ibv_context *context, int entries, bool extended);
/* As ibv_poll_cq. */
int completions_take(struct ibv_cq *cq, int count, struct ibv_wc *wc, bool extended);

#endif
