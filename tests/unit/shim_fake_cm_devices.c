/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The fake librdmacm's list of devices: by the GUID and the index that the kernel names. */
#include "tests/unit/shim_fake_cm_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_hca.h"

struct fake_cm_device {
	struct ibv_device *shown;
	struct ibv_context *verbs;
	struct ibv_pd *pd;
	__be64 guid;
	int index;
	bool is_dead;
	unsigned users;
	TAILQ_ENTRY(fake_cm_device) link;
};

static TAILQ_HEAD(, fake_cm_device) devices = TAILQ_HEAD_INITIALIZER(devices);

void fake_cm_devices_reset(void)
{
	struct fake_cm_device *device;

	while ((device = TAILQ_FIRST(&devices))) {
		TAILQ_REMOVE(&devices, device, link);
		if (device->verbs)
			ibv_close_device(device->verbs);
		free(device);
	}
}

void fake_cm_device_put(struct fake_cm_device *device)
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

static struct fake_cm_device *find(__be64 guid, int index)
{
	struct fake_cm_device *device;

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
	struct fake_cm_device *device;
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

/* 10.0.0.2 is the peer's, all others are the VM's. */
static bool is_peers(const struct sockaddr *addr)
{
	return addr && ((const struct sockaddr_in *)addr)->sin_addr.s_addr == htonl(0x0a000002);
}

int fake_cm_attach(struct fake_cm_id *id, const struct sockaddr *address)
{
	struct ibv_device **list = real_verbs()->ibv_get_device_list(NULL);
	struct ibv_device *real = kernel_device(is_peers(address), list);
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

struct ibv_context **fake_cm_get_devices(int *count)
{
	struct ibv_context **list;
	struct fake_cm_device *device;
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
