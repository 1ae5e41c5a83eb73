/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What is asked of the fake librdmacm with ids: those are made, led to connections and destroyed
 * here. Its devices are in shim_fake_cm_devices.c, channels and events in shim_fake_cm_events.c.
 */
#include "tests/unit/shim_fake_rdmacm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/real_rdmacm.h"
#include "tests/unit/shim_fake_cm_parts.h"

struct fake_rdmacm fake_rdmacm;
struct fake_cm_ids fake_cm_ids = TAILQ_HEAD_INITIALIZER(fake_cm_ids);

void fake_rdmacm_reset(void)
{
	assert_true(TAILQ_EMPTY(&fake_cm_ids));
	fake_cm_devices_reset();
	fake_rdmacm = (struct fake_rdmacm){0};
}

static struct fake_cm_id *id_of(struct rdma_cm_id *shown)
{
	struct fake_cm_id *id = (struct fake_cm_id *)shown;

	fake_rdmacm.called = shown;
	return id;
}

/* What a command is answered that names @id at the channel which it is said to be at. */
static int command(struct fake_cm_id *id)
{
	if (id->shown.channel != id->kernel)
		errno = EINVAL;
	else if (id->is_gone)
		errno = ENXIO;
	else
		return 0;
	return -1;
}

/* ---- ids ---- */

struct fake_cm_id *fake_cm_id_make(struct rdma_event_channel *channel, void *context)
{
	struct fake_cm_id *id = calloc(1, sizeof(*id));

	id->is_sync = !channel;
	id->shown.channel = id->kernel = channel ? channel : fake_cm_create_channel();
	id->shown.context = context;
	id->shown.ps = RDMA_PS_TCP;
	id->shown.qp_type = IBV_QPT_RC;
	TAILQ_INSERT_TAIL(&fake_cm_ids, id, link);
	fake_rdmacm.ids++;
	return id;
}

static int create_id(struct rdma_event_channel *channel, struct rdma_cm_id **shown, void *context,
        enum rdma_port_space ps)
{
	struct fake_cm_id *id = fake_cm_id_make(channel, context);

	id->shown.ps = ps;
	id->shown.qp_type = ps == RDMA_PS_UDP ? IBV_QPT_UD : IBV_QPT_RC;
	*shown = &id->shown;
	return 0;
}

static int destroy_id(struct rdma_cm_id *shown)
{
	struct fake_cm_id *id = id_of(shown);

	if (shown->channel != id->kernel) {
		errno = EINVAL;
		return -1;
	}
	if (shown->event)
		rdma_ack_cm_event(shown->event);
	if (id->completed != id->reported)
		fail_msg("it would wait: %u of %u events", id->completed, id->reported);
	fake_cm_events_drop(id);
	TAILQ_REMOVE(&fake_cm_ids, id, link);
	fake_rdmacm.ids--;
	if (id->device)
		fake_cm_device_put(id->device);
	if (id->is_sync)
		rdma_destroy_event_channel(shown->channel);
	free(id);
	return 0;
}

static void destroy_ep(struct rdma_cm_id *shown)
{
	rdma_destroy_id(shown);
}

static int migrate_id(struct rdma_cm_id *shown, struct rdma_event_channel *channel)
{
	struct fake_cm_id *id = id_of(shown);
	bool is_sync = !channel;

	if (fake_rdmacm.migrates_nothing)
		return errno = EIO, -1;
	if (command(id))
		return -1;
	if (id->completed != id->reported)
		fail_msg("it would wait: %u of %u events", id->completed, id->reported);
	if (is_sync)
		channel = fake_cm_create_channel();
	fake_cm_events_move(id, channel);
	id->kernel = channel;
	if (id->is_sync)
		rdma_destroy_event_channel(shown->channel);
	shown->channel = channel;
	id->is_sync = is_sync;
	return 0;
}

static int bind_addr(struct rdma_cm_id *shown, struct sockaddr *addr)
{
	struct fake_cm_id *id = id_of(shown);

	if (command(id))
		return -1;
	if (fake_rdmacm.has_no_addresses)
		return errno = EADDRNOTAVAIL, -1;
	memcpy(&shown->route.addr.src_addr, addr, sizeof(struct sockaddr_in));
	if (((struct sockaddr_in *)addr)->sin_addr.s_addr == htonl(INADDR_ANY))
		return 0;
	return fake_cm_attach(id, addr);
}

/* ---- what leads to a connection ---- */

static int resolve_addr(
        struct rdma_cm_id *shown, struct sockaddr *from, struct sockaddr *to, int ms)
{
	struct fake_cm_id *id = id_of(shown);
	bool is_self = ((struct sockaddr_in *)to)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);

	if (command(id))
		return -1;
	if (fake_rdmacm.rings_nothing)
		return errno = ENETUNREACH, -1;
	memcpy(&shown->route.addr.dst_addr, to, sizeof(struct sockaddr_in));
	if (!is_self && fake_cm_attach(id, from))
		return -1;
	fake_rdmacm_tell(shown, is_self ? RDMA_CM_EVENT_ADDR_ERROR : RDMA_CM_EVENT_ADDR_RESOLVED);
	return 0;
}

static int resolve_route(struct rdma_cm_id *shown, int ms)
{
	return command(id_of(shown));
}

static int connect_id(struct rdma_cm_id *shown, struct rdma_conn_param *param)
{
	return command(id_of(shown));
}

static int establish(struct rdma_cm_id *shown)
{
	return command(id_of(shown));
}

static int reject(struct rdma_cm_id *shown, const void *data, uint8_t length)
{
	return command(id_of(shown));
}

static int notify(struct rdma_cm_id *shown, enum ibv_event_type event)
{
	return command(id_of(shown));
}

static int listen_id(struct rdma_cm_id *shown, int backlog)
{
	struct fake_cm_id *id = id_of(shown);

	if (command(id))
		return -1;
	id->listens = true;
	fake_rdmacm.listens++;
	return 0;
}

static int disconnect(struct rdma_cm_id *shown)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	if (shown->qp)
		ibv_modify_qp(shown->qp, &attr, IBV_QP_STATE);
	if (command(id_of(shown)))
		return -1;
	fake_rdmacm.disconnects++;
	return 0;
}

static int join(struct rdma_cm_id *shown, struct sockaddr *addr, void *context)
{
	return command(id_of(shown));
}

static int join_ex(struct rdma_cm_id *shown, struct rdma_cm_join_mc_attr_ex *attr, void *context)
{
	return command(id_of(shown));
}

static int leave(struct rdma_cm_id *shown, struct sockaddr *addr)
{
	return command(id_of(shown));
}

/* Its calls wait; bound as a listener is. */
static int create_ep(struct rdma_cm_id **shown, struct rdma_addrinfo *res, struct ibv_pd *pd,
        struct ibv_qp_init_attr *attr)
{
	create_id(NULL, shown, NULL, RDMA_PS_TCP);
	return bind_addr(*shown, res->ai_src_addr);
}

/* As the kernel knows the device: @pkey_index and GID where that has them. */
static int init_qp_attr(struct rdma_cm_id *shown, struct ibv_qp_attr *attr, int *mask)
{
	if (command(id_of(shown)))
		return -1;
	attr->port_num = 1;
	attr->pkey_index = 1;
	attr->ah_attr =
	        (struct ibv_ah_attr){.is_global = 1, .port_num = 1, .grh = {.sgid_index = 1}};
	*mask = IBV_QP_STATE | IBV_QP_PORT | IBV_QP_PKEY_INDEX | IBV_QP_AV;
	return 0;
}

const struct real_rdmacm *real_rdmacm(void)
{
	static const struct real_rdmacm functions = {
	        .rdma_create_event_channel = fake_cm_create_channel,
	        .rdma_destroy_event_channel = fake_cm_destroy_channel,
	        .rdma_create_id = create_id,
	        .rdma_destroy_id = destroy_id,
	        .rdma_create_ep = create_ep,
	        .rdma_destroy_ep = destroy_ep,
	        .rdma_bind_addr = bind_addr,
	        .rdma_resolve_addr = resolve_addr,
	        .rdma_resolve_route = resolve_route,
	        .rdma_connect = connect_id,
	        .rdma_listen = listen_id,
	        .rdma_accept = connect_id,
	        .rdma_reject = reject,
	        .rdma_disconnect = disconnect,
	        .rdma_get_cm_event = fake_cm_get_event,
	        .rdma_ack_cm_event = fake_cm_ack_event,
	        .rdma_notify = notify,
	        .rdma_join_multicast = join,
	        .rdma_leave_multicast = leave,
	        .rdma_get_devices = fake_cm_get_devices,
	        .rdma_migrate_id = migrate_id,
	        .rdma_join_multicast_ex = join_ex,
	        .rdma_establish = establish,
	        .rdma_init_qp_attr = init_qp_attr,
	        .rdma_reject_ece = reject,
	};

	return &functions;
}
