/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Protection domains and memory regions of the fake HCA, and what keys allow. */
#ifndef TEST_SHIM_FAKE_MEMORY_H
#define TEST_SHIM_FAKE_MEMORY_H

#include <infiniband/verbs.h>
#include <stdint.h>

#include "tests/unit/shim_fake_devices.h"

void fake_memory_reset(void);
/* One of the objects that are counted has its end. */
int fake_object_free(void *object);
/* Where @key of @hca allows it; NULL: nowhere. */
uint8_t *fake_resolve(const struct hca *hca, uint32_t key, uint64_t addr, uint32_t length);

struct ibv_pd *fake_alloc_pd(struct ibv_context *context);
int fake_dealloc_pd(struct ibv_pd *pd);
struct ibv_mr *fake_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access);
struct ibv_mr *fake_reg_mr_iova2(
        struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, unsigned access);
int fake_rereg_mr(
        struct ibv_mr *shown, int flags, struct ibv_pd *pd, void *addr, size_t length, int access);
int fake_dereg_mr(struct ibv_mr *mr);

#endif
