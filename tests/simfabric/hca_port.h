/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a device sees of its port: GID and P_Key tables by index, MTU, LIDs. Live from the shared
 * file, without a lock.
 */
#ifndef SIMFABRIC_HCA_PORT_H
#define SIMFABRIC_HCA_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "simfabric/hca.h"

enum {
	HCA_GIDS = 4,
	HCA_PKEYS = PKEY_TABLE_SIZE,
};

/* False: nothing stands there. */
bool hca_gid(const struct hca *hca, unsigned index, union ibv_gid *gid);
/* -1: not in the table. */
int hca_gid_index(const struct hca *hca, const union ibv_gid *gid);
/* Host order; 0: none. */
uint16_t hca_pkey(const struct hca *hca, unsigned index);
/* A function without a GUID is down, as with mlx4. */
enum port_state hca_port_state(const struct hca *hca);
uint32_t hca_mtu(const struct hca *hca);
/* The bits of a LID that select a path to this port (LMC). */
uint16_t hca_path_bits(const struct hca *hca);

#endif
