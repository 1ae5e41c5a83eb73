/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/migration/whereabouts.h"

#include <string.h>

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

	if (!migration_reenter_asks(migration->journalled, FACT_SHOWN_TWICE))
		return false;
	for (unsigned i = 0; i < migration_vf_count(intent); i++) {
		const struct moving_vf *vf = &intent->vfs[i];

		if (shows(inventory, &vf->source, vf->identity.port_guid) &&
		        shows(inventory, &vf->destination, vf->identity.port_guid))
			return true;
	}
	return false;
}

/* They come and go one after the other: all are to have come, or all to have gone. But on the way
 * forward none is missing at the source: before that all are there, and on the way back all are to
 * come back. */
static bool has_vfs(const struct inventory *inventory, const struct migration_intent *intent,
        bool at_destination, bool all)
{
	unsigned held = 0;

	for (unsigned i = 0; i < migration_vf_count(intent); i++) {
		const struct place *place =
		        at_destination ? &intent->vfs[i].destination : &intent->vfs[i].source;
		const Tether__Slot *slot = inventory_slot(inventory, place->host, place->slot);

		held += slot && !strcmp(slot->vm, intent->vm);
	}
	return all ? held == migration_vf_count(intent) : held;
}

static bool is_with_vf(const struct inventory *inventory, const struct migration *m,
        const Tether__HostVm *vm, bool at_destination)
{
	if (!vm || !m->intent.others)
		return vm && *vm->slot;
	return has_vfs(inventory, &m->intent, at_destination,
	        at_destination || migration_phase(m->journalled) != PHASE_FORWARD);
}

unsigned whereabouts_may_be_there(const struct inventory *inventory, const struct migration *m)
{
	const struct migration_intent *intent = &m->intent;
	unsigned may_be = 0;

	/* An orchestrator attaches without an order of ours, so nobody has looked. */
	if (intent->called || migration_state_action(m->journalled) == ACTION_ATTACH_VF ||
	        !inventory_is_connected(inventory, intent->destination.host))
		return MIGRATION_ALL_VFS;
	for (unsigned i = 0; i < migration_vf_count(intent); i++) {
		const struct place *place = &intent->vfs[i].destination;
		const Tether__Slot *slot = inventory_slot(inventory, place->host, place->slot);

		if (slot && !strcmp(slot->vm, intent->vm))
			may_be |= 1U << i;
	}
	return may_be;
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
	if (is_with_vf(inventory, migration, there, true))
		return FACT_AT_DESTINATION;
	if (is_with_vf(inventory, migration, here, false))
		return FACT_AT_SOURCE;
	/* On its way both may have it. */
	if (!here == !there)
		return FACT_ANYWHERE;
	return there ? FACT_AT_DESTINATION_WITHOUT_VF : FACT_AT_SOURCE_WITHOUT_VF;
}
