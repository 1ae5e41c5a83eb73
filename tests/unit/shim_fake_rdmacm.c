/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_rdmacm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "preload/real_rdmacm.h"
#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_hca.h"

struct device {
	struct ibv_device *shown;
	struct ibv_context *verbs;
	struct ibv_pd *pd;
	__be64 guid;
	int index;
	bool is_dead;
	unsigned users;
	TAILQ_ENTRY(device) link;
};

struct id {
	struct rdma_cm_id shown;
	struct rdma_event_channel *kernel; /* where its kernel has it */
	bool is_sync, is_gone, listens;
	struct device *device;
	unsigned reported, completed;
	TAILQ_ENTRY(id) link;
};

struct event {
	struct rdma_cm_event shown;
	struct id *of; /* whose reports it counts among */
	TAILQ_ENTRY(event) link;
};

struct fake_rdmacm fake_rdmacm;
static TAILQ_HEAD(, id) ids = TAILQ_HEAD_INITIALIZER(ids);
static TAILQ_HEAD(, event) pending = TAILQ_HEAD_INITIALIZER(pending);
static TAILQ_HEAD(, device) devices = TAILQ_HEAD_INITIALIZER(devices);

void fake_rdmacm_reset(void)
{
	struct device *device;

	assert_true(TAILQ_EMPTY(&ids));
	while ((device = TAILQ_FIRST(&devices))) {
		TAILQ_REMOVE(&devices, device, link);
		if (device->verbs)
			ibv_close_device(device->verbs);
		free(device);
	}
	fake_rdmacm = (struct fake_rdmacm){0};
}

static struct id *id_of(struct rdma_cm_id *shown)
{
	struct id *id = (struct id *)shown;

	fake_rdmacm.called = shown;
	return id;
}

/* What a command is answered that names @id at the channel which it is said to be at. */
static int command(struct id *id)
{
	if (id->shown.channel != id->kernel)
		errno = EINVAL;
	else if (id->is_gone)
		errno = ENXIO;
	else
		return 0;
	return -1;
}

/* ---- channels ---- */

static struct rdma_event_channel *create_event_channel(void)
{
	struct rdma_event_channel *channel = malloc(sizeof(*channel));

	channel->fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
	fake_rdmacm.channels++;
	return channel;
}

static void destroy_event_channel(struct rdma_event_channel *channel)
{
	const struct id *id;

	TAILQ_FOREACH(id, &ids, link)
	assert_ptr_not_equal(id->kernel, channel);
	close(channel->fd);
	free(channel);
	fake_rdmacm.channels--;
}

static void signal_one(const struct rdma_event_channel *channel)
{
	assert_int_equal(eventfd_write(channel->fd, 1), 0);
}

static void take_one(const struct rdma_event_channel *channel)
{
	eventfd_t one;

	assert_int_equal(eventfd_read(channel->fd, &one), 0);
}

bool fake_rdmacm_is_readable(const struct rdma_event_channel *channel)
{
	struct pollfd fd = {.fd = channel->fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

/* ---- ids ---- */

static struct id *id_make(struct rdma_event_channel *channel, void *context)
{
	struct id *id = calloc(1, sizeof(*id));

	id->is_sync = !channel;
	id->shown.channel = id->kernel = channel ? channel : create_event_channel();
	id->shown.context = context;
	id->shown.ps = RDMA_PS_TCP;
	id->shown.qp_type = IBV_QPT_RC;
	TAILQ_INSERT_TAIL(&ids, id, link);
	fake_rdmacm.ids++;
	return id;
}

static int create_id(struct rdma_event_channel *channel, struct rdma_cm_id **shown, void *context,
        enum rdma_port_space ps)
{
	struct id *id = id_make(channel, context);

	id->shown.ps = ps;
	id->shown.qp_type = ps == RDMA_PS_UDP ? IBV_QPT_UD : IBV_QPT_RC;
	*shown = &id->shown;
	return 0;
}

static void events_drop(const struct id *id)
{
	struct event *event, *next;

	for (event = TAILQ_FIRST(&pending); event; event = next) {
		next = TAILQ_NEXT(event, link);
		if (event->of != id)
			continue;
		TAILQ_REMOVE(&pending, event, link);
		take_one(id->kernel);
		free(event);
	}
}

static void device_put(struct device *device)
{
	if (--device->users)
		return;
	assert_int_equal(ibv_dealloc_pd(device->pd), 0);
	device->pd = NULL;
	if (!device->is_dead)
		return;
	ibv_close_device(device->verbs);
	TAILQ_REMOVE(&devices, device, link);
	free(device);
}

static int destroy_id(struct rdma_cm_id *shown)
{
	struct id *id = id_of(shown);

	if (shown->channel != id->kernel) {
		errno = EINVAL;
		return -1;
	}
	if (shown->event)
		rdma_ack_cm_event(shown->event);
	if (id->completed != id->reported)
		fail_msg("it would wait: %u of %u events", id->completed, id->reported);
	events_drop(id);
	TAILQ_REMOVE(&ids, id, link);
	fake_rdmacm.ids--;
	if (id->device)
		device_put(id->device);
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
	struct id *id = id_of(shown);
	struct event *event;
	bool is_sync = !channel;

	if (fake_rdmacm.migrates_nothing)
		return errno = EIO, -1;
	if (command(id))
		return -1;
	if (id->completed != id->reported)
		fail_msg("it would wait: %u of %u events", id->completed, id->reported);
	if (is_sync)
		channel = create_event_channel();
	TAILQ_FOREACH(event, &pending, link)
	{
		if (event->of != id)
			continue;
		take_one(id->kernel);
		signal_one(channel);
	}
	id->kernel = channel;
	if (id->is_sync)
		rdma_destroy_event_channel(shown->channel);
	shown->channel = channel;
	id->is_sync = is_sync;
	return 0;
}

/* ---- devices: by the GUID and the index that the kernel names ---- */

static struct device *find(__be64 guid, int index)
{
	struct device *device;

	TAILQ_FOREACH(device, &devices, link)
	{
		if (!device->is_dead && device->guid == guid && device->index == index)
			return device;
	}
	return NULL;
}

static bool is_in(struct ibv_device **list, const struct ibv_device *device)
{
	while (*list && *list != device)
		list++;
	return *list;
}

static void look_up(void)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct device *device;
	bool known;

	TAILQ_FOREACH(device, &devices, link)
	device->is_dead |= !is_in(list, device->shown);
	for (struct ibv_device **d = list; *d; d++) {
		known = false;
		TAILQ_FOREACH(device, &devices, link)
		known |= device->shown == *d && !device->is_dead;
		if (known)
			continue;
		device = calloc(1, sizeof(*device));
		device->shown = *d;
		device->guid = ibv_get_device_guid(*d);
		device->index = ibv_get_device_index(*d);
		TAILQ_INSERT_TAIL(&devices, device, link);
	}
	ibv_free_device_list(list);
}

/* The real one behind the VM's place, or the peer's. */
static struct ibv_device *kernel_device(bool of_peer, struct ibv_device **list)
{
	for (; *list; list++) {
		if (!strcmp((*list)->name, "fakepeer") == of_peer)
			return *list;
	}
	return NULL;
}

static int attach(struct id *id, bool to_peer)
{
	struct ibv_device **list = real_verbs()->ibv_get_device_list(NULL);
	struct ibv_device *real = kernel_device(to_peer, list);
	__be64 guid = real ? real_verbs()->ibv_get_device_guid(real) : 0;
	int index = real ? real_verbs()->ibv_get_device_index(real) : -1;

	real_verbs()->ibv_free_device_list(list);
	if (!real)
		return errno = ENODEV, -1;
	if (id->device)
		return 0;
	if (!find(guid, index))
		look_up();
	id->device = find(guid, index);
	if (!id->device)
		return errno = ENODEV, -1;
	id->device->users++;
	if (!id->device->verbs)
		id->device->verbs = ibv_open_device(id->device->shown);
	if (!id->device->pd)
		id->device->pd = ibv_alloc_pd(id->device->verbs);
	assert_non_null(id->device->pd);
	id->shown.verbs = id->device->verbs;
	id->shown.pd = id->device->pd;
	id->shown.port_num = 1;
	return 0;
}

/* 10.0.0.2 is the peer's, all others are the VM's. */
static bool is_peers(const struct sockaddr *addr)
{
	return addr && ((const struct sockaddr_in *)addr)->sin_addr.s_addr == htonl(0x0a000002);
}

static int bind_addr(struct rdma_cm_id *shown, struct sockaddr *addr)
{
	struct id *id = id_of(shown);

	if (command(id))
		return -1;
	if (fake_rdmacm.has_no_addresses)
		return errno = EADDRNOTAVAIL, -1;
	memcpy(&shown->route.addr.src_addr, addr, sizeof(struct sockaddr_in));
	if (((struct sockaddr_in *)addr)->sin_addr.s_addr == htonl(INADDR_ANY))
		return 0;
	return attach(id, is_peers(addr));
}

/* ---- events ---- */

static void raise_event(struct id *of, struct rdma_cm_event shown)
{
	struct event *event = calloc(1, sizeof(*event));

	event->shown = shown;
	event->of = of;
	TAILQ_INSERT_TAIL(&pending, event, link);
	signal_one(of->kernel);
}

void fake_rdmacm_tell(struct rdma_cm_id *shown, enum rdma_cm_event_type what)
{
	raise_event((struct id *)shown, (struct rdma_cm_event){.id = shown, .event = what});
}

bool fake_rdmacm_ask(uint16_t port)
{
	struct id *id;

	TAILQ_FOREACH(id, &ids, link)
	{
		if (!id->listens || id->is_gone ||
		        id->shown.route.addr.src_sin.sin_port != htons(port))
			continue;
		raise_event(id, (struct rdma_cm_event){.listen_id = &id->shown,
		                        .event = RDMA_CM_EVENT_CONNECT_REQUEST});
		return true;
	}
	return false;
}

void fake_rdmacm_remove(const struct ibv_context *verbs)
{
	struct id *id;

	TAILQ_FOREACH(id, &ids, link)
	{
		if (id->is_gone || id->shown.verbs != verbs)
			continue;
		fake_rdmacm_tell(&id->shown, RDMA_CM_EVENT_DEVICE_REMOVAL);
		id->is_gone = true;
	}
}

bool fake_rdmacm_is_gone(const struct rdma_cm_id *id)
{
	return ((const struct id *)id)->is_gone;
}

/* The id of who asks; of a listener whose calls wait it has a channel of its own. */
static void request_come(struct event *event)
{
	struct id *listener = event->of;
	struct id *id = id_make(listener->kernel, listener->shown.context);

	event->shown.id = &id->shown;
	assert_int_equal(attach(id, is_peers(&listener->shown.route.addr.src_addr)), 0);
	if (listener->is_sync)
		assert_int_equal(rdma_migrate_id(&id->shown, NULL), 0);
}

static int get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **shown)
{
	struct event *event;

	TAILQ_FOREACH(event, &pending, link)
	{
		if (event->of->kernel != channel)
			continue;
		TAILQ_REMOVE(&pending, event, link);
		take_one(channel);
		event->of->reported++;
		if (event->shown.event == RDMA_CM_EVENT_CONNECT_REQUEST)
			request_come(event);
		*shown = &event->shown;
		return 0;
	}
	return errno = EAGAIN, -1;
}

static int ack_cm_event(struct rdma_cm_event *shown)
{
	struct event *event = (struct event *)shown;

	event->of->completed++;
	free(event);
	return 0;
}

/* ---- what leads to a connection ---- */

static int resolve_addr(
        struct rdma_cm_id *shown, struct sockaddr *from, struct sockaddr *to, int ms)
{
	struct id *id = id_of(shown);
	bool is_self = ((struct sockaddr_in *)to)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);

	if (command(id))
		return -1;
	if (fake_rdmacm.rings_nothing)
		return errno = ENETUNREACH, -1;
	memcpy(&shown->route.addr.dst_addr, to, sizeof(struct sockaddr_in));
	if (!is_self && attach(id, is_peers(from)))
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
	struct id *id = id_of(shown);

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

static struct ibv_context **get_devices(int *count)
{
	struct ibv_context **list;
	struct device *device;
	int n = 0;

	look_up();
	TAILQ_FOREACH(device, &devices, link)
	n++;
	list = calloc((size_t)n + 1, sizeof(*list));
	n = 0;
	TAILQ_FOREACH(device, &devices, link)
	{
		if (device->is_dead)
			continue;
		if (!device->verbs)
			device->verbs = ibv_open_device(device->shown);
		list[n++] = device->verbs;
	}
	*count = n;
	return list;
}

const struct real_rdmacm *real_rdmacm(void)
{
	static const struct real_rdmacm functions = {
	        .rdma_create_event_channel = create_event_channel,
	        .rdma_destroy_event_channel = destroy_event_channel,
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
	        .rdma_get_cm_event = get_cm_event,
	        .rdma_ack_cm_event = ack_cm_event,
	        .rdma_notify = notify,
	        .rdma_join_multicast = join,
	        .rdma_leave_multicast = leave,
	        .rdma_get_devices = get_devices,
	        .rdma_migrate_id = migrate_id,
	        .rdma_join_multicast_ex = join_ex,
	        .rdma_establish = establish,
	        .rdma_init_qp_attr = init_qp_attr,
	        .rdma_reject_ece = reject,
	};

	return &functions;
}
