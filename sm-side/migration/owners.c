/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/owners.h"

#include <string.h>

#include "sm-side/vm_change/vm_changes.h"

static bool is_at(const struct place *place, const char *host, const char *slot)
{
	return !strcmp(place->host, host) && !strcmp(place->slot, slot);
}

static bool vf_left_by(const struct migration_intent *intent, const char *host,
        const Tether__Slot *slot, enum migration_action *action, unsigned *which)
{
	for (unsigned i = 0; i < migration_vf_count(intent); i++) {
		const struct moving_vf *vf = &intent->vfs[i];

		if (vf->identity.port_guid != slot->port_guid)
			continue;
		*which = i;
		*action = is_at(&vf->source, host, slot->name) ? ACTION_NAME_SOURCE
		                                               : ACTION_NAME_DESTINATION_BACK;
		return is_at(&vf->source, host, slot->name) ||
		       is_at(&vf->destination, host, slot->name);
	}
	return false;
}

/* The slot of the two that is not the VM's shows what the other one did before. */
static struct migration *left_by(const struct ledger *ledger, const char *host,
        const Tether__Slot *slot, const char *vm, enum migration_action *action)
{
	for (struct ledger_entry *e = ledger->newest; e; e = e->older) {
		struct migration_intent *intent = &e->migration.intent;

		if (strcmp(intent->vm, vm) || !migration_ended(&e->migration) ||
		        !migration_moves_guids(intent) ||
		        !vf_left_by(intent, host, slot, action, &e->migration.host_vf))
			continue;
		return &e->migration;
	}
	return NULL;
}

static bool is_under_way(
        const struct under_way *under_way, const char *host, const char *slot, const char *vm)
{
	for (size_t i = 0; i < under_way->count; i++)
		if (!strcmp(under_way->migrations[i]->intent.vm, vm))
			return true;
	return admission_slot_is_held(under_way, host, slot) ||
	       vm_changes_of_vm(under_way->changes, vm);
}

/* The VM that holds the slot elsewhere which shows the GUID of @slot, too; NULL: none. */
static const char *owner_of(
        const struct inventory *inventory, const char *host, const Tether__Slot *slot)
{
	const struct inventory_host *owner = NULL;
	const Tether__Slot *held =
	        *slot->vm || !slot->port_guid
	                ? NULL
	                : inventory_slot_showing(inventory, slot->port_guid, host, false, &owner);

	return held && *held->vm && owner->connected ? held->vm : NULL;
}

bool owners_find_second(const struct inventory *inventory, const struct under_way *under_way,
        const struct ledger *ledger, const char *host, struct owners_second *second)
{
	const struct inventory_host *h = inventory_find(inventory, host);
	bool behind = !second->slot;

	for (size_t i = 0; h && h->said && i < h->said->n_slots; i++) {
		const Tether__Slot *slot = h->said->slots[i];
		const char *vm = behind ? owner_of(inventory, host, slot) : NULL;

		behind |= slot == second->slot;
		if (!vm || is_under_way(under_way, host, slot->name, vm))
			continue;
		second->left_by = left_by(ledger, host, slot, vm, &second->action);
		if (!second->left_by)
			continue;
		second->slot = slot;
		return true;
	}
	return false;
}
