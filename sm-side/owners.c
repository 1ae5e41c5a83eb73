/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/owners.h"

#include <string.h>

static bool is_at(const struct place *place, const char *host, const char *slot)
{
	return !strcmp(place->host, host) && !strcmp(place->slot, slot);
}

/* The slot of the two that is not the VM's shows what the other one did before. */
static struct migration *left_by(const struct ledger *ledger, const char *host,
        const Tether__Slot *slot, const char *vm, enum migration_action *action)
{
	for (struct ledger_entry *e = ledger->newest; e; e = e->older) {
		const struct migration_intent *intent = &e->migration.intent;

		if (intent->identity.port_guid != slot->port_guid || strcmp(intent->vm, vm) ||
		        !migration_ended(&e->migration) || !migration_moves_guids(intent))
			continue;
		if (is_at(&intent->source, host, slot->name))
			*action = ACTION_NAME_SOURCE;
		else if (is_at(&intent->destination, host, slot->name))
			*action = ACTION_NAME_DESTINATION_BACK;
		else
			continue;
		return &e->migration;
	}
	return NULL;
}

struct migration *owners_find_second(const struct inventory *inventory, const struct ledger *ledger,
        const char *host, enum migration_action *action)
{
	const struct inventory_host *h = inventory_find(inventory, host), *owner;
	struct migration *found = NULL;

	for (size_t i = 0; h && h->said && i < h->said->n_slots && !found; i++) {
		const Tether__Slot *slot = h->said->slots[i], *held;

		held = *slot->vm || !slot->port_guid
		               ? NULL
		               : inventory_slot_showing(
		                         inventory, slot->port_guid, host, false, &owner);
		if (held && *held->vm && owner->connected)
			found = left_by(ledger, host, slot, held->vm, action);
	}
	return found;
}
