/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* ibv_cq_ex: completions read one at a time. Any thread. */
#ifndef TETHER_DATA_PATH_CQ_EX_H
#define TETHER_DATA_PATH_CQ_EX_H

#include <infiniband/verbs.h>

/* For verbs_context. NULL with errno; EOPNOTSUPP for what cannot be promised after a move. */
struct ibv_cq_ex *data_path_cq_ex_create(
        struct ibv_context *context, struct ibv_cq_init_attr_ex *attr);

#endif
