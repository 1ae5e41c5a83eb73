/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Devices and contexts. */
#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "simfabric/hca_multicast.h"
#include "simfabric/hca_port.h"
#include "simfabric/process.h"
#include "simfabric/verbs_face.h"

#undef ibv_get_device_list

enum {
	/* Direct-verbs libraries read past the public part to see whose device it is. */
	FOREIGN_BYTES = 1024,
	COMPLETION_VECTORS = 2,
};

struct face_device {
	struct ibv_device device;
	char foreign[FOREIGN_BYTES];
	struct face_device *next;
};

/* Devices are never freed: a context's device pointer stays good. */
static struct {
	pthread_mutex_t lock;
	struct face_device *devices;
	struct face_context *contexts;
} face = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct face_device *make_device(const char *name)
{
	struct face_device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->device.node_type = IBV_NODE_CA;
	device->device.transport_type = IBV_TRANSPORT_IB;
	snprintf(device->device.name, sizeof(device->device.name), "%s", name);
	snprintf(device->device.dev_name, sizeof(device->device.dev_name), FACE_DEV_NAME);
	snprintf(device->device.dev_path, sizeof(device->device.dev_path),
	        "/sys/class/infiniband_verbs/" FACE_DEV_NAME);
	snprintf(device->device.ibdev_path, sizeof(device->device.ibdev_path),
	        "/sys/class/infiniband/%s", name);
	device->next = face.devices;
	face.devices = device;
	return device;
}

static struct face_device *find_device(const char *name)
{
	struct face_device *device;

	pthread_mutex_lock(&face.lock);
	for (device = face.devices; device; device = device->next) {
		if (!strcmp(device->device.name, name))
			break;
	}
	if (!device)
		device = make_device(name);
	pthread_mutex_unlock(&face.lock);
	return device;
}

ENTRY struct ibv_device **ibv_get_device_list(int *num_devices)
{
	struct ibv_device **list = calloc(ATTACH_PLACES_MAX + 1, sizeof(*list));
	struct hca_place places[ATTACH_PLACES_MAX];
	struct fabric *fabric;
	unsigned count = 0;
	int used = 0;

	if (num_devices)
		*num_devices = 0;
	if (!list) {
		errno = ENOMEM;
		return NULL;
	}
	if (!process_fabric(&fabric))
		count = attach_places(fabric, places);
	for (unsigned i = 0; i < count; i++) {
		struct face_device *device = find_device(places[i].device_name);

		if (device)
			list[used++] = &device->device;
	}
	if (num_devices)
		*num_devices = used;
	return list;
}

ENTRY void ibv_free_device_list(struct ibv_device **list)
{
	free(list);
}

ENTRY const char *ibv_get_device_name(struct ibv_device *device)
{
	return device->name;
}

ENTRY int ibv_get_device_index(struct ibv_device *device)
{
	return -1;
}

ENTRY __be64 ibv_get_device_guid(struct ibv_device *device)
{
	struct hca_place place;
	struct fabric *fabric;

	if (process_fabric(&fabric) || attach_named(fabric, device->name, &place))
		return 0;
	return htobe64(place_node_guid(fabric, &place));
}

/* ---- contexts ---- */

int face_lock(struct ibv_context *context)
{
	struct face_context *c = face_context(context);

	if (c->epoch != hca_epoch())
		return EIO;
	hca_lock();
	if (!c->hca->is_gone)
		return 0;
	hca_unlock();
	return EIO;
}

bool face_lock_anyhow(struct ibv_context *context)
{
	if (face_context(context)->epoch != hca_epoch())
		return false;
	hca_lock();
	return true;
}

void face_object_add(struct face_context *context, struct face_object *object,
        void (*leave_hca)(struct face_object *object))
{
	object->leave_hca = leave_hca;
	object->next = context->objects;
	object->link = &context->objects;
	if (object->next)
		object->next->link = &object->next;
	context->objects = object;
}

void face_object_remove(struct face_object *object)
{
	*object->link = object->next;
	if (object->next)
		object->next->link = object->link;
}

static void device_gone(struct hca *hca)
{
	struct ibv_async_event event = {.event_type = IBV_EVENT_DEVICE_FATAL};

	if (!hca->faults->loss_is_fatal)
		event = (struct ibv_async_event){
		        .element.port_num = 1, .event_type = IBV_EVENT_GID_CHANGE};
	for (struct face_context *c = face.contexts; c; c = c->next) {
		if (c->hca == hca)
			face_raise(c, &event);
	}
}

static void port_event(struct hca *hca, enum port_event what)
{
	static const enum ibv_event_type types[PORT_EVENT_COUNT] = {
	        [PORT_EVENT_ACTIVE] = IBV_EVENT_PORT_ACTIVE,
	        [PORT_EVENT_ERROR] = IBV_EVENT_PORT_ERR,
	        [PORT_EVENT_LID_CHANGE] = IBV_EVENT_LID_CHANGE,
	        [PORT_EVENT_PKEY_CHANGE] = IBV_EVENT_PKEY_CHANGE,
	        [PORT_EVENT_SM_CHANGE] = IBV_EVENT_SM_CHANGE,
	        [PORT_EVENT_CLIENT_REREGISTER] = IBV_EVENT_CLIENT_REREGISTER,
	        [PORT_EVENT_GID_CHANGE] = IBV_EVENT_GID_CHANGE,
	};
	struct ibv_async_event event = {.element.port_num = 1, .event_type = types[what]};

	for (struct face_context *c = face.contexts; c; c = c->next) {
		if (c->hca == hca)
			face_raise(c, &event);
	}
}

/* What stands in /dev/infiniband: who holds the device can be seen by it. -1: there is none. */
static int node_open(void)
{
	const char *folder = getenv("SIMFABRIC_DEVICES");
	char path[PATH_MAX];

	if (!folder)
		return -1;
	snprintf(path, sizeof(path), "%s/uverbs0", folder);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static struct face_context *make_context(struct ibv_device *device, struct hca *hca)
{
	struct face_context *context = calloc(1, sizeof(*context));
	struct ibv_context *public;

	if (!context)
		return NULL;
	public = &context->verbs.context;
	public->async_fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	if (public->async_fd < 0) {
		free(context);
		return NULL;
	}
	public->device = device;
	public->cmd_fd = node_open();
	public->num_comp_vectors = COMPLETION_VECTORS;
	public->abi_compat = __VERBS_ABI_IS_EXTENDED;
	pthread_mutex_init(&public->mutex, NULL);
	context->verbs.sz = sizeof(context->verbs);
	face_fill_operations(&context->verbs);
	context->hca = hca;
	context->epoch = hca_epoch();
	context->events_end = &context->events;
	return context;
}

ENTRY struct ibv_context *ibv_open_device(struct ibv_device *device)
{
	struct face_context *context;
	struct hca *hca;
	/* It may have been listed before the VF was exchanged for another one. */
	int err = hca_open(device->name, &hca);

	if (err) {
		errno = -err;
		return NULL;
	}
	context = make_context(device, hca);
	if (!context) {
		hca_close(hca);
		return NULL;
	}
	hca_lock();
	hca->gone = device_gone;
	hca->port_event = port_event;
	context->next = face.contexts;
	face.contexts = context;
	hca_unlock();
	return &context->verbs.context;
}

static void leave_list(struct face_context *context)
{
	struct face_context **at = &face.contexts;

	while (*at && *at != context)
		at = &(*at)->next;
	if (*at)
		*at = context->next;
}

/* What the application has not destroyed is destroyed as the kernel does it: without its structs.
 */
ENTRY int ibv_close_device(struct ibv_context *public)
{
	struct face_context *context = face_context(public);

	if (face_lock_anyhow(public)) {
		while (context->objects) {
			struct face_object *object = context->objects;

			face_object_remove(object);
			object->leave_hca(object);
		}
		face_unraise(context, NULL);
		leave_list(context);
		hca_unlock();
		hca_close(context->hca);
	}
	close(public->async_fd);
	if (public->cmd_fd >= 0)
		close(public->cmd_fd);
	free(context);
	return 0;
}

/* ---- attributes ---- */

/*
 * A ConnectX virtual function's part, unless the topology names another: perftest uses ibv_wr_*
 * only on parts that it knows.
 */
enum { VENDOR_MELLANOX = 0x02c9, PART_ID_CONNECTX_VF = 4126 };

/* One that does not keep its PSNs is of nobody of whom more is known. */
static uint32_t vendor_of(const struct hca *hca)
{
	const struct node *node = &hca->fabric->nodes[hca->port->node];

	if (!hca->faults->live_rq_psn)
		return 0;
	return node->vendor_id ? node->vendor_id : VENDOR_MELLANOX;
}

static void fill_device_attr(const struct hca *hca, struct ibv_device_attr *attr)
{
	const struct node *node = &hca->fabric->nodes[hca->port->node];

	*attr = (struct ibv_device_attr){
	        .fw_ver = "1.0.0",
	        .node_guid = htobe64(place_node_guid(hca->fabric, &hca->place)),
	        .sys_image_guid = htobe64(node->system_guid),
	        .max_mr_size = UINT64_MAX,
	        .page_size_cap = 0xfffff000,
	        .vendor_id = vendor_of(hca),
	        .vendor_part_id = node->device_id ? node->device_id : PART_ID_CONNECTX_VF,
	        .max_qp = (int)slot_max_qp(hca->fabric, hca->place.slot, HCA_MAX_QP),
	        .max_qp_wr = HCA_MAX_WR,
	        .device_cap_flags = HCA_CAPABILITIES,
	        .max_sge = HCA_MAX_SGE,
	        .max_sge_rd = HCA_MAX_SGE,
	        .max_cq = 1 << 16,
	        .max_cqe = HCA_MAX_CQE,
	        .max_mr = HCA_MAX_MR,
	        .max_mw = HCA_MAX_MR,
	        .max_pd = 1 << 16,
	        .max_qp_rd_atom = QUEUE_PAIR_MAX_READS,
	        .max_res_rd_atom = QUEUE_PAIR_MAX_READS * (1 << 14),
	        .max_qp_init_rd_atom = QUEUE_PAIR_MAX_READS,
	        .atomic_cap = IBV_ATOMIC_HCA,
	        .max_ah = 1 << 16,
	        .max_mcast_grp = HCA_MAX_GROUPS,
	        .max_mcast_qp_attach = HCA_MAX_QPS_OF_GROUP,
	        .max_total_mcast_qp_attach = HCA_MAX_GROUPS,
	        .max_srq = 1 << 14,
	        .max_srq_wr = HCA_MAX_WR,
	        .max_srq_sge = HCA_MAX_SGE,
	        .max_pkeys = HCA_PKEYS,
	        .local_ca_ack_delay = 15,
	        .phys_port_cnt = 1,
	};
}

ENTRY int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	int err = face_lock(context);

	if (err)
		return err;
	fill_device_attr(face_context(context)->hca, attr);
	hca_unlock();
	return 0;
}

int face_query_device_ex(struct ibv_context *context, const struct ibv_query_device_ex_input *input,
        struct ibv_device_attr_ex *attr, size_t attr_size)
{
	/* No paging on demand, Ethernet, work queues, tag matching, device memory or PCI atomics:
	 * 0. */
	const struct hca_clock *clock = &face_context(context)->hca->clock;
	struct ibv_device_attr_ex full = {.completion_timestamp_mask = clock->mask,
	        .hca_core_clock = clock->khz,
	        .device_cap_flags_ex = HCA_CAPABILITIES,
	        .cq_mod_caps = {.max_cq_count = HCA_MAX_MODERATION,
	                .max_cq_period = HCA_MAX_MODERATION},
	        .phys_port_cnt_ex = 1};
	int err;

	if ((input && input->comp_mask) ||
	        attr_size < sizeof(attr->orig_attr) + sizeof(attr->comp_mask))
		return EINVAL;
	err = ibv_query_device(context, &full.orig_attr);
	if (err)
		return err;
	memset(attr, 0, attr_size);
	memcpy(attr, &full, attr_size < sizeof(full) ? attr_size : sizeof(full));
	return 0;
}
