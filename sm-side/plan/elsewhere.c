/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>

#include "sm-side/plan/content_hash.h"
#include "sm-side/plan/elsewhere.h"

/* Is @entries[*@at] the one of @guid and @lid? What comes before that is passed by. */
static bool is_planned(const struct plan *plan, uint32_t *at, uint64_t guid, uint16_t lid)
{
	const struct plan_entry *entry;

	for (; *at < plan->entry_count; (*at)++) {
		entry = &plan->entries[*at];
		if (entry->switch_guid > guid || (entry->switch_guid == guid && entry->lid >= lid))
			return entry->switch_guid == guid && entry->lid == lid;
	}
	return false;
}

/* Switches, entries and transfers ascend all three, so one pass is enough. */
uint64_t *elsewhere_names(const struct fabric_view *view, const struct plan *plan)
{
	uint64_t *names = calloc(plan->transfer_count + 1, sizeof(*names));
	uint32_t at = 0;

	if (!names)
		return NULL;
	for (uint32_t t = 0; t < plan->transfer_count; t++)
		names[t] = CONTENT_HASH_START;
	for (uint32_t i = 0; i < view->switch_count; i++) {
		const struct view_switch *sw = &view->switches[view->switches_by_guid[i]];

		for (uint32_t t = 0; t < plan->transfer_count; t++) {
			uint16_t lid = plan->transfers[t].identity.lid;
			uint8_t port = view_lft_entry(sw, lid);

			if (!is_planned(plan, &at, sw->guid, lid))
				names[t] = content_hash(names[t], &port, 1);
		}
	}
	return names;
}
