/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_admission.h"

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

/* What is left of it would be nobody's to take back. */
static struct admission rest_check(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_wish *wish)
{
	const struct vm_change *standing = vm_changes_standing(under_way->changes, wish->name);
	const struct place *place = standing ? &standing->intent.place : NULL;
	const Tether__Slot *slot =
	        place ? inventory_slot(inventory, place->host, place->slot) : NULL;

	if (!slot || vm_changes_left_in(under_way->changes, place->host, place->slot,
	                     slot->port_guid) != standing)
		return (struct admission){0};
	return admission_refuse("vm-exists",
	        "%s has not gone to its end yet (slot %s of %s); destroy it first", wish->name,
	        place->slot, place->host);
}

static struct admission newcomer_check(const struct inventory *inventory,
        const struct under_way *under_way, const struct vm_wish *wish)
{
	const struct inventory_host *at = NULL;
	const Tether__HostVm *vm = inventory_vm(inventory, wish->name, &at);

	if (!vm || (!*vm->slot && !strcmp(at->name, wish->host)))
		return rest_check(inventory, under_way, wish);
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

/* Of VFs with LIDs of their own each is a node of its own, and an SM takes two of one NodeGUID for
 * one. */
static bool is_shown(const Tether__Slot *by, struct identity identity, const Tether__Slot *slot)
{
	return by != slot && (by->port_guid == identity.port_guid ||
	                             (slot->dynamic && by->node_guid == identity.node_guid));
}

static bool is_shown_beside(
        const struct inventory *inventory, struct identity identity, const Tether__Slot *slot)
{
	for (const struct inventory_host *h = inventory->hosts; h; h = h->next)
		for (size_t i = 0; h->said && i < h->said->n_slots; i++)
			if (is_shown(h->said->slots[i], identity, slot))
				return true;
	return false;
}

/* By a road that was lost; with these GUIDs, which a slot has to show, it is given a VF again
 * (admission_reattach). */
static bool is_without_its_vf(const struct under_way *under_way, const struct ledger *ledger,
        const Tether__HostVm *vm, struct identity identity)
{
	const struct migration *last = *vm->slot ? NULL : ledger_latest_of(ledger, vm->name);

	return last && (last->state == STATE_LOST || last->intent.reattach) &&
	       last->intent.identity.port_guid == identity.port_guid &&
	       !vm_changes_has_gone(under_way->changes, vm->name, last->intent.asked_wall_us);
}

static bool is_awaited(const struct inventory *inventory, const struct under_way *under_way,
        const struct ledger *ledger, const struct vm_wish *wish, struct identity identity)
{
	for (const struct inventory_host *h = inventory->hosts; h; h = h->next)
		for (size_t i = 0; h->said && i < h->said->n_vms; i++)
			if (strcmp(h->said->vms[i]->name, wish->name) &&
			        is_without_its_vf(under_way, ledger, h->said->vms[i], identity))
				return true;
	return false;
}

static struct identity identity_in(const struct vm_wish *wish, const Tether__Slot *slot)
{
	return wish->identity.port_guid ? wish->identity : identity_of(slot);
}

static struct admission identity_check(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const struct vm_wish *wish,
        const Tether__Slot *slot)
{
	struct identity identity = identity_in(wish, slot);

	/* Those of an empty slot are nobody's, but whoever is to come there. */
	if (!is_shown_beside(inventory, identity, slot) &&
	        !vm_changes_of_identity(under_way->changes, identity) &&
	        !is_awaited(inventory, under_way, ledger, wish, identity))
		return (struct admission){0};
	return admission_refuse("guid-in-use",
	        "port GUID 0x%016" PRIx64 " or NodeGUID 0x%016" PRIx64 " is another's",
	        identity.port_guid, identity.node_guid);
}

/* The first in which nobody else's GUIDs would come up. */
static struct admission slot_choose(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const struct vm_wish *wish,
        const Tether__Slot **slot)
{
	struct admission refused = {0};

	*slot = NULL;
	while ((*slot = admission_free_slot(inventory, under_way, wish->host, *slot))) {
		struct admission admission =
		        identity_check(inventory, under_way, ledger, wish, *slot);

		if (is_awaited(inventory, under_way, ledger, wish, identity_of(*slot)))
			continue;
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
        const struct under_way *under_way, const struct ledger *ledger, const struct vm_wish *wish,
        const Tether__Slot **slot)
{
	if (!*wish->slot)
		return slot_choose(inventory, under_way, ledger, wish, slot);
	*slot = inventory_slot(inventory, wish->host, wish->slot);
	if (!*slot)
		return admission_refuse("unknown-slot", "%s has no slot %s; see tether hosts",
		        wish->host, wish->slot);
	if (!is_free(inventory, under_way, wish->host, *slot) ||
	        is_awaited(inventory, under_way, ledger, wish, identity_of(*slot)))
		return admission_refuse(
		        "slot-in-use", "slot %s of %s is taken", wish->slot, wish->host);
	return identity_check(inventory, under_way, ledger, wish, *slot);
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
        const struct under_way *under_way, const struct ledger *ledger, const struct vm_wish *wish,
        struct vm_change_intent *intent)
{
	struct admission admission = admission_host(inventory, wish->host);
	const Tether__Slot *slot = NULL;

	if (!admission.reason)
		admission = admission_vm_is_free(under_way, wish->name);
	if (!admission.reason)
		admission = newcomer_check(inventory, under_way, wish);
	if (!admission.reason)
		admission = slot_find(inventory, under_way, ledger, wish, &slot);
	if (!admission.reason)
		admission = identity_fill(under_way, wish, slot, intent);
	if (!admission.reason && place_set(intent, wish->name, wish->host, slot))
		admission = name_too_long();
	return admission;
}

/* ---- one that goes ---- */

/* Of a VM that has no VF: after a move that was lost, or an end that was not complete. */
static const Tether__Slot *slot_without_vf(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const char *vm,
        const struct inventory_host **host)
{
	const struct vm_change *standing = vm_changes_standing(under_way->changes, vm);
	const struct migration *last = ledger_latest_of(ledger, vm);
	const struct place *place = standing ? &standing->intent.place : NULL;
	const Tether__Slot *slot;

	if (last && last->state == STATE_LOST &&
	        (!standing || standing->intent.asked_wall_us <= last->intent.asked_wall_us))
		return inventory_slot_showing(
		        inventory, last->intent.identity.port_guid, "", false, host);
	*host = place ? inventory_find(inventory, place->host) : NULL;
	slot = *host ? inventory_slot(inventory, place->host, place->slot) : NULL;
	if (slot && vm_changes_left_in(under_way->changes, place->host, place->slot,
	                    slot->port_guid) == standing)
		return slot;
	return NULL;
}

static struct admission slot_of_going(const struct inventory *inventory,
        const struct under_way *under_way, const struct ledger *ledger, const char *vm,
        const struct inventory_host **host, const Tether__Slot **slot)
{
	const Tether__HostVm *found = inventory_vm(inventory, vm, host);

	*slot = found ? inventory_slot(inventory, (*host)->name, found->slot) : NULL;
	if (*slot)
		return (struct admission){0};
	*slot = slot_without_vf(inventory, under_way, ledger, vm, host);
	if (*slot && (*slot)->dynamic && !*(*slot)->vm &&
	        !admission_slot_is_held(under_way, (*host)->name, (*slot)->name))
		return (struct admission){0};
	if (!found)
		return admission_refuse(
		        "unknown-vm", "no host has a VM named %s; see tether vms", vm);
	return admission_refuse("vm-without-vf", "%s has no VF that it could give up", vm);
}

/* Where something is left of the VM the slot may show its own GUIDs again, and the SM has the VM's
 * nevertheless. */
static void identity_of_going(const struct under_way *under_way, const char *vm, const char *host,
        const Tether__Slot *slot, struct vm_change_intent *intent)
{
	const struct vm_change *left =
	        vm_changes_left_in(under_way->changes, host, slot->name, slot->port_guid);

	intent->identity = identity_of(slot);
	if (!*slot->vm && left && !strcmp(left->intent.vm, vm))
		intent->identity = left->intent.identity;
	intent->own = vm_changes_own(under_way->changes, vm, intent->identity.port_guid);
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
	if (!host || !slot)
		return admission;
	if (!admission.reason)
		admission = admission_has_one_vf(inventory, host->name, vm, slot->name);
	if (!admission.reason)
		admission = admission_host(inventory, host->name);
	if (admission.reason)
		return admission;
	intent->destroys = true;
	identity_of_going(under_way, vm, host->name, slot, intent);
	return place_set(intent, vm, host->name, slot) ? name_too_long() : admission;
}
