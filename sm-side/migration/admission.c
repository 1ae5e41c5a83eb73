/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/admission.h"

#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/vm_change/vm_changes.h"

struct admission admission_refuse(const char *reason, const char *format, ...)
{
	struct admission admission = {.reason = reason};
	va_list args;

	va_start(args, format);
	vsnprintf(admission.text, sizeof(admission.text), format, args);
	va_end(args);
	return admission;
}

bool admission_has_asked(const struct migration *m)
{
	return m->state != STATE_LOCATING && m->state != STATE_DROPPING && !m->waits_turn;
}

const struct migration *admission_sharing(const struct under_way *under_way,
        const struct migration_intent *intent, char *const *names, size_t count)
{
	for (size_t i = 0; under_way && i < under_way->count; i++) {
		const struct migration *m = under_way->migrations[i];

		if (m->intent.id == intent->id || !admission_has_asked(m))
			continue;
		if (testimony_count_of_vm(
		            m->testimony.processes, m->testimony.process_count, intent->vm) ||
		        testimony_count_of_vm(names, count, m->intent.vm))
			return m;
	}
	return NULL;
}

struct admission admission_vm_is_free(const struct under_way *under_way, const char *vm)
{
	const struct vm_change *change =
	        under_way ? vm_changes_of_vm(under_way->changes, vm) : NULL;

	for (size_t i = 0; under_way && i < under_way->count; i++) {
		const struct migration *other = under_way->migrations[i];

		if (!strcmp(other->intent.vm, vm))
			return admission_refuse("vm-already-moving",
			        "%s is moving already (migration %" PRIu64 "); see tether status",
			        vm, other->intent.id);
	}
	if (!change)
		return (struct admission){0};
	return admission_refuse("vm-changing", "%s is being %s; ask again when that has ended", vm,
	        change->intent.destroys ? "destroyed" : "created");
}

/* May the VM move besides what moves already? Who shares connections with that waits for its turn;
 * not who would be given a VF at once, nor an evacuation, which has others to move meanwhile. */
static struct admission others_check(
        const struct under_way *under_way, const char *vm, bool may_wait)
{
	struct migration_intent intent = {0};
	struct admission admission = admission_vm_is_free(under_way, vm);
	const struct migration *other;

	if (admission.reason)
		return admission;
	if (under_way && under_way->count >= under_way->most)
		return admission_refuse("busy",
		        "%zu migrations are under way (one is %" PRIu64 " of %s) and %zu may be at "
		        "a time; ask again when one has ended",
		        under_way->count, under_way->migrations[0]->intent.id,
		        under_way->migrations[0]->intent.vm, under_way->most);
	snprintf(intent.vm, sizeof(intent.vm), "%s", vm);
	other = may_wait ? NULL : admission_sharing(under_way, &intent, NULL, 0);
	if (!other)
		return (struct admission){0};
	return admission_refuse("busy",
	        "migration %" PRIu64
	        " of %s is under way and shares connections with %s; ask again when it has ended",
	        other->intent.id, other->intent.vm, vm);
}

struct admission admission_has_one_vf(
        const struct inventory *inventory, const char *host, const char *vm, const char *slot)
{
	const Tether__Slot *other =
	        *slot ? inventory_other_slot_of_vm(inventory, host, vm, slot) : NULL;

	if (!other)
		return (struct admission){0};
	return admission_refuse("several-vfs",
	        "%s has a VF in slot %s of %s and another in %s: a VM moves with one, and would "
	        "lose the other with all that is connected over it; end what uses one of them, "
	        "take that one away from the VM, and ask again",
	        vm, slot, host, other->name);
}

static bool is_place(const struct place *place, const char *host, const char *slot)
{
	return !strcmp(place->host, host) && !strcmp(place->slot, slot);
}

/* Whose migration has the slot; NULL: nobody's. */
static const struct migration *slot_holder(
        const struct under_way *under_way, const char *host, const char *slot)
{
	for (size_t i = 0; under_way && i < under_way->count; i++) {
		const struct migration *m = under_way->migrations[i];

		if (is_place(&m->intent.source, host, slot) ||
		        is_place(&m->intent.destination, host, slot))
			return m;
	}
	return NULL;
}

bool admission_slot_is_held(const struct under_way *under_way, const char *host, const char *slot)
{
	return slot_holder(under_way, host, slot) ||
	       (under_way && vm_changes_of_slot(under_way->changes, host, slot));
}

bool admission_slot_fits(const Tether__Slot *slot, const Tether__Slot *left)
{
	return !left || (slot->shared_port == left->shared_port && slot->dynamic == left->dynamic);
}

/* Its link may be up and the SM route to it for a VM that did not go to its end. */
static bool is_left_over(const struct inventory *inventory, const struct under_way *under_way,
        const char *host, const Tether__Slot *slot)
{
	const struct inventory_host *at;
	const struct vm_change *left = under_way ? vm_changes_left_in(under_way->changes, host,
	                                                   slot->name, slot->port_guid)
	                                         : NULL;
	const Tether__HostVm *vm = left ? inventory_vm(inventory, left->intent.vm, &at) : NULL;

	return left && (!vm || !*vm->slot);
}

const Tether__Slot *admission_free_slot(const struct inventory *inventory,
        const struct under_way *under_way, const char *host, const Tether__Slot *slot)
{
	do {
		slot = inventory_free_slot(inventory, host, slot);
	} while (slot && (admission_slot_is_held(under_way, host, slot->name) ||
	                         is_left_over(inventory, under_way, host, slot)));
	return slot;
}

static const Tether__Slot *free_slot(
        const struct inventory *inventory, const struct under_way *under_way, const char *host)
{
	return admission_free_slot(inventory, under_way, host, NULL);
}

/* One that fits, if there is one. */
static const Tether__Slot *free_slot_for(const struct inventory *inventory,
        const struct under_way *under_way, const char *host, const Tether__Slot *left)
{
	const Tether__Slot *slot = free_slot(inventory, under_way, host), *first = slot;

	while (slot && !admission_slot_fits(slot, left))
		slot = admission_free_slot(inventory, under_way, host, slot);
	return slot ? slot : first;
}

struct admission admission_host(const struct inventory *inventory, const char *host)
{
	if (!inventory_find(inventory, host))
		return admission_refuse("unknown-host",
		        "no agent has ever called itself %s; see tether hosts", host);
	if (!inventory_is_connected(inventory, host))
		return admission_refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", host);
	return (struct admission){0};
}

static struct admission hosts_check(const struct inventory *inventory,
        const struct inventory_host *source, const char *vm, const char *to)
{
	if (!inventory_find(inventory, to))
		return admission_refuse(
		        "unknown-host", "no agent has ever called itself %s; see tether hosts", to);
	if (!strcmp(source->name, to))
		return admission_refuse("same-host", "%s is on %s already", vm, to);
	if (!source->connected)
		return admission_refuse("host-not-connected",
		        "the agent of %s, where %s is, is not connected; start it first",
		        source->name, vm);
	if (!inventory_is_connected(inventory, to))
		return admission_refuse("host-not-connected",
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
	place->lid = slot->shared_port && slot->address ? slot->address->lid : 0;
	return name_set(place->host, host) || name_set(place->slot, slot->name);
}

static void identity_set(struct identity *identity, const Tether__Slot *slot)
{
	identity->node_guid = slot->node_guid;
	identity->port_guid = slot->port_guid;
}

/* Its port's prefix is the slot's, its GUID the VM's: that the slot shows it now may not be in the
 * address that its host has said. */
static void gid_set_guid(struct address *address, uint64_t port_guid)
{
	uint64_t on_wire = htobe64(port_guid);

	memcpy(address->gid + sizeof(address->gid) - sizeof(on_wire), &on_wire, sizeof(on_wire));
}

static struct admission slots_fill(const struct inventory *inventory,
        const struct under_way *under_way, const char *source_host, const Tether__HostVm *vm,
        const char *to, struct migration_intent *intent)
{
	const Tether__Slot *source = inventory_slot(inventory, source_host, vm->slot);
	const Tether__Slot *destination = free_slot_for(inventory, under_way, to, source);

	if (!source)
		return admission_refuse(
		        "vm-without-vf", "%s has no VF on %s", vm->name, source_host);
	if (!destination)
		return admission_refuse(
		        "no-free-vf", "all VFs of %s are taken; see tether hosts", to);
	if (name_set(intent->vm, vm->name) || place_set(&intent->source, source_host, source) ||
	        place_set(&intent->destination, to, destination))
		return admission_refuse("name-too-long", "names have at most %d characters",
		        MIGRATION_NAME_BYTES - 1);
	if (source->shared_port != destination->shared_port)
		return admission_refuse("endpoint-differs",
		        "under Shared Port a VM's LID changes, behind a vSwitch it moves along: "
		        "from "
		        "%s to %s it could do neither",
		        source_host, to);
	if (source->dynamic != destination->dynamic)
		return admission_refuse("endpoint-differs",
		        "one of %s and %s has dynamic LIDs and the other prepopulated ones: a VM "
		        "that leaves takes its LID along, or gets the other slot's for it",
		        source_host, to);
	intent->shared_port = source->shared_port;
	intent->dynamic = source->dynamic;
	identity_set(&intent->identity, source);
	identity_set(&intent->other, destination);
	if (source->address && address_decode(source->address, &intent->address))
		return admission_refuse("bad-address",
		        "%s says no address of slot %s that could be one", source_host,
		        source->name);
	if (intent->shared_port && (!source->address || !source->address->lid))
		return admission_refuse("bad-address",
		        "%s says no LID of slot %s, whose port is shared", source_host,
		        source->name);
	if (intent->shared_port)
		gid_set_guid(&intent->address, source->port_guid);
	return (struct admission){0};
}

struct admission admission_check(const struct inventory *inventory,
        const struct under_way *under_way, const char *vm, const char *to,
        struct migration_intent *intent)
{
	const struct inventory_host *source = NULL;
	const Tether__HostVm *found = inventory_vm(inventory, vm, &source);
	struct admission admission;

	if (!found)
		return admission_refuse(
		        "unknown-vm", "no host has a VM named %s; see tether vms", vm);
	admission = hosts_check(inventory, source, vm, to);
	if (!admission.reason)
		admission = admission_has_one_vf(inventory, source->name, vm, found->slot);
	if (!admission.reason)
		admission = others_check(under_way, vm, !intent->evacuation);
	if (!admission.reason)
		admission = slots_fill(inventory, under_way, source->name, found, to, intent);
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
        const struct under_way *under_way, const struct migration *last, const char *to,
        struct migration_intent *intent)
{
	uint64_t guid = last->intent.identity.port_guid;
	const struct inventory_host *here, *there;
	const Tether__Slot *at_home = inventory_slot_showing(inventory, guid, to, true, &here);
	const Tether__Slot *abroad = inventory_slot_showing(inventory, guid, to, false, &there);
	const Tether__Slot *slot = at_home ? at_home : free_slot(inventory, under_way, to);
	const struct migration *holder;
	const struct vm_change *change = NULL;

	if (!migration_moves_guids(intent))
		abroad = NULL;
	if ((at_home && *at_home->vm) || (abroad && *abroad->vm))
		return admission_refuse("guids-in-use",
		        "the slot with the GUIDs of %s is held by %s", intent->vm,
		        at_home && *at_home->vm ? at_home->vm : abroad->vm);
	if (migration_moves_guids(intent) && !at_home && !abroad)
		return admission_refuse("guids-not-found",
		        "no slot shows the GUIDs of %s; is an agent not connected?", intent->vm);
	if (abroad && !there->connected)
		return admission_refuse("host-not-connected",
		        "a slot of %s shows the GUIDs of %s, and its agent is not connected; start "
		        "it first",
		        there->name, intent->vm);
	holder = at_home ? slot_holder(under_way, to, at_home->name) : NULL;
	if (!holder && abroad)
		holder = slot_holder(under_way, there->name, abroad->name);
	if (holder)
		return admission_refuse("busy",
		        "migration %" PRIu64
		        " of %s has the slot with the GUIDs of %s; ask again when it has ended",
		        holder->intent.id, holder->intent.vm, intent->vm);
	if (under_way && at_home)
		change = vm_changes_of_slot(under_way->changes, to, at_home->name);
	if (under_way && abroad && !change)
		change = vm_changes_of_slot(under_way->changes, there->name, abroad->name);
	if (change)
		return admission_refuse("busy",
		        "%s is being %s in the slot with the GUIDs of %s; ask again when that has "
		        "ended",
		        change->intent.vm, change->intent.destroys ? "destroyed" : "created",
		        intent->vm);
	if (!slot)
		return admission_refuse(
		        "no-free-vf", "all VFs of %s are taken; see tether hosts", to);
	if (place_set(&intent->destination, to, slot) ||
	        place_set(&intent->source, abroad ? there->name : to, abroad ? abroad : slot))
		return admission_refuse("name-too-long", "names have at most %d characters",
		        MIGRATION_NAME_BYTES - 1);
	intent->other = last->intent.other;
	if (!at_home)
		identity_set(&intent->other, slot);
	return (struct admission){0};
}

struct admission admission_reattach(const struct inventory *inventory,
        const struct under_way *under_way, const struct migration *last, const char *vm,
        const char *to, struct migration_intent *intent)
{
	struct admission admission = others_check(under_way, vm, false);

	if (!inventory_is_connected(inventory, to))
		return admission_refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", to);
	if (admission.reason)
		return admission;
	if (!last)
		return admission_refuse("vm-without-vf",
		        "%s has no VF on %s, and which GUIDs it had is not known here", vm, to);
	intent->reattach = true;
	intent->identity = last->intent.identity;
	intent->address = last->intent.address;
	intent->shared_port = last->intent.shared_port;
	intent->dynamic = last->intent.dynamic;
	if (name_set(intent->vm, vm))
		return admission_refuse("name-too-long", "names have at most %d characters",
		        MIGRATION_NAME_BYTES - 1);
	return reattach_fill(inventory, under_way, last, to, intent);
}

const Tether__Attributes *admission_attributes(
        const struct inventory *inventory, const struct migration_intent *intent)
{
	const Tether__Slot *slot =
	        inventory_slot(inventory, intent->source.host, intent->source.slot);

	return slot ? slot->attributes : NULL;
}
