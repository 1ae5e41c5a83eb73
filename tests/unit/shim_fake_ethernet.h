/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The fake HCA with Ethernet ports (RoCE): no LID, and three GIDs, which are those of the slot it
 * is in: link-local for RoCE v1 and v2, and one that maps an IPv4 address. Where they stand differs
 * from slot to slot.
 */
#ifndef TEST_SHIM_FAKE_ETHERNET_H
#define TEST_SHIM_FAKE_ETHERNET_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/shim_fake_devices.h"

enum { FAKE_ETHERNET_GIDS = 3, FAKE_GRH_BYTES = 40 };

union ibv_gid fake_link_local_gid(unsigned host);
union ibv_gid fake_ipv4_gid(unsigned host);

/* False: nothing stands there. */
bool fake_ethernet_gid(const struct hca *hca, unsigned index, struct ibv_gid_entry *entry);
/* Who has that GID among those that are there; NULL: nobody. */
struct hca *fake_ethernet_at(const union ibv_gid *gid);
/* Of a datagram that goes by that handle: as a device puts it before what it carries. */
void fake_ethernet_header(const struct hca *from, const struct ibv_ah_attr *to, uint32_t length,
        uint8_t header[FAKE_GRH_BYTES]);

#endif
