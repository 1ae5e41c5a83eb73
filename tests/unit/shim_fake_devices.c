/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_devices.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_fake_clocks.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_events.h"
#include "tests/unit/shim_fake_hca.h"
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_fake_queue_pairs.h"
#include "tests/unit/shim_fake_rarities.h"
#include "tests/unit/shim_fake_shared_queues.h"
#include "tests/unit/shim_fake_tables.h"
#include "tests/unit/shim_fake_windows.h"

enum { SLOTS = 4 };

struct fake_context {
	struct verbs_context verbs;
	struct hca *hca;
};

static struct hca slots[SLOTS], peer;

struct hca *fake_hca_of(const struct ibv_context *context)
{
	return ((struct fake_context *)((char *)verbs_get_ctx((struct ibv_context *)context) -
	                                offsetof(struct fake_context, verbs)))
	        ->hca;
}

static void hca_init(struct hca *hca, const char *name, uint16_t lid, uint64_t guid, uint32_t base)
{
	*hca = (struct hca){.lid = lid, .guid = guid, .next_number = base};
	strcpy(hca->device.name, name);
	strcpy(hca->device.dev_name, name);
	hca->device.node_type = IBV_NODE_CA;
	hca->device.transport_type = IBV_TRANSPORT_IB;
}

void fake_devices_reset(void)
{
	char name[] = "fake0";

	for (int i = 0; i < SLOTS; i++, name[4]++)
		hca_init(&slots[i], name, FAKE_LID_VM, 0x1111, 0x1000 * (uint32_t)(i + 1));
	for (int i = 0; i < SLOTS; i++) {
		slots[i].host = (uint8_t)(i + 1);
		slots[i].is_vm = true;
	}
	hca_init(&peer, "fakepeer", FAKE_LID_PEER, 0x2222, 0x1040);
	peer.host = FAKE_HOST_PEER;
}

void fake_next_number(uint32_t number)
{
	slots[fake.slot].next_number = number;
}

unsigned fake_present(struct hca *there[2])
{
	unsigned count = 0;

	if (fake.slot >= 0)
		there[count++] = &slots[fake.slot];
	if (!fake.peer_is_unreachable)
		there[count++] = &peer;
	return count;
}

struct ibv_device **fake_get_device_list(int *count)
{
	struct ibv_device **list = calloc(3, sizeof(*list));
	int n = 0, slot = __atomic_load_n(&fake.slot, __ATOMIC_RELAXED);

	if (slot >= 0)
		list[n++] = &slots[slot].device;
	if (!fake.peer_is_hidden)
		list[n++] = &peer.device;
	if (count)
		*count = n;
	return list;
}

void fake_free_device_list(struct ibv_device **list)
{
	free(list);
}

__be64 fake_get_device_guid(struct ibv_device *device)
{
	const struct hca *hca = (struct hca *)device;
	bool differs = (fake.guids_differ || fake.ethernet) && hca != &peer;

	return (__be64)(hca->guid + (differs ? (uint64_t)(hca - slots) : 0));
}

int fake_get_device_index(struct ibv_device *device)
{
	const struct hca *hca = (struct hca *)device;

	return hca == &peer ? SLOTS : (int)(hca - slots);
}

const char *fake_get_device_name(struct ibv_device *device)
{
	return device->name;
}

static int query_port(
        struct ibv_context *context, uint8_t port, struct ibv_port_attr *attr, size_t size)
{
	struct ibv_port_attr all = {.state = IBV_PORT_ACTIVE,
	        .active_mtu = IBV_MTU_1024,
	        .lid = fake.ethernet ? 0 : fake_hca_of(context)->lid,
	        .gid_tbl_len = FAKE_GIDS,
	        .pkey_tbl_len = FAKE_PKEYS,
	        .link_layer = fake.ethernet ? IBV_LINK_LAYER_ETHERNET : IBV_LINK_LAYER_INFINIBAND};

	fake.asked = context;
	fake_inside();
	if (fake_is_gone(context))
		return EIO;
	if (port != 1)
		return EINVAL;
	memcpy(attr, &all, size < sizeof(all) ? size : sizeof(all));
	return 0;
}

int fake_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	*attr = (struct ibv_device_attr){.max_qp = 64,
	        .max_qp_wr = FAKE_QUEUE,
	        .max_sge = FAKE_MAX_SGE,
	        .max_cqe = 4 * FAKE_QUEUE,
	        .phys_port_cnt = 1,
	        .vendor_id = fake.psns_are_live ? FAKE_VENDOR_COUNTS : 0,
	        .vendor_part_id = fake.part};
	return 0;
}

bool fake_is_vm(const struct ibv_context *context)
{
	return fake_hca_of((struct ibv_context *)context) != &peer;
}

int fake_slot_of(const struct ibv_context *context)
{
	return (int)(fake_hca_of(context) - slots);
}

static bool is_present(const struct ibv_device *device)
{
	return device == &peer.device || (fake.slot >= 0 && device == &slots[fake.slot].device);
}

struct ibv_context *fake_open_device(struct ibv_device *device)
{
	struct fake_context *context = calloc(1, sizeof(*context));
	struct ibv_context *shown = &context->verbs.context;

	LOCK_GUARD(&fake_lock);
	if (fake.opens_no_more || !is_present(device)) {
		free(context);
		errno = fake.opens_no_more ? EPERM : ENODEV;
		return NULL;
	}
	context->hca = (struct hca *)device;
	context->verbs.sz = sizeof(context->verbs);
	context->verbs.query_port = query_port;
	context->verbs.advise_mr = fake_advise_mr;
	context->verbs.open_xrcd = fake_open_xrcd;
	context->verbs.close_xrcd = fake_close_xrcd;
	context->verbs.create_srq_ex = fake_create_srq_ex;
	context->verbs.get_srq_num = fake_get_srq_num;
	context->verbs.create_qp_ex = fake_create_qp_ex;
	context->verbs.modify_cq = fake_modify_cq;
	context->verbs.query_device_ex = fake.offers ? fake_query_device_ex : NULL;
	fake_clocks_show(&context->verbs);
	shown->abi_compat = __VERBS_ABI_IS_EXTENDED;
	shown->device = device;
	shown->num_comp_vectors = 1;
	shown->async_fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	shown->ops.post_send = fake_post_send;
	shown->ops.post_recv = fake_post_recv;
	shown->ops.post_srq_recv = fake_post_srq_recv;
	shown->ops.poll_cq = fake_poll_cq;
	shown->ops.req_notify_cq = fake_req_notify_cq;
	shown->ops.alloc_mw = fake.has_no_windows ? NULL : fake_alloc_mw;
	shown->ops.dealloc_mw = fake_dealloc_mw;
	shown->ops.bind_mw = fake_bind_mw;
	fake.opens++;
	fake.live_objects++;
	return shown;
}

int fake_close_device(struct ibv_context *context)
{
	LOCK_GUARD(&fake_lock);
	fake_forget_reader(context);
	close(context->async_fd);
	free((char *)verbs_get_ctx(context) - offsetof(struct fake_context, verbs));
	fake.closes++;
	fake.live_objects--;
	return 0;
}
