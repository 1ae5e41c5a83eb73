/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/fabric_change.h"

#include <errno.h>
#include <stdlib.h>

void fabric_change_clear(struct fabric_change *change)
{
	free(change->slots);
	plan_sets_clear(&change->sets);
	*change = (struct fabric_change){0};
}

/* The LID that leaves @place. 0: none. */
static uint16_t lid_leaving(const struct plan *plan, struct view_place place)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (view_place_equal(plan->transfers[i].from, place))
			return plan->transfers[i].identity.lid;
	return 0;
}

static bool somebody_arrives(const struct plan *plan, struct view_place place)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (view_place_equal(plan->transfers[i].to, place))
			return true;
	return false;
}

int fabric_change_of(struct plan *plan, struct fabric_change *change)
{
	struct slot_change *slots = calloc(plan->transfer_count + 1u, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		slots[i] = (struct slot_change){
		        .place = transfer->to,
		        .before = lid_leaving(plan, transfer->to),
		        .after = transfer->identity.lid,
		};
		if (!slots[i].before || !somebody_arrives(plan, transfer->from)) {
			free(slots);
			return -EINVAL;
		}
	}
	*change = (struct fabric_change){
	        .hash = plan->hash,
	        .order = plan->order,
	        .reach = plan->reach,
	        .move_count = plan->move_count,
	        .slot_count = plan->transfer_count,
	        .slots = slots,
	        .sets = plan->sets,
	};
	plan->sets = (struct plan_sets){0};
	return 0;
}

struct plan_counts fabric_change_counts(const struct fabric_change *change)
{
	struct plan_counts counts = {.portinfo = change->slot_count};

	for (uint32_t i = 0; i < change->sets.change_count; i++) {
		if (change->sets.changes[i].is_vswitch)
			counts.lft_vswitch++;
		else
			counts.lft_physical++;
	}
	return counts;
}
