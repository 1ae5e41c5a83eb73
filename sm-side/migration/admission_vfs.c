/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/admission_vfs.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/vm_change/vm_changes.h"

/* Another VF of @intent goes there. */
static bool is_chosen(const struct migration_intent *intent, unsigned before, const char *slot)
{
	for (unsigned i = 0; i < before; i++)
		if (!strcmp(intent->vfs[i].destination.slot, slot))
			return true;
	return false;
}

/* One that is free and fits, if there is one, else one that is free. @before: so many VFs have
 * theirs. */
static const Tether__Slot *free_slot_for(const struct inventory *inventory,
        const struct under_way *under_way, const char *host, const Tether__Slot *left,
        const struct migration_intent *intent, unsigned before)
{
	const Tether__Slot *slot = NULL, *first = NULL;

	while ((slot = admission_free_slot(inventory, under_way, host, slot))) {
		if (is_chosen(intent, before, slot->name))
			continue;
		if (admission_slot_fits(slot, left))
			return slot;
		if (!first)
			first = slot;
	}
	return first;
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

static struct admission too_long(void)
{
	return admission_refuse(
	        "name-too-long", "names have at most %d characters", MIGRATION_NAME_BYTES - 1);
}

static struct admission kinds_differ(const char *from, const char *to, bool of_port)
{
	if (of_port)
		return admission_refuse("endpoint-differs",
		        "under Shared Port a VM's LID changes, behind a vSwitch it moves along: "
		        "from "
		        "%s to %s it could do neither",
		        from, to);
	return admission_refuse("endpoint-differs",
	        "one of %s and %s has dynamic LIDs and the other prepopulated ones: a VM "
	        "that leaves takes its LID along, or gets the other slot's for it",
	        from, to);
}

/* An Ethernet port has no LID, and what GIDs it shows is its host's: the VM is known by what its
 * processes announce, and its events are about an address of its own. */
static bool has_no_lid(const struct migration_intent *intent, const Tether__Slot *source)
{
	return !intent->fabric && !source->shared_port &&
	       (!source->address || !source->address->lid);
}

static struct admission address_fill(const struct migration_intent *intent, struct moving_vf *vf,
        const char *host, const Tether__Slot *source)
{
	if (has_no_lid(intent, source)) {
		vf->address.lid = gid_of_vm(intent->vm, vf->address.gid);
		return (struct admission){0};
	}
	if (source->address && address_decode(source->address, &vf->address))
		return admission_refuse("bad-address",
		        "%s says no address of slot %s that could be one", host, source->name);
	if (source->shared_port && (!source->address || !source->address->lid))
		return admission_refuse("bad-address",
		        "%s says no LID of slot %s, whose port is shared", host, source->name);
	if (source->shared_port)
		gid_set_guid(&vf->address, source->port_guid);
	return (struct admission){0};
}

/* @place: in @intent; those before it have been filled in. */
static struct admission vf_fill(const struct inventory *inventory,
        const struct under_way *under_way, const char *from, const Tether__Slot *source,
        const char *to, struct migration_intent *intent, unsigned place)
{
	struct moving_vf *vf = &intent->vfs[place];
	const Tether__Slot *destination =
	        free_slot_for(inventory, under_way, to, source, intent, place);

	if (!destination && place)
		return admission_refuse("no-free-vf",
		        "%s has not as many free VFs as %s has; see tether hosts", to, intent->vm);
	if (!destination)
		return admission_refuse(
		        "no-free-vf", "all VFs of %s are taken; see tether hosts", to);
	if (place_set(&vf->source, from, source) || place_set(&vf->destination, to, destination))
		return too_long();
	if (!admission_slot_fits(destination, source))
		return kinds_differ(from, to, source->shared_port != destination->shared_port);
	identity_set(&vf->identity, source);
	identity_set(&vf->other, destination);
	return address_fill(intent, vf, from, source);
}

/* Of one kind; behind a shared port a VF has no LID of its own, and without an SM no LID at all. */
static struct admission kinds_check(
        const struct migration_intent *intent, const Tether__Slot *first, const Tether__Slot *other)
{
	const char *why = NULL;

	if (intent->others >= MIGRATION_VFS_MAX - 1)
		why = "has more VFs than a VM moves with";
	else if (first->shared_port || other->shared_port)
		why = "has several VFs, one of them behind a shared port";
	else if (first->dynamic != other->dynamic)
		why = "has VFs with dynamic LIDs and such with prepopulated ones";
	else if (!intent->fabric)
		why = "has several VFs, which move with the subnet manager's help only";
	if (!why)
		return (struct admission){0};
	return admission_refuse("several-vfs",
	        "%s %s: slots %s and %s; end what uses one of them, take that one away from the "
	        "VM, "
	        "and ask again",
	        intent->vm, why, first->name, other->name);
}

struct admission admission_vfs_fill(const struct inventory *inventory,
        const struct under_way *under_way, const char *from, const Tether__HostVm *vm,
        const char *to, struct migration_intent *intent)
{
	const Tether__Slot *first = inventory_slot(inventory, from, vm->slot), *other = NULL;
	struct admission admission;

	if (!first)
		return admission_refuse("vm-without-vf", "%s has no VF on %s", vm->name, from);
	if (name_set(intent->vm, vm->name))
		return too_long();
	intent->shared_port = first->shared_port;
	intent->dynamic = first->dynamic;
	admission = vf_fill(inventory, under_way, from, first, to, intent, 0);
	while (!admission.reason && (other = inventory_other_slot_of_vm(
	                                     inventory, from, vm->name, first->name, other))) {
		admission = kinds_check(intent, first, other);
		if (!admission.reason)
			admission = vf_fill(
			        inventory, under_way, from, other, to, intent, ++intent->others);
	}
	return admission;
}

/* ---- a VM that has lost them ---- */

/* Both slots may show the GUIDs, after a road back that could not be gone to its end. */
static struct admission vf_find(const struct inventory *inventory,
        const struct under_way *under_way, const struct moving_vf *last, const char *to,
        struct migration_intent *intent, unsigned place)
{
	struct moving_vf *vf = &intent->vfs[place];
	uint64_t guid = last->identity.port_guid;
	const struct inventory_host *here, *there;
	const Tether__Slot *at_home = inventory_slot_showing(inventory, guid, to, true, &here);
	const Tether__Slot *abroad = inventory_slot_showing(inventory, guid, to, false, &there);
	const Tether__Slot *slot = at_home;
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
	holder = at_home ? admission_slot_holder(under_way, to, at_home->name) : NULL;
	if (!holder && abroad)
		holder = admission_slot_holder(under_way, there->name, abroad->name);
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
		slot = free_slot_for(inventory, under_way, to, NULL, intent, place);
	if (!slot)
		return admission_refuse(
		        "no-free-vf", "all VFs of %s are taken; see tether hosts", to);
	if (place_set(&vf->destination, to, slot) ||
	        place_set(&vf->source, abroad ? there->name : to, abroad ? abroad : slot))
		return too_long();
	vf->identity = last->identity;
	vf->address = last->address;
	vf->other = last->other;
	if (!at_home)
		identity_set(&vf->other, slot);
	return (struct admission){0};
}

/* Each shows its GUIDs where the VM is, or none does: what is at its place already is not to be
 * exchanged with itself. */
static struct admission vfs_find(const struct inventory *inventory,
        const struct under_way *under_way, const struct migration_intent *last, const char *to,
        struct migration_intent *intent)
{
	struct admission admission = {0};
	unsigned at_home = 0;

	for (unsigned i = 0; i < migration_vf_count(last) && !admission.reason; i++) {
		intent->others = i;
		admission = vf_find(inventory, under_way, &last->vfs[i], to, intent, i);
		at_home += !admission.reason && !strcmp(intent->vfs[i].source.host, to);
	}
	if (admission.reason || !at_home || at_home == migration_vf_count(last))
		return admission;
	return admission_refuse("several-vfs",
	        "slots of %s show the GUIDs of some of the VFs of %s, and others are shown "
	        "elsewhere; have a driver or the hypervisor set them in free slots of %s, and ask "
	        "again",
	        to, intent->vm, to);
}

struct admission admission_reattach(const struct inventory *inventory,
        const struct under_way *under_way, const struct migration *last, const char *vm,
        const char *to, struct migration_intent *intent)
{
	struct admission admission = admission_beside_others(under_way, vm, false);

	if (!inventory_is_connected(inventory, to))
		return admission_refuse("host-not-connected",
		        "the agent of %s is not connected; start it first", to);
	if (admission.reason)
		return admission;
	if (!last)
		return admission_refuse("vm-without-vf",
		        "%s has no VF on %s, and which GUIDs it had is not known here", vm, to);
	intent->reattach = true;
	intent->shared_port = last->intent.shared_port;
	intent->dynamic = last->intent.dynamic;
	if (name_set(intent->vm, vm))
		return too_long();
	return vfs_find(inventory, under_way, &last->intent, to, intent);
}
