/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/inventory.h"

#include <errno.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message.h"

static int by_name(const void *a, const void *b)
{
	const struct inventory_host *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static void host_free(struct inventory_host *host)
{
	if (host->said)
		tether__hello__free_unpacked(host->said, NULL);
	free(host->name);
	free(host);
}

/* The one at *@at. */
static void host_remove(struct inventory *inventory, struct inventory_host **at)
{
	struct inventory_host *host = *at;

	*at = host->next;
	tdelete(host, &inventory->by_name, by_name);
	host_free(host);
}

void inventory_clear(struct inventory *inventory)
{
	while (inventory->hosts)
		host_remove(inventory, &inventory->hosts);
}

struct inventory_host *inventory_find(const struct inventory *inventory, const char *host)
{
	const struct inventory_host like = {.name = (char *)host};
	struct inventory_host **found = tfind(&like, &inventory->by_name, by_name);

	return found ? *found : NULL;
}

static struct inventory_host *host_make(struct inventory *inventory, const char *name)
{
	struct inventory_host *host = inventory_find(inventory, name);
	struct inventory_host **at = &inventory->hosts;

	if (host)
		return host;
	host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->name = strdup(name);
	if (!host->name || !tsearch(host, &inventory->by_name, by_name)) {
		free(host->name);
		free(host);
		return NULL;
	}
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	host->next = *at;
	*at = host;
	return host;
}

int inventory_take(struct inventory *inventory, const char *host, Tether__HostVm **vms,
        size_t vm_count, Tether__Slot **slots, size_t slot_count)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	struct inventory_host *h = host_make(inventory, host);
	Tether__Hello *said;

	hello.vms = vms;
	hello.n_vms = vm_count;
	hello.slots = slots;
	hello.n_slots = slot_count;
	said = h ? message_copy(&hello.base) : NULL;
	if (!said)
		return -ENOMEM;
	if (h->said)
		tether__hello__free_unpacked(h->said, NULL);
	h->said = said;
	return 0;
}

void inventory_forget(struct inventory *inventory, const char *host)
{
	struct inventory_host **at = &inventory->hosts;

	while (*at && strcmp((*at)->name, host))
		at = &(*at)->next;
	if (*at)
		host_remove(inventory, at);
}

void inventory_host_connected(struct inventory *inventory, const char *host, bool connected)
{
	struct inventory_host *h = inventory_find(inventory, host);

	if (h)
		h->connected = connected;
}

bool inventory_is_connected(const struct inventory *inventory, const char *host)
{
	const struct inventory_host *h = inventory_find(inventory, host);

	return h && h->connected;
}

static const Tether__HostVm *vm_of_host(const struct inventory_host *host, const char *name)
{
	for (size_t i = 0; host && host->said && i < host->said->n_vms; i++) {
		if (!strcmp(host->said->vms[i]->name, name))
			return host->said->vms[i];
	}
	return NULL;
}

const Tether__HostVm *inventory_vm_at(
        const struct inventory *inventory, const char *host, const char *name)
{
	return vm_of_host(inventory_find(inventory, host), name);
}

const Tether__HostVm *inventory_vm(
        const struct inventory *inventory, const char *name, const struct inventory_host **host)
{
	const Tether__HostVm *best = NULL;
	int best_claim = -1;

	for (const struct inventory_host *h = inventory->hosts; h; h = h->next) {
		const Tether__HostVm *vm = vm_of_host(h, name);
		int claim = vm ? 2 * (*vm->slot != '\0') + h->connected : -1;

		if (claim > best_claim) {
			best_claim = claim;
			best = vm;
			*host = h;
		}
	}
	return best;
}

const Tether__Slot *inventory_slot_of(const struct inventory_host *host, const char *slot)
{
	for (size_t i = 0; host && host->said && i < host->said->n_slots; i++) {
		if (!strcmp(host->said->slots[i]->name, slot))
			return host->said->slots[i];
	}
	return NULL;
}

const Tether__Slot *inventory_slot(
        const struct inventory *inventory, const char *host, const char *slot)
{
	return inventory_slot_of(inventory_find(inventory, host), slot);
}

static const Tether__Slot *slot_of_host_showing(
        const struct inventory_host *host, uint64_t port_guid)
{
	for (size_t i = 0; host->said && i < host->said->n_slots; i++) {
		if (host->said->slots[i]->port_guid == port_guid)
			return host->said->slots[i];
	}
	return NULL;
}

const Tether__Slot *inventory_slot_showing(const struct inventory *inventory, uint64_t port_guid,
        const char *host, bool at_host, const struct inventory_host **found)
{
	for (const struct inventory_host *h = inventory->hosts; h; h = h->next) {
		const Tether__Slot *slot = slot_of_host_showing(h, port_guid);

		if (!slot || !strcmp(h->name, host) != at_host)
			continue;
		*found = h;
		return slot;
	}
	return NULL;
}

/* A road back that could not be gone to its end has left another's GUID there. */
static bool is_shown_elsewhere(
        const struct inventory *inventory, const char *host, const Tether__Slot *slot)
{
	const struct inventory_host *found;

	return slot->port_guid &&
	       inventory_slot_showing(inventory, slot->port_guid, host, false, &found);
}

const Tether__Slot *inventory_other_slot_of_vm(const struct inventory *inventory, const char *host,
        const char *vm, const char *slot, const Tether__Slot *after)
{
	const struct inventory_host *h = inventory_find(inventory, host);
	bool behind = !after;

	for (size_t i = 0; h && h->said && i < h->said->n_slots; i++) {
		const Tether__Slot *other = h->said->slots[i];

		if (behind && !strcmp(other->vm, vm) && strcmp(other->name, slot))
			return other;
		behind |= other == after;
	}
	return NULL;
}

const Tether__Slot *inventory_free_slot(
        const struct inventory *inventory, const char *host, const Tether__Slot *after)
{
	const struct inventory_host *h = inventory_find(inventory, host);
	bool behind = !after;

	for (size_t i = 0; h && h->said && i < h->said->n_slots; i++) {
		const Tether__Slot *slot = h->said->slots[i];

		if (behind && !*slot->vm && !is_shown_elsewhere(inventory, host, slot))
			return slot;
		behind |= slot == after;
	}
	return NULL;
}
