/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory windows of the fake HCA. What binds and invalidates them is done as soon as it is its
 * turn, without being told to; its completion waits for those of the work before it.
 */
#ifndef TEST_SHIM_FAKE_WINDOWS_H
#define TEST_SHIM_FAKE_WINDOWS_H

#include "tests/unit/shim_fake_queue_pairs.h"

void fake_windows_reset(void);

struct ibv_mw *fake_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type);
int fake_dealloc_mw(struct ibv_mw *mw);
int fake_bind_mw(struct ibv_qp *qp, struct ibv_mw *mw, struct ibv_mw_bind *bind);

/* More than providers take: it is refused where it is posted. */
bool fake_refuses(const struct ibv_send_wr *wr);
bool fake_is_local(const struct fake_send *send);
/* All local work that is next. */
void fake_do_local(struct fake_qp *qp);
/* Where a peer's @key leads at @qp; NULL: nowhere. */
uint8_t *fake_window_resolve(
        const struct fake_qp *qp, uint32_t key, uint64_t addr, uint32_t length);
/* A peer's SEND names it, or LOCAL_INV. False: it is not bound by @qp. */
bool fake_window_invalidate(const struct fake_qp *qp, uint32_t key);
/* What is bound to a region, or through a queue pair, is so no more. */
void fake_windows_forget(const struct ibv_mr *mr, const struct fake_qp *qp);

#endif
