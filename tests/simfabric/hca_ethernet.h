/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A device on Ethernet (RoCE v2), as its application sees it: no LID, a GID of its MAC and one of
 * an IPv4 address, each address with a GRH. The fabric below carries LIDs all the same; what a GID
 * leads to is looked up when a queue pair goes to RTR or an address handle is made, as a MAC is
 * then. Under the process's lock.
 */
#ifndef SIMFABRIC_HCA_ETHERNET_H
#define SIMFABRIC_HCA_ETHERNET_H

#include <stdbool.h>
#include <stdint.h>
#include <infiniband/verbs.h>

#include "simfabric/hca.h"

/* Of a port with that GUID; @row 0: link-local, 1: IPv4-mapped. */
bool hca_ethernet_gid(uint64_t port_guid, unsigned row, union ibv_gid *gid);
/* In place: where it leads to. One that nobody has leads nowhere. False: it has no GRH. */
bool hca_ethernet_resolve(const struct hca *hca, struct ibv_ah_attr *attr);

#endif
