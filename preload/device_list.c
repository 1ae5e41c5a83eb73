/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/device_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

static TAILQ_HEAD(, device) devices = TAILQ_HEAD_INITIALIZER(devices);
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;

struct device_list {
	struct ibv_device **real;
	struct ibv_device *shown[];
};

struct device *device_of(struct ibv_device *shown)
{
	struct device *device;

	LOCK_GUARD(&devices_lock);
	TAILQ_FOREACH(device, &devices, link)
	{
		if (&device->shown == shown)
			return device;
	}
	return NULL;
}

static struct device *device_create(struct ibv_device *from)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->shown = *from;
	memset(&device->shown._ops, 0, sizeof(device->shown._ops));
	TAILQ_INSERT_TAIL(&devices, device, link);
	return device;
}

/* The one that stands for @from now: known by its real name, or by its GUID if it was moved. */
static struct device *device_for(struct ibv_device *from)
{
	__be64 guid = below.ibv_get_device_guid(from);
	struct device *device;

	TAILQ_FOREACH(device, &devices, link)
	{
		if (device->guid == guid &&
		        (!device->real || !strcmp(device->real_name, from->name)))
			break;
	}
	if (!device)
		device = device_create(from);
	if (!device)
		return NULL;
	device->real = from;
	device->guid = guid;
	memcpy(device->real_name, from->name, sizeof(device->real_name));
	return device;
}

static bool in_list(struct ibv_device *const *list, const struct ibv_device *device)
{
	while (*list && *list != device)
		list++;
	return *list;
}

/* What is open stays in the list while it is between two places. */
WRAPPER struct ibv_device **ibv_get_device_list(int *count)
{
	struct ibv_device **found = below.ibv_get_device_list(NULL);
	struct device_list *list;
	struct device *device;
	int places = 0, used = 0;

	if (!found)
		return NULL;
	LOCK_GUARD(&devices_lock);
	TAILQ_FOREACH(device, &devices, link)
	{
		if (!device->contexts)
			device->real = NULL;
		places++;
	}
	for (struct ibv_device **d = found; *d; d++)
		places++;
	list = calloc(1, sizeof(*list) + ((size_t)places + 1) * sizeof(list->shown[0]));
	if (!list) {
		below.ibv_free_device_list(found);
		return NULL;
	}
	list->real = found;
	for (struct ibv_device **d = found; *d; d++) {
		device = device_for(*d);
		if (device)
			list->shown[used++] = &device->shown;
	}
	TAILQ_FOREACH(device, &devices, link)
	{
		if (device->contexts && !in_list(list->shown, &device->shown))
			list->shown[used++] = &device->shown;
	}
	if (count)
		*count = used;
	return list->shown;
}

WRAPPER void ibv_free_device_list(struct ibv_device **shown)
{
	struct device_list *list = container_of(shown, struct device_list, shown);

	below.ibv_free_device_list(list->real);
	free(list);
}

WRAPPER const char *ibv_get_device_name(struct ibv_device *device)
{
	return device_of(device) ? device->name : below.ibv_get_device_name(device);
}

WRAPPER __be64 ibv_get_device_guid(struct ibv_device *shown)
{
	struct device *device = device_of(shown);

	return device ? device->guid : below.ibv_get_device_guid(shown);
}

WRAPPER int ibv_get_device_index(struct ibv_device *shown)
{
	struct device *device = device_of(shown);

	if (!device)
		return below.ibv_get_device_index(shown);
	return device->real ? below.ibv_get_device_index(device->real) : -1;
}

/* ---- after a move ---- */

/* Some other device that the application has open is @candidate. */
static bool is_anothers(const struct device *device, const struct ibv_device *candidate)
{
	const struct device *other;

	TAILQ_FOREACH(other, &devices, link)
	{
		if (other != device && other->contexts &&
		        !strcmp(other->real_name, candidate->name))
			return true;
	}
	return false;
}

/* Under vSwitch the GUID has moved with the VM. Elsewhere the only one that is free will be it. */
static struct ibv_device *successor_of(const struct device *device, struct ibv_device **list)
{
	struct ibv_device *free_one = NULL;
	unsigned free_ones = 0;

	for (struct ibv_device **d = list; *d; d++) {
		if (below.ibv_get_device_guid(*d) == device->guid)
			return *d;
		if (is_anothers(device, *d))
			continue;
		free_one = *d;
		free_ones++;
	}
	return free_ones == 1 ? free_one : NULL;
}

static int open_as(struct device *device, struct ibv_device *successor, struct ibv_context **opened)
{
	if (!successor)
		return -ENODEV;
	*opened = below.ibv_open_device(successor);
	if (!*opened)
		return errno ? -errno : -ENODEV;
	memcpy(device->real_name, successor->name, sizeof(device->real_name));
	device->real = successor;
	return 0;
}

int device_open_successor(struct device *device, struct ibv_context **opened)
{
	struct ibv_device **list = below.ibv_get_device_list(NULL);
	int err;

	if (!list)
		return errno ? -errno : -ENODEV;
	LOCK_GUARD(&devices_lock);
	err = open_as(device, successor_of(device, list), opened);
	below.ibv_free_device_list(list);
	return err;
}
