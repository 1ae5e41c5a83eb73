/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/device_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/agent_link.h"
#include "preload/connection_devices.h"
#include "preload/connection_manager.h"
#include "preload/control.h"
#include "preload/fork_watch.h"

static TAILQ_HEAD(, device) devices = TAILQ_HEAD_INITIALIZER(devices);
static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;

struct device_list {
	struct ibv_device **real;
	struct ibv_device *shown[];
};

static struct device_place *place_in(struct device *device, const struct ibv_device *shown)
{
	struct device_place *place;

	TAILQ_FOREACH(place, &device->places, link)
	{
		if (&place->shown == shown)
			return place;
	}
	return NULL;
}

struct device *device_of(struct ibv_device *shown)
{
	struct device *device;

	LOCK_GUARD(&devices_lock);
	TAILQ_FOREACH(device, &devices, link)
	{
		if (&device->shown == shown || place_in(device, shown))
			return device;
	}
	return NULL;
}

/* NULL: it is the device itself. */
static const struct device_place *place_of(struct device *device, const struct ibv_device *shown)
{
	LOCK_GUARD(&devices_lock);
	return place_in(device, shown);
}

static struct device *device_create(struct ibv_device *from)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	TAILQ_INIT(&device->places);
	device->shown = *from;
	memset(&device->shown._ops, 0, sizeof(device->shown._ops));
	TAILQ_INSERT_TAIL(&devices, device, link);
	return device;
}

static bool is_named(const struct device *device, const struct ibv_device *from)
{
	return !strcmp(device->real_name, from->name);
}

/* The one that is open under this name, else the one that has this GUID and no place yet. */
static struct device *device_known(const struct ibv_device *from, __be64 guid)
{
	struct device *device, *same_guid = NULL;

	TAILQ_FOREACH(device, &devices, link)
	{
		if (device->real ? is_named(device, from)
		                 : device->guid == guid && is_named(device, from))
			return device;
		if (!device->real && device->guid == guid && !same_guid)
			same_guid = device;
	}
	return same_guid;
}

/* The one that stands for @from now. One that is open keeps the GUID that the application knows. */
static struct device *device_for(struct ibv_device *from)
{
	__be64 guid = below.ibv_get_device_guid(from);
	struct device *device = device_known(from, guid);

	if (!device)
		device = device_create(from);
	if (!device)
		return NULL;
	device->real = from;
	if (!device->contexts)
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

/* For librdmacm. Under the lock. */
static void show_places(struct ibv_device **list)
{
	struct device *device;

	for (; *list; list++) {
		TAILQ_FOREACH(device, &devices, link)
		{
			if (&device->shown == *list)
				*list = connection_device_shown(device);
		}
	}
}

/* What is open stays in the list while it is between two places. */
static struct ibv_device **device_list(int *count)
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
		if (!device->opened)
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
	if (connection_depth)
		show_places(list->shown);
	*count = used;
	return list->shown;
}

/* A program that starts while its VM has no device would find that there is none. */
WRAPPER struct ibv_device **ibv_get_device_list(int *count)
{
	int used = 0;
	struct ibv_device **list = device_list(&used);

	if (list && !used) {
		agent_link_start();
		if (control_await_devices()) {
			ibv_free_device_list(list);
			list = device_list(&used);
		}
	}
	if (list && count)
		*count = used;
	return list;
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
	const struct device_place *place = device ? place_of(device, shown) : NULL;

	if (place)
		return place->guid;
	return device ? device->guid : below.ibv_get_device_guid(shown);
}

WRAPPER int ibv_get_device_index(struct ibv_device *shown)
{
	struct device *device = device_of(shown);
	const struct device_place *place = device ? place_of(device, shown) : NULL;

	if (!device)
		return below.ibv_get_device_index(shown);
	if (place)
		return place->index;
	if (!device->real || (device->contexts && !device->opened))
		return -1;
	return below.ibv_get_device_index(device->real);
}

/* ---- opening ---- */

/* Some other device that the application has open is @candidate. Between two places one has no
 * name: what it was called before may be what this one is called now. */
static bool is_open_as(const struct device *device, const struct ibv_device *candidate)
{
	const struct device *other;

	TAILQ_FOREACH(other, &devices, link)
	{
		if (other != device && other->opened && is_named(other, candidate))
			return true;
	}
	return false;
}

/* The same, or will be: by its GUID, or by the name that it had. */
static bool is_anothers(const struct device *device, struct ibv_device *candidate)
{
	__be64 guid = below.ibv_get_device_guid(candidate);
	const struct device *other;

	TAILQ_FOREACH(other, &devices, link)
	{
		if (other != device && other->contexts &&
		        (is_named(other, candidate) ||
		                (guid && guid != device->guid && other->guid == guid)))
			return true;
	}
	return false;
}

/* ---- what was there when it went ---- */

static bool is_on_ethernet(const struct device *device)
{
	bool found = false;

	for (unsigned i = 0; i < PORTS_MAX; i++)
		found |= device->ports[i].known && port_is_ethernet(&device->ports[i]);
	return found;
}

/* Without a GUID that moves along, what tells the next one from others is that it is new. */
static void note_others(struct device *device, struct ibv_device **list)
{
	unsigned count = 0;

	free(device->others);
	device->other_count = 0;
	while (list[count])
		count++;
	device->others = calloc(count + 1u, sizeof(*device->others));
	for (struct ibv_device **d = list; *d && device->others; d++) {
		struct device_seen *seen = &device->others[device->other_count];

		seen->guid = below.ibv_get_device_guid(*d);
		memcpy(seen->name, (*d)->name, sizeof(seen->name));
		device->other_count += !is_named(device, *d);
	}
}

static bool was_there(const struct device *device, struct ibv_device *candidate)
{
	__be64 guid = below.ibv_get_device_guid(candidate);

	for (unsigned i = 0; i < device->other_count; i++) {
		const struct device_seen *seen = &device->others[i];

		if (seen->guid == guid && !strcmp(seen->name, candidate->name))
			return true;
	}
	return false;
}

static struct ibv_device *with_guid(const struct device *device, struct ibv_device **list)
{
	struct ibv_device *found = NULL;

	for (struct ibv_device **d = list; *d; d++) {
		if (below.ibv_get_device_guid(*d) != device->guid || is_open_as(device, *d))
			continue;
		if (!found || is_named(device, *d))
			found = *d;
	}
	return found;
}

/* Under vSwitch the GUID has moved with the VM. Elsewhere the name is all there is to go by. */
static struct ibv_device *present_of(const struct device *device, struct ibv_device **list)
{
	struct ibv_device *found = with_guid(device, list);

	for (struct ibv_device **d = list; *d && !found; d++) {
		if (is_named(device, *d) && !is_anothers(device, *d))
			found = *d;
	}
	return found;
}

/* The only one that is free will be it. */
static struct ibv_device *successor_of(const struct device *device, struct ibv_device **list)
{
	struct ibv_device *free_one = with_guid(device, list);
	unsigned free_ones = 0;

	if (free_one)
		return free_one;
	for (struct ibv_device **d = list; *d; d++) {
		if (is_anothers(device, *d) || was_there(device, *d))
			continue;
		free_one = *d;
		free_ones++;
	}
	return free_ones == 1 ? free_one : NULL;
}

static int open_as(struct device *device, struct ibv_device *as, struct ibv_context **opened)
{
	struct ibv_context *context;

	if (!as)
		return -ENODEV;
	errno = 0;
	fork_watch_begin();
	context = below.ibv_open_device(as);
	if (!context) {
		int err = errno ? -errno : -ENODEV;

		fork_watch_end();
		return err;
	}
	LOCK_GUARD(&devices_lock);
	memcpy(device->real_name, as->name, sizeof(device->real_name));
	device->real = as;
	device->opened++;
	*opened = context;
	return 0;
}

typedef struct ibv_device *device_choice(const struct device *device, struct ibv_device **list);

/* The lock is not held over what a provider does in opening: it may ask us of its devices. */
static int open_chosen(struct device *device, device_choice *choose, struct ibv_context **opened)
{
	struct ibv_device **list = below.ibv_get_device_list(NULL), *chosen;
	int err;

	if (!list)
		return errno ? -errno : -ENODEV;
	pthread_mutex_lock(&devices_lock);
	chosen = choose(device, list);
	pthread_mutex_unlock(&devices_lock);
	err = open_as(device, chosen, opened);
	below.ibv_free_device_list(list);
	return err;
}

int device_open(struct device *device, struct ibv_context **opened)
{
	return open_chosen(device, present_of, opened);
}

int device_open_successor(struct device *device, struct ibv_context **opened)
{
	return open_chosen(device, successor_of, opened);
}

void device_close(struct device *device, struct ibv_context *opened)
{
	struct ibv_device **list = NULL;

	below.ibv_close_device(opened);
	fork_watch_end();
	if (is_on_ethernet(device))
		list = below.ibv_get_device_list(NULL);
	pthread_mutex_lock(&devices_lock);
	if (!--device->opened) {
		device->real = NULL;
		if (list && device->contexts)
			note_others(device, list);
	}
	pthread_mutex_unlock(&devices_lock);
	if (list)
		below.ibv_free_device_list(list);
}

void device_is_used(struct device *device, bool used)
{
	LOCK_GUARD(&devices_lock);
	device->contexts += used ? 1 : -1u;
}

/* ---- ports ---- */

void device_learn_port(struct device *device, unsigned index, const struct port *port)
{
	struct known_gids gids;

	LOCK_GUARD(&devices_lock);
	gids = device->ports[index].gids;
	device->ports[index] = *port;
	device->ports[index].gids = gids;
	if (known_gids_copy(&device->ports[index].gids, &port->gids))
		log_error("places", "no memory for the GIDs of %s", device->shown.name);
}

const struct port *device_ports_hold(struct device *device)
{
	bool known = false;

	pthread_mutex_lock(&devices_lock);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		known |= device->ports[i].known;
	return known ? device->ports : NULL;
}

void device_ports_let_go(void)
{
	pthread_mutex_unlock(&devices_lock);
}

void device_list_forget(void)
{
	struct device *device;

	pthread_mutex_init(&devices_lock, NULL);
	TAILQ_FOREACH(device, &devices, link)
	{
		device->contexts = device->opened = 0;
		device->real = NULL;
	}
}
