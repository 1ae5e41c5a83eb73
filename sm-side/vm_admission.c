/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_admission.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct admission name_too_long(void)
{
	return admission_refuse(
	        "name-too-long", "names have at most %d characters", MIGRATION_NAME_BYTES - 1);
}

static int name_set(char name[MIGRATION_NAME_BYTES], const char *from)
{
	return snprintf(name, MIGRATION_NAME_BYTES, "%s", from) >= MIGRATION_NAME_BYTES;
}

/* True: a name is too long. */
static bool place_set(
        struct vm_change_intent *intent, const char *vm, const char *host, const Tether__Slot *slot)
{
	intent->place.switch_guid = slot->switch_guid;
	intent->place.switch_port = slot->switch_port;
	intent->dynamic = slot->dynamic;
	return name_set(intent->vm, vm) || name_set(intent->place.host, host) ||
	       name_set(intent->place.slot, slot->name);
}

static struct identity identity_of(const Tether__Slot *slot)
{
	return (struct identity){slot->node_guid, slot->port_guid};
}

/* ---- one that comes ---- */

static struct admission newcomer_check(
        const struct inventory *inventory, const struct vm_wish *wish)
{
	const struct inventory_host *at = NULL;
	const Tether__HostVm *vm = inventory_vm(inventory, wish->name, &at);

	if (!vm || (!*vm->slot && !strcmp(at->name, wish->host)))
		return (struct admission){0};
	if (*vm->slot)
		return admission_refuse("vm-exists", "%s has a VF on %s already (slot %s)",
		        wish->name, at->name, vm->slot);
	return admission_refuse(
	        "vm-exists", "%s is on %s; it can be given a VF there", wish->name, at->name);
}

static bool is_free(const struct inventory *inventory, const struct under_way *under_way,
        const char *host, const Tether__Slot *slot)
{
	const Tether__Slot *free = NULL;

	do {
		free = admission_free_slot(inventory, under_way, host, free);
	} while (free && free != slot);
	return free;
}

/* Those of an empty slot are nobody's, but whoever is to come there. */
static bool guid_is_anothers(const struct inventory *inventory, const struct under_way *under_way,
        uint64_t port_guid, const Tether__Slot *slot)
{
	const struct inventory_host *host;
	const Tether__Slot *showing =
	        inventory_slot_showing(inventory, port_guid, "", false, &host);

	return (showing && showing != slot) || vm_changes_of_guid(under_way->changes, port_guid);
}

static struct identity identity_in(const struct vm_wish *wish, const Tether__Slot *slot)
{
	return wish->identity.port_guid ? wish->identity : identity_of(slot);
}

static struct admission identity_check(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_wish *wish, const Tether__Slot *slot)
{
	uint64_t port_guid = identity_in(wish, slot).port_guid;

	if (guid_is_anothers(inventory, under_way, port_guid, slot))
		return admission_refuse(
		        "guid-in-use", "port GUID 0x%016" PRIx64 " is another's", port_guid);
	return (struct admission){0};
}

/* The first in which nobody else's GUIDs would come up. */
static struct admission slot_choose(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_wish *wish, const Tether__Slot **slot)
{
	struct admission refused = {0};

	*slot = NULL;
	while ((*slot = admission_free_slot(inventory, under_way, wish->host, *slot))) {
		struct admission admission = identity_check(inventory, under_way, wish, *slot);

		if (!admission.reason)
			return admission;
		if (!refused.reason)
			refused = admission;
	}
	if (refused.reason)
		return refused;
	return admission_refuse(
	        "no-free-vf", "all VFs of %s are taken; see tether hosts", wish->host);
}

static struct admission slot_find(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_wish *wish, const Tether__Slot **slot)
{
	if (!*wish->slot)
		return slot_choose(inventory, under_way, wish, slot);
	*slot = inventory_slot(inventory, wish->host, wish->slot);
	if (!*slot)
		return admission_refuse("unknown-slot", "%s has no slot %s; see tether hosts",
		        wish->host, wish->slot);
	if (!is_free(inventory, under_way, wish->host, *slot))
		return admission_refuse(
		        "slot-in-use", "slot %s of %s is taken", wish->slot, wish->host);
	return identity_check(inventory, under_way, wish, *slot);
}

static struct admission identity_fill(const struct under_way *under_way, const struct vm_wish *wish,
        const Tether__Slot *slot, struct vm_change_intent *intent)
{
	struct identity own = identity_of(slot);

	intent->identity = identity_in(wish, slot);
	intent->lid = wish->lid;
	if (!slot->dynamic && (wish->lid || wish->identity.port_guid))
		return admission_refuse("not-dynamic",
		        "the slots of %s have GUIDs and LIDs of their own, which whoever is in "
		        "them takes over",
		        wish->host);
	if (wish->lid && !intent->fabric)
		return admission_refuse("no-fabric", "there is no SM here to give out LIDs");
	intent->own = intent->identity.port_guid == own.port_guid
	                      ? vm_changes_own(under_way->changes, wish->name, own.port_guid)
	                      : own;
	return (struct admission){0};
}

struct admission vm_admission_create(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_wish *wish,
        struct vm_change_intent *intent)
{
	struct admission admission = admission_host(inventory, wish->host);
	const Tether__Slot *slot = NULL;

	if (!admission.reason)
		admission = admission_vm_is_free(under_way, wish->name);
	if (!admission.reason)
		admission = newcomer_check(inventory, wish);
	if (!admission.reason)
		admission = slot_find(inventory, under_way, wish, &slot);
	if (!admission.reason)
		admission = identity_fill(under_way, wish, slot, intent);
	if (!admission.reason && place_set(intent, wish->name, wish->host, slot))
		admission = name_too_long();
	return admission;
}

/* ---- one that goes ---- */

/* The GUIDs of a VM that has no VF: after a move that was lost, or an end that was not complete. */
static uint64_t guid_without_vf(
        const struct under_way *under_way, const struct ledger *ledger, const char *vm)
{
	const struct vm_change *change = vm_changes_latest(under_way->changes, vm);
	const struct migration *last = ledger_latest_of(ledger, vm);

	if (change && (!last || change->intent.asked_wall_us > last->intent.asked_wall_us))
		return change->state == CHANGE_LEFT ? change->intent.identity.port_guid : 0;
	return last && last->state == STATE_LOST ? last->intent.identity.port_guid : 0;
}

static struct admission slot_of_going(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const char *vm,
        const struct inventory_host **host, const Tether__Slot **slot)
{
	const Tether__HostVm *found = inventory_vm(inventory, vm, host);
	uint64_t guid;

	*slot = found ? inventory_slot(inventory, (*host)->name, found->slot) : NULL;
	if (*slot)
		return (struct admission){0};
	guid = guid_without_vf(under_way, ledger, vm);
	if (guid)
		*slot = inventory_slot_showing(inventory, guid, "", false, host);
	if (*slot && (*slot)->dynamic && !*(*slot)->vm &&
	        !admission_slot_is_held(under_way, (*host)->name, (*slot)->name))
		return (struct admission){0};
	if (!found)
		return admission_refuse(
		        "unknown-vm", "no host has a VM named %s; see tether vms", vm);
	return admission_refuse("vm-without-vf", "%s has no VF that it could give up", vm);
}

struct admission vm_admission_destroy(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const char *vm,
        struct vm_change_intent *intent)
{
	const struct inventory_host *host = NULL;
	const Tether__Slot *slot = NULL;
	struct admission admission = admission_vm_is_free(under_way, vm);

	if (!admission.reason)
		admission = slot_of_going(inventory, under_way, ledger, vm, &host, &slot);
	if (!admission.reason)
		admission = admission_host(inventory, host->name);
	if (admission.reason)
		return admission;
	intent->destroys = true;
	intent->identity = identity_of(slot);
	intent->own = vm_changes_own(under_way->changes, vm, slot->port_guid);
	return place_set(intent, vm, host->name, slot) ? name_too_long() : admission;
}
