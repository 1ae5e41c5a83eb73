/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_ethernet.h"

#include <endian.h>
#include <string.h>

#include "simfabric/topology.h"

enum {
	ROWS = 2,
	NOBODYS_LID = LFT_CAPACITY - 1,
	NETWORK = 10, /* 10.0.0.0/8 */
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t link_local_prefix[8] = {0xfe, 0x80};

bool hca_ethernet_gid(uint64_t port_guid, unsigned row, union ibv_gid *gid)
{
	__be64 guid = htobe64(port_guid);

	if (!port_guid || row >= ROWS)
		return false;
	if (!row) {
		memcpy(gid->raw, link_local_prefix, sizeof(link_local_prefix));
		gid->global.interface_id = guid;
		return true;
	}
	memcpy(gid->raw, mapped_prefix, sizeof(mapped_prefix));
	gid->raw[12] = NETWORK;
	memcpy(gid->raw + 13, (const uint8_t *)&guid + 5, 3);
	return true;
}

static bool has_gid(uint64_t port_guid, const union ibv_gid *gid)
{
	union ibv_gid own;

	for (unsigned row = 0; hca_ethernet_gid(port_guid, row, &own); row++) {
		if (!memcmp(&own, gid, sizeof(own)))
			return true;
	}
	return false;
}

bool hca_ethernet_resolve(const struct hca *hca, struct ibv_ah_attr *attr)
{
	const struct fabric *fabric = hca->fabric;

	if (!attr->is_global)
		return false;
	attr->dlid = NOBODYS_LID;
	for (uint32_t i = 0; i < port_count(fabric); i++) {
		const struct port *port = &fabric->ports[i];

		if (!node_is_switch(&fabric->nodes[port->node]) && port_lid(port) &&
		        has_gid(port->guid, &attr->grh.dgid))
			attr->dlid = port_lid(port);
	}
	return true;
}
