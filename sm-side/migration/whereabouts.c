/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/whereabouts.h"

bool whereabouts_are_known(const struct inventory *inventory, const struct migration *migration)
{
	bool asks = migration->committed ||
	            (migration_reenter_asks(migration->journalled, FACT_AT_DESTINATION) &&
	                    migration->fact != FACT_AT_SOURCE);

	return inventory_is_connected(inventory, migration->intent.source.host) &&
	       (!asks || inventory_is_connected(inventory, migration->intent.destination.host));
}

bool whereabouts_need_sm(const struct migration *migration)
{
	return migration->intent.fabric && !migration->intent.shared_port &&
	       migration_reenter_asks(migration->journalled, FACT_NOT_CARRIED);
}

static bool shows(const struct inventory *inventory, const struct place *place, uint64_t port_guid)
{
	const Tether__Slot *slot = inventory_slot(inventory, place->host, place->slot);

	return slot && slot->port_guid == port_guid;
}

static bool is_shown_twice(const struct inventory *inventory, const struct migration *migration)
{
	const struct migration_intent *intent = &migration->intent;

	return migration_reenter_asks(migration->journalled, FACT_SHOWN_TWICE) &&
	       shows(inventory, &intent->source, intent->identity.port_guid) &&
	       shows(inventory, &intent->destination, intent->identity.port_guid);
}

enum migration_fact whereabouts_fact(
        const struct inventory *inventory, const struct migration *migration, bool carried)
{
	const struct migration_intent *intent = &migration->intent;
	const Tether__HostVm *there, *here;

	if (!carried && whereabouts_need_sm(migration))
		return FACT_NOT_CARRIED;
	if (is_shown_twice(inventory, migration))
		return FACT_SHOWN_TWICE;
	here = inventory_vm_at(inventory, intent->source.host, intent->vm);
	there = inventory_vm_at(inventory, intent->destination.host, intent->vm);
	if (there && *there->slot)
		return FACT_AT_DESTINATION;
	if (here && *here->slot)
		return FACT_AT_SOURCE;
	/* On its way both may have it. */
	if (!here == !there)
		return FACT_ANYWHERE;
	return there ? FACT_AT_DESTINATION_WITHOUT_VF : FACT_AT_SOURCE_WITHOUT_VF;
}
