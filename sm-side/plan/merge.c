/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/merge.h"

void merge_block(const struct view_switch *sw, uint16_t block, struct plan_change *change)
{
	*change = (struct plan_change){
	        .switch_guid = sw->guid, .block = block, .is_vswitch = sw->is_vswitch};
	view_lft_block(sw, block, change->before);
	memcpy(change->after, change->before, LFT_BLOCK_LIDS);
}

static bool is_same_block(const struct plan_entry *a, const struct plan_entry *b)
{
	return a->switch_guid == b->switch_guid &&
	       a->lid / LFT_BLOCK_LIDS == b->lid / LFT_BLOCK_LIDS;
}

static uint32_t blocks_count(const struct plan_entry *entries, uint32_t count)
{
	uint32_t blocks = count ? 1 : 0;

	for (uint32_t i = 1; i < count; i++)
		blocks += !is_same_block(&entries[i - 1], &entries[i]);
	return blocks;
}

int plan_merge_sets(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, struct plan_sets *sets)
{
	uint32_t blocks = blocks_count(entries, count);
	struct plan_change *changes = calloc(blocks + 1, sizeof(*changes)), *last = changes;

	if (!changes)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct plan_entry *entry = &entries[i];

		if (i && !is_same_block(&entries[i - 1], entry))
			last++;
		if (!i || !is_same_block(&entries[i - 1], entry))
			merge_block(&view->switches[entry->sw], entry->lid / LFT_BLOCK_LIDS, last);
		last->after[entry->lid % LFT_BLOCK_LIDS] = entry->after;
	}
	*sets = (struct plan_sets){
	        .change_count = blocks, .changes = changes, .wave_count = blocks ? 1 : 0};
	return 0;
}

void plan_sets_clear(struct plan_sets *sets)
{
	free(sets->changes);
	*sets = (struct plan_sets){0};
}
