/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/remote_place.h"

#include <errno.h>

#include "notifier/wire/gid_name.h"

static bool leads_over_ethernet(const struct context *context, const struct ibv_ah_attr *address)
{
	unsigned port = address->port_num ? address->port_num : 1;

	return port <= PORTS_MAX && port_is_ethernet(&context->ports[port - 1]);
}

struct remote remote_at(
        const struct context *context, const struct ibv_ah_attr *address, uint32_t qpn)
{
	uint32_t lid = leads_over_ethernet(context, address) ? gid_name(address->grh.dgid.raw)
	                                                     : address->dlid;

	return (struct remote){
	        .lid = lid,
	        .gid = address->grh.dgid,
	        .by_gid = address->is_global,
	        .qpn = qpn,
	        .real_qpn = qpn,
	        .real_lid = lid,
	        .real_gid = address->grh.dgid,
	};
}

int remote_goes_to(struct remote *remote, uint32_t real_lid, const Tether__GidRows *gids)
{
	bool by_name = is_gid_name(remote->lid);

	if (by_name != is_gid_name(real_lid) ||
	        (by_name && !gid_rows_find(gids, real_lid, remote->real_gid.raw))) {
		remote->unreachable = EHOSTUNREACH;
		return -EHOSTUNREACH;
	}
	remote->real_lid = real_lid;
	remote->unreachable = 0;
	return 0;
}

void remote_address(const struct remote *remote, struct ibv_ah_attr *address)
{
	if (!is_gid_name(remote->real_lid))
		address->dlid = (uint16_t)remote->real_lid;
	address->grh.dgid = remote->real_gid;
}
