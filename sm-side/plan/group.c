/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/channel_dependencies.h"
#include "sm-side/plan/conflict.h"
#include "sm-side/plan/group.h"
#include "sm-side/plan/relabel.h"
#include "sm-side/plan/steps.h"

static bool may_go_with(const struct plan *first, const struct plan *plan)
{
	return plan->order == first->order && plan->generation == first->generation;
}

/* Whoever came before goes before, where one has to be planned anew after the other. */
static bool meets_one_before(const struct plan *const *waiting, uint32_t which)
{
	for (uint32_t i = 0; i < which; i++)
		if (waiting[i] && plans_conflict(waiting[i], waiting[which]) == PLANS_SHARE_MOVERS)
			return true;
	return false;
}

void plan_group_form(const struct plan *const *waiting, uint32_t count, bool *goes)
{
	for (uint32_t i = 0; i < count; i++)
		goes[i] = i == 0 ||
		          (waiting[0] && waiting[i] && may_go_with(waiting[0], waiting[i]) &&
		                  !meets_one_before(waiting, i));
}

static int by_lid(const void *a, const void *b)
{
	const struct plan_transfer *x = a, *y = b;

	return (x->identity.lid > y->identity.lid) - (x->identity.lid < y->identity.lid);
}

static void entries_append(
        struct entry_list *into, const struct plan_entry *entries, uint32_t count)
{
	if (count)
		memcpy(into->at + into->count, entries, count * sizeof(*entries));
	into->count += count;
}

static void transfers_append(struct plan *joined, const struct plan *plan)
{
	if (plan->transfer_count)
		memcpy(joined->transfers + joined->transfer_count, plan->transfers,
		        plan->transfer_count * sizeof(*plan->transfers));
	joined->transfer_count += plan->transfer_count;
}

/* Room for all that the plans have. */
static bool join_make_room(const struct plan *const *plans, uint32_t count, struct plan *joined)
{
	uint32_t transfers = 0, entries = 0;

	for (uint32_t i = 0; i < count; i++) {
		transfers += plans[i]->transfer_count;
		entries += plans[i]->entry_count;
	}
	joined->transfers = calloc(transfers + 1, sizeof(*joined->transfers));
	joined->entries = calloc(entries + 1, sizeof(*joined->entries));
	return joined->transfers && joined->entries;
}

static void join_fill(const struct plan *const *plans, uint32_t count, struct plan *joined)
{
	struct entry_list entries = {.at = joined->entries};

	for (uint32_t i = 0; i < count; i++) {
		transfers_append(joined, plans[i]);
		entries_append(&entries, plans[i]->entries, plans[i]->entry_count);
	}
	qsort(joined->transfers, joined->transfer_count, sizeof(*joined->transfers), by_lid);
	entries_sort(&entries);
	joined->entry_count = entries.count;
}

struct plan *plan_group_join(const struct plan *const *plans, uint32_t count)
{
	struct plan *joined = calloc(1, sizeof(*joined));

	if (!joined)
		return NULL;
	joined->order = plans[0]->order;
	joined->generation = plans[0]->generation;
	if (!join_make_room(plans, count, joined)) {
		plan_destroy(joined);
		return NULL;
	}
	join_fill(plans, count, joined);
	return joined;
}

enum refusal plan_group_sets(const struct fabric_view *view, const struct plan *joined,
        const struct plan_left *left, uint32_t count, struct plan_sets *sets)
{
	struct entry_list entries = {.at = calloc(joined->entry_count + 1, sizeof(*entries.at))};
	enum refusal refused;

	if (!entries.at)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++)
		entries_append(&entries, left[i].entries, left[i].entry_count);
	entries_sort(&entries);
	refused = plan_make_sets(view, joined, entries.at, entries.count, sets);
	entries_clear(&entries);
	return refused;
}

static bool may_close_cycle(const struct plan *plan, const struct plan_left *left)
{
	return plan && plan->reach == PLAN_MINIMUM && !plan->leads_back &&
	       left->entry_count == plan->entry_count;
}

int plan_group_find_cycles(const struct fabric_view *view, const struct plan *const *plans,
        const struct plan_left *left, uint32_t count, bool *closes)
{
	struct entry_list entries = {0};
	uint32_t room = 0;
	int error = 0;

	for (uint32_t i = 0; i < count; i++)
		room += left[i].entry_count;
	entries.at = calloc(room + 1, sizeof(*entries.at));
	if (!entries.at)
		return -ENOMEM;
	for (uint32_t i = 0; i < count && !error; i++) {
		closes[i] = false;
		if (!may_close_cycle(plans[i], &left[i]))
			continue;
		entries_append(&entries, left[i].entries, left[i].entry_count);
		error = entries_close_cycle(view, entries.at, entries.count, &closes[i]);
		if (closes[i])
			entries.count -= left[i].entry_count;
	}
	entries_clear(&entries);
	return error;
}

/* Is the entry of one that comes before the block? Entries ascend by switch GUID, then LID. */
static bool is_before(const struct plan_entry *entry, uint64_t switch_guid, uint16_t block)
{
	if (entry->switch_guid != switch_guid)
		return entry->switch_guid < switch_guid;
	return entry->lid / LFT_BLOCK_LIDS < block;
}

bool plan_writes_block(const struct plan *plan, uint64_t switch_guid, uint16_t block)
{
	uint32_t low = 0, high = plan->entry_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (is_before(&plan->entries[middle], switch_guid, block))
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->entry_count && plan->entries[low].switch_guid == switch_guid &&
	       plan->entries[low].lid / LFT_BLOCK_LIDS == block;
}
