/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/admission.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static struct admission refuse(
        const char *reason, const char *format, ...)
{
	struct admission admission = {.reason = reason};
	va_list args;

	va_start(args, format);
	vsnprintf(admission.text, sizeof(admission.text), format, args);
	va_end(args);
	return admission;
}

static struct admission refuse_because_of(const struct migration *under_way, const char *vm)
{
	if (!strcmp(under_way->intent.vm, vm))
		return refuse("vm-already-moving",
		        "%s is moving already (migration %" PRIu64 "); see tether status", vm,
		        under_way->intent.id);
	return refuse("busy",
	        "migration %" PRIu64
	        " of %s is under way and migrations run one after the other; ask again when it has "
	        "ended",
	        under_way->intent.id, under_way->intent.vm);
}

static struct admission hosts_check(const struct inventory *inventory,
        const struct inventory_host *source, const char *vm, const char *to)
{
	if (!inventory_find(inventory, to))
		return refuse(
		        "unknown-host", "no agent has ever called itself %s; see tether hosts", to);
	if (!strcmp(source->name, to))
		return refuse("same-host", "%s is on %s already", vm, to);
	if (!source->connected)
		return refuse("host-not-connected",
		        "the agent of %s, where %s is, is not connected; start it first",
		        source->name, vm);
	if (!inventory_is_connected(inventory, to))
		return refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", to);
	return (struct admission){0};
}

static int name_set(char name[MIGRATION_NAME_BYTES], const char *from)
{
	return snprintf(name, MIGRATION_NAME_BYTES, "%s", from) >= MIGRATION_NAME_BYTES;
}

/* True: a name is too long. */
static bool place_set(struct place *place, const char *host, const Tether__Slot *slot)
{
	place->switch_guid = slot->switch_guid;
	place->switch_port = slot->switch_port;
	return name_set(place->host, host) || name_set(place->slot, slot->name);
}

static void identity_set(struct identity *identity, const Tether__Slot *slot)
{
	identity->node_guid = slot->node_guid;
	identity->port_guid = slot->port_guid;
}

static struct admission slots_fill(const struct inventory *inventory, const char *source_host,
        const Tether__HostVm *vm, const char *to, struct migration_intent *intent)
{
	const Tether__Slot *source = inventory_slot(inventory, source_host, vm->slot);
	const Tether__Slot *destination = inventory_free_slot(inventory, to);

	if (!source)
		return refuse("vm-without-vf", "%s has no VF on %s", vm->name, source_host);
	if (!destination)
		return refuse("no-free-vf", "all VFs of %s are taken; see tether hosts", to);
	if (name_set(intent->vm, vm->name) || place_set(&intent->source, source_host, source) ||
	        place_set(&intent->destination, to, destination))
		return refuse("name-too-long", "names have at most %d characters",
		        MIGRATION_NAME_BYTES - 1);
	identity_set(&intent->identity, source);
	identity_set(&intent->other, destination);
	if (source->address && address_decode(source->address, &intent->address))
		return refuse("bad-address", "%s says no address of slot %s that could be one",
		        source_host, source->name);
	return (struct admission){0};
}

struct admission admission_check(const struct inventory *inventory,
        const struct migration *under_way, const char *vm, const char *to,
        struct migration_intent *intent)
{
	const struct inventory_host *source = NULL;
	const Tether__HostVm *found = inventory_vm(inventory, vm, &source);
	struct admission admission;

	if (!found)
		return refuse("unknown-vm", "no host has a VM named %s; see tether vms", vm);
	admission = hosts_check(inventory, source, vm, to);
	if (!admission.reason && under_way)
		admission = refuse_because_of(under_way, vm);
	if (!admission.reason)
		admission = slots_fill(inventory, source->name, found, to, intent);
	return admission;
}

bool admission_is_reattach(const struct inventory *inventory, const char *vm, const char *to)
{
	const struct inventory_host *host = NULL;
	const Tether__HostVm *found = inventory_vm(inventory, vm, &host);

	return found && !*found->slot && !strcmp(host->name, to);
}

/* Both slots may show the GUIDs, after a road back that could not be gone to its end. */
static struct admission reattach_fill(const struct inventory *inventory,
        const struct migration *last, const char *to, struct migration_intent *intent)
{
	uint64_t guid = last->intent.identity.port_guid;
	const struct inventory_host *here, *there;
	const Tether__Slot *at_home = inventory_slot_showing(inventory, guid, to, true, &here);
	const Tether__Slot *abroad = inventory_slot_showing(inventory, guid, to, false, &there);
	const Tether__Slot *slot = at_home ? at_home : inventory_free_slot(inventory, to);

	if (!intent->fabric)
		abroad = NULL;
	if ((at_home && *at_home->vm) || (abroad && *abroad->vm))
		return refuse("guids-in-use", "the slot with the GUIDs of %s is held by %s",
		        intent->vm, at_home && *at_home->vm ? at_home->vm : abroad->vm);
	if (intent->fabric && !at_home && !abroad)
		return refuse("guids-not-found",
		        "no slot shows the GUIDs of %s; is an agent not connected?", intent->vm);
	if (abroad && !there->connected)
		return refuse("host-not-connected",
		        "a slot of %s shows the GUIDs of %s, and its agent is not connected; start "
		        "it first",
		        there->name, intent->vm);
	if (!slot)
		return refuse("no-free-vf", "all VFs of %s are taken; see tether hosts", to);
	if (place_set(&intent->destination, to, slot) ||
	        place_set(&intent->source, abroad ? there->name : to, abroad ? abroad : slot))
		return refuse("name-too-long", "names have at most %d characters",
		        MIGRATION_NAME_BYTES - 1);
	intent->other = last->intent.other;
	if (!at_home)
		identity_set(&intent->other, slot);
	return (struct admission){0};
}

struct admission admission_reattach(const struct inventory *inventory,
        const struct migration *under_way, const struct migration *last, const char *vm,
        const char *to, struct migration_intent *intent)
{
	if (!inventory_is_connected(inventory, to))
		return refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", to);
	if (under_way)
		return refuse_because_of(under_way, vm);
	if (!last)
		return refuse("vm-without-vf",
		        "%s has no VF on %s, and which GUIDs it had is not known here", vm, to);
	intent->reattach = true;
	intent->identity = last->intent.identity;
	intent->address = last->intent.address;
	if (name_set(intent->vm, vm))
		return refuse("name-too-long", "names have at most %d characters",
		        MIGRATION_NAME_BYTES - 1);
	return reattach_fill(inventory, last, to, intent);
}

const Tether__Attributes *admission_attributes(
        const struct inventory *inventory, const struct migration_intent *intent)
{
	const Tether__Slot *slot =
	        inventory_slot(inventory, intent->source.host, intent->source.slot);

	return slot ? slot->attributes : NULL;
}
