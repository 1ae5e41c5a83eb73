/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/verify/device.h"

#include <errno.h>
#include <string.h>

#include "demo-apps/verify/process.h"

struct ibv_context *device_open(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *context = NULL;

	for (int i = 0; list && list[i] && !context; i++)
		if (!name || !strcmp(name, ibv_get_device_name(list[i])))
			context = ibv_open_device(list[i]);
	if (list)
		ibv_free_device_list(list);
	if (!context)
		failed(name ? name : "no RDMA device", ENODEV);
	return context;
}

int port_address_ask(struct ibv_context *context, int gid_index, struct port_address *address)
{
	struct ibv_port_attr port;

	if (ibv_query_port(context, DEVICE_PORT, &port))
		return failed("ibv_query_port", errno);
	if (ibv_query_gid(context, DEVICE_PORT, gid_index, &address->gid))
		return failed("ibv_query_gid", errno);
	address->lid = port.lid;
	return 0;
}

bool port_addresses_same(const struct port_address *a, const struct port_address *b)
{
	return a->lid == b->lid && !memcmp(&a->gid, &b->gid, sizeof(a->gid));
}
