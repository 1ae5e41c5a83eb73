/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>
#include <string.h>

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

static bool share_lids(const struct plan *a, const struct plan *b)
{
	uint32_t i = 0, j = 0;

	while (i < a->transfer_count && j < b->transfer_count) {
		uint16_t x = a->transfers[i].identity.lid, y = b->transfers[j].identity.lid;

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

static bool share_identities_or_places(const struct plan *a, const struct plan *b)
{
	for (uint32_t i = 0; i < a->transfer_count; i++)
		for (uint32_t j = 0; j < b->transfer_count; j++)
			if (meet(&a->transfers[i], &b->transfers[j]))
				return true;
	return false;
}

enum plan_conflict plans_conflict(const struct plan *a, const struct plan *b)
{
	if (share_lids(a, b) || share_identities_or_places(a, b))
		return PLANS_SHARE_MOVERS;
	return share_blocks(a, b) ? PLANS_SHARE_BLOCKS : PLANS_APART;
}

enum refusal plan_requests_merge(
        const struct plan_request *a, const struct plan_request *b, struct plan_request *merged)
{
	struct plan_move_request *moves;

	if (a->order != b->order || a->reach != b->reach)
		return REFUSAL_BAD_REQUEST;
	moves = calloc((size_t)a->move_count + b->move_count + 1, sizeof(*moves));
	if (!moves)
		return REFUSAL_NO_MEMORY;
	memcpy(moves, a->moves, a->move_count * sizeof(*moves));
	memcpy(moves + a->move_count, b->moves, b->move_count * sizeof(*moves));
	*merged = *a;
	merged->move_count = a->move_count + b->move_count;
	merged->moves = moves;
	return REFUSAL_NONE;
}
