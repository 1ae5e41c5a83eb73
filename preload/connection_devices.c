/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/connection_devices.h"

#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "preload/connection_manager.h"
#include "preload/control.h"

static pthread_mutex_t uses_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the list ---- */

static struct device_place *place_of(struct device *device, __be64 guid, int index)
{
	struct device_place *place;

	TAILQ_FOREACH(place, &device->places, link)
	{
		if (place->guid == guid && place->index == index)
			return place;
	}
	place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->shown = device->shown;
	place->guid = guid;
	place->index = index;
	TAILQ_INSERT_TAIL(&device->places, place, link);
	return place;
}

/* The first place is the device as the program knows it. */
struct ibv_device *connection_device_shown(struct device *device)
{
	struct device_place *place;
	__be64 guid;
	int index;

	if (!device->real)
		return &device->shown;
	guid = below.ibv_get_device_guid(device->real);
	index = below.ibv_get_device_index(device->real);
	if (!device->has_index && guid == device->guid) {
		device->has_index = true;
		device->index = index;
	}
	if (device->has_index && guid == device->guid && index == device->index)
		return &device->shown;
	place = place_of(device, guid, index);
	return place ? &place->shown : &device->shown;
}

/* ---- what is opened ---- */

struct context *connection_context_again(struct device *device)
{
	struct context *context;

	if (!connection_depth)
		return NULL;
	LOCK_GUARD(&uses_lock);
	context = device->of_connections;
	if (context)
		context->connection_uses++;
	return context;
}

void connection_context_uses(struct context *context)
{
	if (!connection_depth)
		return;
	LOCK_GUARD(&uses_lock);
	context->connection_uses = 1;
	context->device->of_connections = context;
}

bool connection_context_parts(struct context *context)
{
	LOCK_GUARD(&uses_lock);
	if (!context->connection_uses || --context->connection_uses)
		return context->connection_uses;
	context->device->of_connections = NULL;
	return false;
}

struct protection_domain *connection_domain_again(struct context *context)
{
	struct protection_domain *pd = NULL;

	if (!connection_depth)
		return NULL;
	LOCK_GUARD(&uses_lock);
	if (context->connection_uses)
		pd = context->of_connections;
	if (pd)
		pd->connection_uses++;
	return pd;
}

void connection_domain_uses(struct context *context, struct protection_domain *pd)
{
	if (!connection_depth)
		return;
	LOCK_GUARD(&uses_lock);
	if (!context->connection_uses)
		return;
	pd->connection_uses = 1;
	context->of_connections = pd;
}

bool connection_domain_parts(struct context *context, struct protection_domain *pd)
{
	LOCK_GUARD(&uses_lock);
	if (!pd->connection_uses || --pd->connection_uses)
		return pd->connection_uses;
	context->of_connections = NULL;
	return false;
}

void connection_devices_forget(void)
{
	pthread_mutex_init(&uses_lock, NULL);
}

/* ---- what librdmacm tells of them ---- */

WRAPPER struct ibv_context **rdma_get_devices(int *count)
{
	struct ibv_context **list;

	control_await_devices();
	connection_depth++;
	list = rdmacm.rdma_get_devices(count);
	connection_depth--;
	return list;
}

/* The kernel names GIDs and P_Keys by where the device has them. */
static void show(struct context *context, struct ibv_qp_attr *attr, int mask)
{
	const struct port_tables *tables;

	control_enter(context, NEEDS_NOTHING);
	if (mask & IBV_QP_AV && port_tables_shown(context, attr->ah_attr.port_num)) {
		port_tables_map_gids(context);
		port_tables_show_source(context, &attr->ah_attr);
	}
	tables = mask & IBV_QP_PORT ? port_tables_shown(context, attr->port_num) : NULL;
	if (tables && mask & IBV_QP_PKEY_INDEX)
		attr->pkey_index = port_tables_pkey_to_shown(tables, attr->pkey_index);
	control_leave();
}

WRAPPER int rdma_init_qp_attr(struct rdma_cm_id *id, struct ibv_qp_attr *attr, int *mask)
{
	struct cm_id *cm = cm_call_begin(id);
	int err = rdmacm.rdma_init_qp_attr(id, attr, mask);
	struct context *context = err || !id->verbs ? NULL : context_of(id->verbs);

	cm_call_end(cm);
	if (context)
		show(context, attr, *mask);
	return err;
}
