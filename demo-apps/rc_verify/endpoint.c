/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "demo-apps/rc_verify/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "demo-apps/rc_verify/completions.h"
#include "demo-apps/verify/process.h"

enum { RD_ATOMIC_WANTED = 8 };

static enum ibv_mtu mtu_of(uint32_t bytes)
{
	enum ibv_mtu mtu = IBV_MTU_256;

	while (mtu < IBV_MTU_4096 && 128U << mtu < bytes)
		mtu++;
	return mtu;
}

static int port_open(struct endpoint *endpoint, const struct options *options)
{
	struct ibv_port_attr port;

	if (ibv_query_port(endpoint->context, DEVICE_PORT, &port))
		return failed("ibv_query_port", errno);
	if (port.state != IBV_PORT_ACTIVE)
		return failed("the port is not active", ENETDOWN);
	endpoint->uses_grh = options->gid_index >= 0 || port.link_layer == IBV_LINK_LAYER_ETHERNET;
	endpoint->gid_index = options->gid_index >= 0 ? options->gid_index : 0;
	endpoint->mtu = mtu_of(options->work.mtu_bytes);
	if (endpoint->mtu > port.active_mtu)
		endpoint->mtu = port.active_mtu;
	return port_address_ask(endpoint->context, endpoint->gid_index, &endpoint->at_start);
}

int endpoint_create_cq(struct endpoint *endpoint, int entries, struct ibv_cq **cq)
{
	*cq = completions_create(endpoint->context, entries, endpoint->extended_cq);
	return *cq ? 0 : failed("completion queue", errno);
}

/* Of this process alone. */
static int xrcd_open(struct endpoint *endpoint)
{
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
	        .fd = -1,
	        .oflags = O_CREAT,
	};

	endpoint->xrcd = ibv_open_xrcd(endpoint->context, &attr);
	return endpoint->xrcd ? 0 : failed("ibv_open_xrcd", errno);
}

static int objects_create(struct endpoint *endpoint, const struct work_options *work)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC;

	endpoint->pd = ibv_alloc_pd(endpoint->context);
	if (!endpoint->pd)
		return failed("ibv_alloc_pd", errno);
	endpoint->counters = aligned_alloc(64, 64);
	if (!endpoint->counters)
		return failed("memory", ENOMEM);
	memset(endpoint->counters, 0, 64);
	endpoint->counters_mr = ibv_reg_mr(endpoint->pd, endpoint->counters, 64, access);
	if (!endpoint->counters_mr)
		return failed("ibv_reg_mr", errno);
	if (work->xrc && xrcd_open(endpoint))
		return -EIO;
	if (!work->shared_cq)
		return 0;
	return endpoint_create_cq(
	        endpoint, (int)(2 * work->depth * work->qps), &endpoint->shared_cq);
}

int endpoint_open(struct endpoint *endpoint, const struct options *options)
{
	int error;

	*endpoint = (struct endpoint){.extended_cq = options->extended_cq};
	endpoint->context = device_open(options->device);
	if (!endpoint->context)
		return -ENODEV;
	if (ibv_query_device(endpoint->context, &endpoint->device))
		return failed("ibv_query_device", errno);
	endpoint->rd_atomic = endpoint->device.max_qp_rd_atom < RD_ATOMIC_WANTED
	                              ? endpoint->device.max_qp_rd_atom
	                              : RD_ATOMIC_WANTED;
	error = port_open(endpoint, options);
	return error ? error : objects_create(endpoint, &options->work);
}

void endpoint_close(struct endpoint *endpoint)
{
	if (endpoint->counters_mr)
		ibv_dereg_mr(endpoint->counters_mr);
	free(endpoint->counters);
	if (endpoint->shared_cq)
		ibv_destroy_cq(endpoint->shared_cq);
	if (endpoint->xrcd)
		ibv_close_xrcd(endpoint->xrcd);
	if (endpoint->pd)
		ibv_dealloc_pd(endpoint->pd);
	if (endpoint->context)
		ibv_close_device(endpoint->context);
}
