/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Which physical servers there are, which VMs and VF slots they have: what their agents said last.
 * A server whose agent is away stays, marked so. Pure; belongs to the root and its thread.
 */
#ifndef TETHER_INVENTORY_H
#define TETHER_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "tether.pb-c.h"

struct inventory_host {
	struct inventory_host *next;
	char *name;
	bool connected;
	Tether__Hello *said; /* vms and slots */
};

struct inventory {
	struct inventory_host *hosts; /* by name */
	void *by_name;                /* the same; tsearch(3) */
};

void inventory_clear(struct inventory *inventory);

/* What @host has now, by its own word; it need not be connected any more. -ENOMEM: as before. */
int inventory_take(struct inventory *inventory, const char *host, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count);
/* Its agent's link stands, or has ended. */
void inventory_host_connected(struct inventory *inventory, const char *host, bool connected);

/* As if never heard of. */
void inventory_forget(struct inventory *inventory, const char *host);

/* NULL: never heard of. */
struct inventory_host *inventory_find(const struct inventory *inventory, const char *host);
bool inventory_is_connected(const struct inventory *inventory, const char *host);

/* The VM @name and the server it is on: of several the one that says it has a VF, then one whose
 * agent is here. NULL: unknown. */
const Tether__HostVm *inventory_vm(
        const struct inventory *inventory, const char *name, const struct inventory_host **host);
/* The VM as @host alone has it; NULL: it does not. */
const Tether__HostVm *inventory_vm_at(
        const struct inventory *inventory, const char *host, const char *name);
const Tether__Slot *inventory_slot(
        const struct inventory *inventory, const char *host, const char *slot);
const Tether__Slot *inventory_slot_of(const struct inventory_host *host, const char *slot);
/* The slot that shows @port_guid: at @host (@at_host) or at any other; NULL: none. */
const Tether__Slot *inventory_slot_showing(const struct inventory *inventory, uint64_t port_guid,
        const char *host, bool at_host, const struct inventory_host **found);
/* The next of the slots behind @after (NULL: the first) that @vm holds at @host, but for @slot;
 * NULL: there is none. */
const Tether__Slot *inventory_other_slot_of_vm(const struct inventory *inventory, const char *host,
        const char *vm, const char *slot, const Tether__Slot *after);
/* The next slot of @host behind @after (NULL: the first) that no VM holds and whose GUID no other
 * slot shows; NULL: none. */
const Tether__Slot *inventory_free_slot(
        const struct inventory *inventory, const char *host, const Tether__Slot *after);

#endif
