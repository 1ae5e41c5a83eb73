/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the fake HCA has besides, for programs that use what is not moved: enhanced connection
 * options, multicast, imported devices. They are there to be asked for; nothing comes of them.
 */
#ifndef TEST_SHIM_FAKE_RARITIES_H
#define TEST_SHIM_FAKE_RARITIES_H

#include <infiniband/verbs.h>

/* The last buffer that the device was advised of. */
extern struct ibv_sge fake_advised;
int fake_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags,
        struct ibv_sge *sges, uint32_t count);
int fake_set_ece(struct ibv_qp *qp, struct ibv_ece *ece);
/* Groups that the real queue pair hears. It cannot be destroyed before it has left them. */
unsigned fake_groups(const struct ibv_qp *real_qp);
int fake_attach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid);
int fake_detach_mcast(struct ibv_qp *qp, const union ibv_gid *gid, uint16_t lid);
struct ibv_context *fake_import_device(int fd);
int fake_query_device_ex(struct ibv_context *context, const struct ibv_query_device_ex_input *input,
        struct ibv_device_attr_ex *attr, size_t size);

#endif
