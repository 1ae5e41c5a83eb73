/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/raw/change_left.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

struct left_work {
	const struct fabric_change *change;
	enum change_direction direction;
	const struct fabric_read *now;
	const struct plan_change **by_block; /* the Sets by switch, block, wave */
	struct change_left *left;
	char *why;
};

void change_left_clear(struct change_left *left)
{
	free(left->slots);
	plan_sets_clear(&left->sets);
	*left = (struct change_left){0};
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_block(const void *a, const void *b)
{
	const struct plan_change *x = *(const struct plan_change *const *)a;
	const struct plan_change *y = *(const struct plan_change *const *)b;
	int order = compare(x->switch_guid, y->switch_guid);

	if (!order)
		order = compare(x->block, y->block);
	return order ? order : compare(x->wave, y->wave);
}

static int by_wave(const void *a, const void *b)
{
	const struct plan_change *x = a, *y = b;
	int order = compare(x->wave, y->wave);

	if (!order)
		order = compare(x->switch_guid, y->switch_guid);
	return order ? order : compare(x->block, y->block);
}

static bool is_same_block(const struct plan_change *a, const struct plan_change *b)
{
	return a->switch_guid == b->switch_guid && a->block == b->block;
}

static bool touches(const struct plan_change *change, unsigned entry)
{
	return change->before[entry] != change->after[entry];
}

/* Is the entry as it was before one of these Sets of one block, or after? */
static bool entry_is_known(
        const struct plan_change *const *sets, uint32_t count, unsigned entry, uint8_t value)
{
	bool is_touched = false;

	for (uint32_t i = 0; i < count; i++) {
		if (!touches(sets[i], entry))
			continue;
		is_touched = true;
		if (sets[i]->before[entry] == value || sets[i]->after[entry] == value)
			return true;
	}
	return !is_touched;
}

static int block_check(const struct left_work *work, const struct plan_change *const *sets,
        uint32_t count, const uint8_t *table)
{
	for (unsigned entry = 0; entry < LFT_BLOCK_LIDS; entry++) {
		if (entry_is_known(sets, count, entry, table[entry]))
			continue;
		snprintf(work->why, STALE_TEXT_BYTES,
		        "switch 0x%016llx has port %u for LID %u, which is neither the old nor the "
		        "new one",
		        (unsigned long long)sets[0]->switch_guid, table[entry],
		        sets[0]->block * LFT_BLOCK_LIDS + entry);
		return -ESTALE;
	}
	return 0;
}

/* Do one Set's part in @table, in the direction asked for. */
static void set_carry_out(
        const struct left_work *work, const struct plan_change *set, uint8_t table[LFT_BLOCK_LIDS])
{
	bool is_back = work->direction == CHANGE_BACK;
	const uint8_t *from = is_back ? set->after : set->before;
	const uint8_t *to = is_back ? set->before : set->after;
	struct plan_sets *sets = &work->left->sets;
	struct plan_change *made = &sets->changes[sets->change_count];

	*made = *set;
	made->wave = is_back ? work->change->sets.wave_count - 1 - set->wave : set->wave;
	memcpy(made->before, table, LFT_BLOCK_LIDS);
	for (unsigned entry = 0; entry < LFT_BLOCK_LIDS; entry++)
		if (touches(set, entry) && table[entry] == from[entry])
			table[entry] = to[entry];
	memcpy(made->after, table, LFT_BLOCK_LIDS);
	if (memcmp(made->before, made->after, LFT_BLOCK_LIDS))
		sets->change_count++;
}

/* The Sets of one block, by wave. */
static int block_left(
        const struct left_work *work, const struct plan_change *const *sets, uint32_t count)
{
	const struct read_node *sw = fabric_read_find(work->now, sets[0]->switch_guid);
	size_t at = (size_t)sets[0]->block * LFT_BLOCK_LIDS;
	uint8_t table[LFT_BLOCK_LIDS];
	int error;

	if (!sw || !sw->lft || at + LFT_BLOCK_LIDS > sw->lft_entries) {
		snprintf(work->why, STALE_TEXT_BYTES, "switch 0x%016llx %s",
		        (unsigned long long)sets[0]->switch_guid,
		        sw ? "has no such block any more" : "is not there any more");
		return -ENOENT;
	}
	memcpy(table, sw->lft + at, LFT_BLOCK_LIDS);
	error = block_check(work, sets, count, table);
	for (uint32_t i = 0; i < count && !error; i++)
		set_carry_out(
		        work, sets[work->direction == CHANGE_BACK ? count - 1 - i : i], table);
	return error;
}

static int sets_left(const struct left_work *work)
{
	const struct plan_sets *all = &work->change->sets;
	struct plan_sets *sets = &work->left->sets;
	uint32_t first = 0;

	sets->changes = calloc(all->change_count + 1u, sizeof(*sets->changes));
	if (!sets->changes)
		return -ENOMEM;
	sets->wave_count = all->wave_count;
	sets->pause_after_wave_0 = all->pause_after_wave_0;
	for (uint32_t i = 0; i < all->change_count; i++)
		work->by_block[i] = &all->changes[i];
	qsort(work->by_block, all->change_count, sizeof(*work->by_block), by_block);
	for (uint32_t i = 1; i <= all->change_count; i++) {
		int error;

		if (i < all->change_count &&
		        is_same_block(work->by_block[i], work->by_block[first]))
			continue;
		error = block_left(work, &work->by_block[first], i - first);
		if (error)
			return error;
		first = i;
	}
	qsort(sets->changes, sets->change_count, sizeof(*sets->changes), by_wave);
	return 0;
}

static int slot_left(const struct left_work *work, const struct slot_change *slot)
{
	bool is_back = work->direction == CHANGE_BACK;
	struct smp_port_info info;
	const struct read_node *node;
	uint8_t port;

	node = fabric_read_at(work->now, slot->place, &port);
	if (!node || !node->ports[port].has_info) {
		snprintf(work->why, STALE_TEXT_BYTES, "nobody is at port %u of switch 0x%016llx",
		        slot->place.port, (unsigned long long)slot->place.switch_guid);
		return -ENOENT;
	}
	smp_port_info_decode(node->ports[port].info, &info);
	if (info.lid != slot->before && info.lid != slot->after) {
		snprintf(work->why, STALE_TEXT_BYTES,
		        "port %u of switch 0x%016llx leads to LID %u, which is neither the old nor "
		        "the new one",
		        slot->place.port, (unsigned long long)slot->place.switch_guid, info.lid);
		return -ESTALE;
	}
	if (info.lid != (is_back ? slot->before : slot->after))
		work->left->slots[work->left->slot_count++] = (struct slot_change){
		        .place = slot->place,
		        .before = info.lid,
		        .after = is_back ? slot->before : slot->after,
		};
	return 0;
}

static int slots_left(const struct left_work *work)
{
	const struct fabric_change *change = work->change;
	int error = 0;

	work->left->slots = calloc(change->slot_count + 1u, sizeof(*work->left->slots));
	if (!work->left->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < change->slot_count && !error; i++)
		error = slot_left(work, &change->slots[i]);
	return error;
}

int change_left(const struct fabric_change *change, enum change_direction direction,
        const struct fabric_read *now, struct change_left *left, char why[STALE_TEXT_BYTES])
{
	CLEANUP_FREE const struct plan_change **rows =
	        calloc(change->sets.change_count + 1u, sizeof(*rows));
	struct left_work work = {change, direction, now, rows, left, why};
	int error;

	*left = (struct change_left){0};
	snprintf(why, STALE_TEXT_BYTES, "out of memory");
	error = rows ? sets_left(&work) : -ENOMEM;
	if (!error)
		error = slots_left(&work);
	if (error)
		change_left_clear(left);
	return error;
}
