/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include "sm-side/plan/relabel.h"

uint8_t relabel_after(const struct view_switch *sw, const struct relabel *relabel)
{
	if (!relabel->like)
		return LFT_NO_PORT;
	if (sw->guid == relabel->to.switch_guid)
		return relabel->to.port;
	return view_lft_entry(sw, relabel->like);
}

int entry_add(struct entry_list *entries, const struct view_switch *sw, uint32_t index,
        uint16_t lid, uint8_t after)
{
	uint8_t before = view_lft_entry(sw, lid);

	if (before == after)
		return 0;
	if (entries->count == entries->room) {
		uint32_t room = entries->room ? entries->room * 2 : 64;
		struct plan_entry *grown = reallocarray(entries->at, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		entries->at = grown;
		entries->room = room;
	}
	entries->at[entries->count++] = (struct plan_entry){sw->guid, index, lid, before, after};
	return 0;
}

static int by_switch_and_lid(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;

	if (x->switch_guid != y->switch_guid)
		return x->switch_guid < y->switch_guid ? -1 : 1;
	return (x->lid > y->lid) - (x->lid < y->lid);
}

void entries_sort(struct entry_list *entries)
{
	if (entries->count)
		qsort(entries->at, entries->count, sizeof(*entries->at), by_switch_and_lid);
}

void entries_clear(struct entry_list *entries)
{
	free(entries->at);
	*entries = (struct entry_list){0};
}

int relabel_entries(const struct fabric_view *view, const struct relabel *relabels, uint32_t count,
        struct entry_list *entries)
{
	for (uint32_t i = 0; i < view->switch_count; i++) {
		uint32_t index = view->switches_by_guid[i];
		const struct view_switch *sw = &view->switches[index];

		for (uint32_t r = 0; r < count; r++)
			if (entry_add(entries, sw, index, relabels[r].lid,
			            relabel_after(sw, &relabels[r])))
				return -ENOMEM;
	}
	return 0;
}
