/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plugin/osm_model.h"
#include "sm-side/identity/smp_sender.h"
#include "sm-side/identity/unacknowledged.h"

/* The blocks that a plan writes, one after the other. Begins as zeroes. */
struct block_walk {
	uint32_t next; /* of the plan's entries */
	uint64_t switch_guid;
	uint16_t block;
};

static bool block_walk_next(struct block_walk *walk, const struct plan *plan)
{
	while (walk->next < plan->entry_count) {
		const struct plan_entry *entry = &plan->entries[walk->next++];
		uint16_t block = entry->lid / LFT_BLOCK_LIDS;

		if (entry->switch_guid == walk->switch_guid && block == walk->block)
			continue;
		walk->switch_guid = entry->switch_guid;
		walk->block = block;
		return true;
	}
	return false;
}

/* Does the first wave of @sets write the block? *@next: where to look on; blocks ascend. */
static bool is_written(const struct plan_sets *sets, const struct block_walk *walk, uint32_t *next)
{
	for (; *next < sets->change_count && sets->changes[*next].wave == 0; ++*next) {
		const struct plan_change *change = &sets->changes[*next];

		if (change->switch_guid == walk->switch_guid && change->block == walk->block)
			return true;
		if (change->switch_guid > walk->switch_guid ||
		        (change->switch_guid == walk->switch_guid && change->block > walk->block))
			return false;
	}
	return false;
}

enum refusal unacknowledged_send(struct smp_sender *sender, const struct plan *plan,
        const struct plan_sets *but, uint32_t *posted)
{
	struct block_walk walk = {0};
	uint32_t next = 0;

	*posted = 0;
	while (block_walk_next(&walk, plan)) {
		int one = is_written(but, &walk, &next) ? 0
		                                        : smp_sender_opensm_lft_again(sender,
		                                                  walk.switch_guid, walk.block);

		if (one < 0)
			return REFUSAL_NOT_ACKNOWLEDGED;
		*posted += (uint32_t)one;
	}
	return REFUSAL_NONE;
}

bool unacknowledged_none(const struct osm_opensm *osm, const struct plan *plan)
{
	struct block_walk walk = {0};

	while (block_walk_next(&walk, plan)) {
		const osm_switch_t *sw = osm_model_switch(osm, walk.switch_guid);

		if (sw && !osm_model_block_acknowledged(sw, walk.block))
			return false;
	}
	return true;
}
