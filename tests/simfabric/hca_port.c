/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/hca_port.h"

#include <endian.h>
#include <string.h>

#include "simfabric/hca_ethernet.h"

bool hca_gid(const struct hca *hca, unsigned index, union ibv_gid *gid)
{
	uint64_t guid = place_port_guid(hca->fabric, &hca->place);

	if (hca->is_ethernet)
		return index < HCA_GIDS &&
		       hca_ethernet_gid(
		               guid, (index + HCA_GIDS - hca->table_shift) % HCA_GIDS, gid);
	if (index != hca->table_shift % HCA_GIDS || !guid)
		return false;
	gid->global.subnet_prefix = htobe64(port_gid_prefix(hca->port));
	gid->global.interface_id = htobe64(guid);
	return true;
}

int hca_gid_index(const struct hca *hca, const union ibv_gid *gid)
{
	union ibv_gid row;

	for (unsigned i = 0; i < HCA_GIDS; i++) {
		if (hca_gid(hca, i, &row) && !memcmp(&row, gid, sizeof(row)))
			return (int)i;
	}
	return -1;
}

uint16_t hca_pkey(const struct hca *hca, unsigned index)
{
	if (index >= HCA_PKEYS)
		return 0;
	return port_pkey(hca->port, (index + HCA_PKEYS - hca->table_shift) % HCA_PKEYS);
}

enum port_state hca_port_state(const struct hca *hca)
{
	return place_port_guid(hca->fabric, &hca->place) ? port_state(hca->port) : PORT_DOWN;
}

uint32_t hca_mtu(const struct hca *hca)
{
	return 128u << port_mtu(hca->port);
}

uint16_t hca_path_bits(const struct hca *hca)
{
	return (uint16_t)((1u << port_lmc(hca->port)) - 1);
}
