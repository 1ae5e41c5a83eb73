/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/alias.h"

/* 0: it is not there. Entry 0 is nobody's alias. */
static uint16_t find(const struct alias_table *table, uint64_t guid)
{
	for (uint16_t entry = 1; entry < table->entries; entry++)
		if (table->guid(table->owner, entry) == guid)
			return entry;
	return 0;
}

enum refusal alias_plan_make(const struct alias_table *from, const struct alias_table *to,
        uint64_t vm, uint64_t other, struct alias_plan *plan)
{
	uint16_t vm_here = find(from, vm), vm_there = find(to, vm);
	uint16_t other_here = find(from, other), other_there = find(to, other);

	if (!vm || !other || vm == other || !(vm_here || vm_there) || !(other_here || other_there))
		return REFUSAL_UNKNOWN_PORT;
	if (!from->lid || !to->lid)
		return REFUSAL_NO_LID;
	*plan = (struct alias_plan){.lid_before = from->lid, .lid_after = to->lid};
	if (vm_there && other_here && !(vm_here || other_there))
		return REFUSAL_NONE;
	if (!vm_here || !other_there || vm_there || other_here)
		return REFUSAL_STALE_PLAN;
	plan->changes[0] = (struct alias_change){from->port_guid, vm_here, vm, other};
	plan->changes[1] = (struct alias_change){to->port_guid, other_there, other, vm};
	plan->change_count = ALIAS_CHANGES_MAX;
	plan->guidinfo_sets = plan->change_count;
	return REFUSAL_NONE;
}
