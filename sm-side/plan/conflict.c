/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/plan/conflict.h"

/* Blocks in the order of a plan's entries. */
static int compare_blocks(const struct plan_entry *a, const struct plan_entry *b)
{
	unsigned x = a->lid / LFT_BLOCK_LIDS, y = b->lid / LFT_BLOCK_LIDS;

	if (a->switch_guid != b->switch_guid)
		return a->switch_guid < b->switch_guid ? -1 : 1;
	return (x > y) - (x < y);
}

static bool share_blocks(const struct plan *a, const struct plan *b)
{
	uint32_t i = 0, j = 0;

	while (i < a->entry_count && j < b->entry_count) {
		int order = compare_blocks(&a->entries[i], &b->entries[j]);

		if (order == 0)
			return true;
		if (order < 0)
			i++;
		else
			j++;
	}
	return false;
}

static bool share_lids(const struct plan_movers *a, const struct plan_movers *b)
{
	uint32_t i = 0, j = 0;

	while (i < a->count && j < b->count) {
		uint16_t x = a->at[i].identity.lid, y = b->at[j].identity.lid;

		if (x == y)
			return true;
		if (x < y)
			i++;
		else
			j++;
	}
	return false;
}

static bool is_same_place(struct view_place a, struct view_place b)
{
	return a.switch_guid && view_place_equal(a, b);
}

static bool meet(const struct plan_transfer *a, const struct plan_transfer *b)
{
	return a->identity.port_guid == b->identity.port_guid ||
	       a->identity.node_guid == b->identity.node_guid || is_same_place(a->to, b->to) ||
	       is_same_place(a->to, b->from) || is_same_place(a->from, b->to) ||
	       is_same_place(a->from, b->from);
}

static bool share_identities_or_places(const struct plan_movers *a, const struct plan_movers *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		for (uint32_t j = 0; j < b->count; j++)
			if (meet(&a->at[i], &b->at[j]))
				return true;
	return false;
}

bool plan_movers_meet(const struct plan_movers *a, const struct plan_movers *b)
{
	return share_lids(a, b) || share_identities_or_places(a, b);
}

enum plan_conflict plans_conflict(const struct plan *a, const struct plan *b)
{
	struct plan_movers of_a = plan_movers_of(a), of_b = plan_movers_of(b);

	if (plan_movers_meet(&of_a, &of_b))
		return PLANS_SHARE_MOVERS;
	return share_blocks(a, b) ? PLANS_SHARE_BLOCKS : PLANS_APART;
}
