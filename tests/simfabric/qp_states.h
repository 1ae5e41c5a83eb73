/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which state a queue pair may go to from which, and the attributes that this needs and allows
 * (IBA 11.2.5.2, table 91; the kernel's ib_modify_qp_is_ok agrees). Pure tables.
 */
#ifndef SIMFABRIC_QP_STATES_H
#define SIMFABRIC_QP_STATES_H

#include <stdbool.h>
#include <infiniband/verbs.h>

/* @mask: enum ibv_qp_attr_mask. */
bool qp_states_allow(enum ibv_qp_type type, enum ibv_qp_state from, enum ibv_qp_state to, int mask);

#endif
