/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/plan.h"
#include "sm-side/plan/steps.h"

static void *copy_of(const void *from, uint32_t count, size_t size)
{
	void *copy = calloc(count + 1, size);

	if (copy && count)
		memcpy(copy, from, count * size);
	return copy;
}

static struct plan *plan_copy(const struct plan *plan)
{
	struct plan *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *plan;
	copy->moves = copy_of(plan->moves, plan->move_count, sizeof(*plan->moves));
	copy->transfers = copy_of(plan->transfers, plan->transfer_count, sizeof(*plan->transfers));
	copy->entries = copy_of(plan->entries, plan->entry_count, sizeof(*plan->entries));
	copy->sets.changes =
	        copy_of(plan->sets.changes, plan->sets.change_count, sizeof(*plan->sets.changes));
	if (copy->moves && copy->transfers && copy->entries && copy->sets.changes)
		return copy;
	plan_destroy(copy);
	return NULL;
}

static void places_exchange(struct view_place *a, struct view_place *b)
{
	struct view_place place = *a;

	*a = *b;
	*b = place;
}

static void move_reverse(struct plan_move *move)
{
	places_exchange(&move->from, &move->to);
	if (move->kind == VM_CREATE)
		move->kind = VM_DESTROY;
	else if (move->kind == VM_DESTROY)
		move->kind = VM_CREATE;
}

static int by_wave(const void *a, const void *b)
{
	const struct plan_change *x = a, *y = b;

	if (x->wave != y->wave)
		return x->wave < y->wave ? -1 : 1;
	if (x->switch_guid != y->switch_guid)
		return x->switch_guid < y->switch_guid ? -1 : 1;
	return (x->block > y->block) - (x->block < y->block);
}

/* The last wave first. Every state between is one that the plan itself came through. */
static void sets_reverse(struct plan_sets *sets)
{
	for (uint32_t i = 0; i < sets->change_count; i++) {
		struct plan_change *change = &sets->changes[i];
		uint8_t before[LFT_BLOCK_LIDS];

		memcpy(before, change->before, LFT_BLOCK_LIDS);
		memcpy(change->before, change->after, LFT_BLOCK_LIDS);
		memcpy(change->after, before, LFT_BLOCK_LIDS);
		change->wave = sets->wave_count - 1 - change->wave;
	}
	if (sets->change_count)
		qsort(sets->changes, sets->change_count, sizeof(*sets->changes), by_wave);
}

struct plan *plan_reverse(const struct plan *plan)
{
	struct plan *back = plan_copy(plan);

	if (!back)
		return NULL;
	for (uint32_t i = 0; i < back->move_count; i++)
		move_reverse(&back->moves[i]);
	for (uint32_t i = 0; i < back->transfer_count; i++)
		places_exchange(&back->transfers[i].from, &back->transfers[i].to);
	for (uint32_t i = 0; i < back->entry_count; i++) {
		struct plan_entry *entry = &back->entries[i];
		uint8_t before = entry->before;

		entry->before = entry->after;
		entry->after = before;
	}
	sets_reverse(&back->sets);
	back->hash = plan_hash(back);
	return back;
}
