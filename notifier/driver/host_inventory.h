/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a physical server has: its VMs and its VF slots, as its driver says in JSON and as HELLO and
 * HostResult say on the wire. Pure; belongs to the host role and its thread.
 */
#ifndef TETHER_HOST_INVENTORY_H
#define TETHER_HOST_INVENTORY_H

#include <stddef.h>
#include <stdint.h>

#include "tether.pb-c.h"

struct json_object;

struct host_inventory {
	Tether__HostVm **vms;
	size_t vms_count;
	Tether__Slot **slots;
	size_t slots_count;
};

/*
 * From {"vms": [...], "slots": [...]} (notifier/DESIGN.md "The driver"). -EBADMSG with one line in
 * @error; -ENOMEM. On error @inventory is as it was.
 */
int host_inventory_decode(
        struct json_object *json, struct host_inventory *inventory, char *error, size_t error_size);
void host_inventory_clear(struct host_inventory *inventory);

Tether__HostVm *host_inventory_vm(const struct host_inventory *inventory, const char *name);
Tether__Slot *host_inventory_slot(const struct host_inventory *inventory, const char *name);

/* Where the VM's processes reach the agent; the VM is added if need be. -ENOMEM */
int host_inventory_vm_add(struct host_inventory *inventory, const char *name, const char *socket);
void host_inventory_vm_remove(struct host_inventory *inventory, const char *name);

/* What an order that succeeded has changed. -ENOMEM; names that are not there change nothing. */
/* @slot "": it has no VF any more. */
int host_inventory_detached(struct host_inventory *inventory, const char *vm, const char *slot);
int host_inventory_attached(struct host_inventory *inventory, const char *vm, const char *slot);
void host_inventory_guids(
        struct host_inventory *inventory, const char *slot, uint64_t node_guid, uint64_t port_guid);

/* @fresh was looked for while an order was under way: of @vm and of @slot it says what @known does,
 * however often this is called. -ENOMEM: some of it, perhaps. */
int host_inventory_keep(struct host_inventory *fresh, const struct host_inventory *known,
        const char *vm, const char *slot);

/* The first attribute of which @has is less than @wanted, by name; NULL: none. */
const char *attributes_lacking(const Tether__Attributes *has, const Tether__Attributes *wanted);

#endif
