/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/directory/directory_endpoints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/directory/directory_lids.h"
#include "sm-side/json_read.h"
#include "sm-side/plan/fabric_view.h"

void endpoints_clear(struct endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++)
		free(endpoints->at[i].vm);
	free(endpoints->at);
	*endpoints = (struct endpoints){0};
}

static int add(struct endpoints *endpoints, const struct endpoint *endpoint)
{
	size_t room = endpoints->room ? 2 * endpoints->room : 16;
	struct endpoint *grown;

	if (endpoints->count == endpoints->room) {
		grown = reallocarray(endpoints->at, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		endpoints->at = grown;
		endpoints->room = room;
	}
	endpoints->at[endpoints->count] = *endpoint;
	endpoints->at[endpoints->count].vm = strdup(endpoint->vm);
	if (!endpoints->at[endpoints->count].vm)
		return -ENOMEM;
	endpoints->count++;
	return 0;
}

/* By what the SM is asked for it; 0: it has none yet. */
static uint64_t port_of(const struct endpoint *endpoint)
{
	return endpoint->port_guid ? endpoint->port_guid : endpoint->lid;
}

static int by_port(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Sorted, in whatever order they are; how many. */
static size_t ports_of(
        uint64_t ports[MIGRATION_VFS_MAX], const struct endpoint *endpoints, size_t count)
{
	size_t ports_count = 0;

	for (size_t i = 0; i < count; i++)
		if (port_of(&endpoints[i]))
			ports[ports_count++] = port_of(&endpoints[i]);
	qsort(ports, ports_count, sizeof(*ports), by_port);
	return ports_count;
}

#define FNV_PRIME 0x100000001b3

/* Of one its own; of several one that no others have. */
static uint64_t port_of_all(const uint64_t *ports, size_t count)
{
	uint64_t port = count ? ports[0] : 0;

	for (size_t i = 8; i < 8 * count; i++)
		port = (port ^ (ports[i / 8] >> 8 * (i % 8) & 0xff)) * FNV_PRIME;
	return count && !port ? 1 : port;
}

/* A LID is known for each of its @count ports. */
static bool is_open(const struct directory_place *place, size_t count)
{
	return !place->located || place->lid_count < count || !place->lid_count;
}

/* Its port is @endpoint's from now on, which stands for @count; 0: it has none, and is nowhere. */
static int port_set(
        struct directory *directory, const struct endpoint *endpoint, size_t count, bool *open)
{
	struct directory_place place,
	        other = {.vm = endpoint->vm, .port = endpoint->port, .located = !endpoint->port};

	*open = true;
	if (!directory_place_of(directory, endpoint->vm, &place))
		return 0;
	*open = is_open(&place, count);
	if (place.port == other.port && (other.port || place.located))
		return 0;
	*open = true;
	return directory_locate(directory, &other);
}

/* @of_vm: all @count of a VM. */
static int consider(struct endpoints *endpoints, struct directory *directory,
        struct endpoint *of_vm, size_t count, bool only_open)
{
	uint64_t ports[MIGRATION_VFS_MAX] = {0};
	size_t ports_count = ports_of(ports, of_vm, count);
	uint64_t port = port_of_all(ports, ports_count);
	bool is_open, goes_on = false;
	int err;

	of_vm->port = port;
	err = port_set(directory, of_vm, ports_count, &is_open);
	for (size_t i = 0; i < count && !err && (!only_open || is_open); i++) {
		of_vm[i].port = port;
		of_vm[i].goes_on = goes_on;
		if (!port_of(&of_vm[i]))
			continue;
		err = add(endpoints, &of_vm[i]);
		goes_on = true;
	}
	return err;
}

static bool is_moving(const struct under_way *under_way, const char *vm)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (!strcmp(under_way->migrations[i]->intent.vm, vm))
			return true;
	return false;
}

/* Its host says what it likes, and the SM refuses a request that asks for what is no port's. */
static uint16_t unicast(uint32_t lid)
{
	return lid <= LID_UNICAST_MAX ? (uint16_t)lid : 0;
}

static struct endpoint endpoint_of(const Tether__HostVm *vm, const Tether__Slot *slot)
{
	struct endpoint endpoint = {.vm = vm->name};

	if (!slot)
		return endpoint;
	endpoint.shared_port = slot->shared_port;
	endpoint.switch_guid = slot->switch_guid;
	endpoint.switch_port = slot->switch_port;
	if (!slot->shared_port)
		endpoint.port_guid = slot->port_guid;
	else if (slot->address)
		endpoint.lid = unicast(slot->address->lid);
	return endpoint;
}

/* Into @of_vm, all that it has; how many. */
static size_t vm_fill(struct endpoint of_vm[MIGRATION_VFS_MAX], const struct inventory_host *host,
        const Tether__HostVm *vm)
{
	const Tether__Slot *first = inventory_slot_of(host, vm->slot);
	size_t count = 1;

	of_vm[0] = endpoint_of(vm, first);
	for (size_t i = 0; first && i < host->said->n_slots && count < MIGRATION_VFS_MAX; i++) {
		const Tether__Slot *slot = host->said->slots[i];

		if (slot != first && !strcmp(slot->vm, vm->name) && !slot->shared_port &&
		        !first->shared_port)
			of_vm[count++] = endpoint_of(vm, slot);
	}
	return count;
}

static int host_fill(struct endpoints *endpoints, struct directory *directory,
        const struct inventory_host *host, const struct under_way *under_way, bool open)
{
	int err = 0;

	for (size_t i = 0; host->said && i < host->said->n_vms && !err; i++) {
		const Tether__HostVm *vm = host->said->vms[i];
		struct endpoint of_vm[MIGRATION_VFS_MAX];
		size_t count = vm_fill(of_vm, host, vm);

		if (!is_moving(under_way, vm->name))
			err = consider(endpoints, directory, of_vm, count, open);
	}
	return err;
}

static int moving_fill(struct endpoints *endpoints, struct directory *directory,
        const struct migration_intent *intent, bool open)
{
	struct endpoint of_vm[MIGRATION_VFS_MAX];
	unsigned count = migration_vf_count(intent);

	/* Between shared ports it is at another one then, and known by both. */
	if (intent->shared_port || !count)
		return 0;
	for (unsigned i = 0; i < count; i++)
		of_vm[i] = (struct endpoint){.vm = (char *)intent->vm,
		        .port_guid = intent->vfs[i].identity.port_guid,
		        .moves = true};
	return consider(endpoints, directory, of_vm, count, open);
}

int endpoints_fill(struct endpoints *endpoints, struct directory *directory,
        const struct inventory *inventory, const struct under_way *under_way, bool open)
{
	int err = 0;

	*endpoints = (struct endpoints){0};
	for (size_t i = 0; i < under_way->count && !err; i++)
		err = moving_fill(endpoints, directory, &under_way->migrations[i]->intent, open);
	for (const struct inventory_host *h = inventory->hosts; h && !err; h = h->next)
		if (h->connected)
			err = host_fill(endpoints, directory, h, under_way, open);
	if (err)
		endpoints_clear(endpoints);
	return err;
}

/* ---- asking ---- */

size_t endpoints_batch(const struct endpoints *endpoints, size_t first, size_t most)
{
	size_t left = endpoints->count - first;

	if (left <= most)
		return left;
	while (most && endpoints->at[first + most].goes_on)
		most--;
	return most;
}

struct json_object *endpoints_wanted(const struct endpoints *endpoints, size_t first, size_t count)
{
	struct json_object *list = json_object_new_array();
	char text[GUID_TEXT_BYTES];

	for (size_t i = first; i < first + count; i++) {
		const struct endpoint *endpoint = &endpoints->at[i];

		guid_format(endpoint->port_guid, text);
		json_object_array_add(list, endpoint->port_guid
		                                    ? json_object_new_string(text)
		                                    : json_object_new_int(endpoint->lid));
	}
	return list;
}

/* What the SM says of a VM, all its VFs together. */
struct found {
	uint32_t lids[MIGRATION_VFS_MAX], pkeys[DIRECTORY_PKEYS];
	size_t lid_count, pkey_count;
};

static void pkey_note(struct found *found, uint32_t pkey)
{
	for (size_t i = 0; i < found->pkey_count; i++)
		if (found->pkeys[i] == pkey)
			return;
	if (found->pkey_count < DIRECTORY_PKEYS)
		found->pkeys[found->pkey_count++] = pkey;
}

/* -EBADMSG */
static int pkeys_read(struct json_object *row, bool there, struct found *found)
{
	struct json_object *list;

	if (!json_object_object_get_ex(row, "pkeys", &list) ||
	        !json_object_is_type(list, json_type_array))
		return -EBADMSG;
	for (size_t i = 0; i < json_object_array_length(list) && i < DIRECTORY_PKEYS; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		int64_t pkey =
		        json_object_is_type(one, json_type_int) ? json_object_get_int64(one) : -1;

		if (pkey < 0 || pkey > UINT16_MAX)
			return -EBADMSG;
		if (there)
			pkey_note(found, (uint32_t)pkey);
	}
	return 0;
}

/* Its host has it elsewhere than the SM, or says of no place that it is there: what the SM says is
 * not of this VM. */
static int is_there(const struct endpoint *endpoint, struct json_object *row, bool *there)
{
	uint64_t switch_guid;
	unsigned port;

	if (json_read_guid(row, "switch_guid", &switch_guid) ||
	        json_read_unsigned(row, "switch_port", &port))
		return -EBADMSG;
	*there = endpoint->moves || endpoint->shared_port ||
	         (endpoint->switch_guid == switch_guid && endpoint->switch_port == port);
	return 0;
}

/* @lids: whose they are, for those behind shared ports. NULL @row: the SM knows no such port. */
static int row_read(const struct endpoint *endpoint, struct json_object *row,
        const struct directory_place *now, struct directory_lids *lids, struct found *found)
{
	bool there = true;
	uint32_t lid;
	int err;

	if (!row)
		return 0;
	if (!json_object_is_type(row, json_type_object) || json_read_unsigned(row, "lid", &lid) ||
	        !lid || lid > UINT16_MAX || is_there(endpoint, row, &there))
		return -EBADMSG;
	there = there && (!lids || directory_lids_share(lids, now, lid));
	err = pkeys_read(row, there, found);
	if (!err && there && found->lid_count < MIGRATION_VFS_MAX)
		found->lids[found->lid_count++] = lid;
	return err;
}

/* @endpoint is the first of @count of a VM, of which the rows from @first on are. */
static int vm_take(const struct endpoint *endpoint, size_t count, struct json_object *list,
        size_t first, struct directory *directory, struct directory_lids *lids)
{
	struct directory_place now, place = {.vm = endpoint->vm,
	                                    .port = endpoint->port,
	                                    .located = true,
	                                    .shared_port = endpoint->shared_port};
	struct found found = {0};
	int err = 0;

	if (!directory_place_of(directory, endpoint->vm, &now) || now.port != place.port)
		return 0;
	for (size_t i = 0; i < count && !err; i++)
		err = row_read(&endpoint[i], json_object_array_get_idx(list, first + i), &now, lids,
		        &found);
	if (err)
		return err;
	place.lids = found.lids;
	place.lid_count = found.lid_count;
	place.pkeys = found.pkeys;
	place.pkey_count = found.pkey_count;
	return directory_locate(directory, &place);
}

static size_t count_of_vm(const struct endpoint *endpoints, size_t count)
{
	size_t of_vm = 1;

	while (of_vm < count && endpoints[of_vm].goes_on)
		of_vm++;
	return of_vm;
}

/* One kind only, as those behind shared ports are looked at when all others are located. */
static int rows_take(const struct endpoint *endpoints, size_t count, struct json_object *list,
        struct directory *directory, struct directory_lids *lids)
{
	int err = 0;

	for (size_t i = 0, of_vm; i < count && !err; i += of_vm) {
		of_vm = count_of_vm(&endpoints[i], count - i);
		if (endpoints[i].shared_port == !!lids)
			err = vm_take(&endpoints[i], of_vm, list, i, directory, lids);
	}
	return err;
}

static bool is_any_shared(const struct endpoint *endpoints, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (endpoints[i].shared_port)
			return true;
	return false;
}

int endpoints_take(const struct endpoints *endpoints, size_t first, size_t count,
        struct json_object *answer, struct directory *directory)
{
	const struct endpoint *asked = &endpoints->at[first];
	struct directory_lids *lids;
	struct json_object *list;
	int err;

	if (!json_object_object_get_ex(answer, "ports", &list) ||
	        !json_object_is_type(list, json_type_array) ||
	        json_object_array_length(list) != count)
		return -EBADMSG;
	err = rows_take(asked, count, list, directory, NULL);
	if (err || !is_any_shared(asked, count))
		return err;
	lids = directory_lids_of(directory);
	if (!lids)
		return -ENOMEM;
	err = rows_take(asked, count, list, directory, lids);
	directory_lids_free(lids);
	return err;
}
