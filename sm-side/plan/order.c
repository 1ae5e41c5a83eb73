/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/merge.h"
#include "sm-side/plan/order.h"
#include "sm-side/plan/order_waves.h"

/* In wave @wave, @entry gets the port @port. */
struct step {
	uint32_t entry, wave;
	uint8_t port;
};

struct steps {
	uint32_t count;
	struct step *at;
};

/* ---- steps into Sets ---- */

/* Ascending by wave; within one as they were. */
static int steps_sort(struct steps *steps, uint32_t waves)
{
	struct step *sorted = calloc(steps->count + 1, sizeof(*sorted));
	uint32_t *start = calloc(waves + 1, sizeof(*start));

	if (!sorted || !start) {
		free(sorted);
		free(start);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < steps->count; i++)
		start[steps->at[i].wave + 1]++;
	for (uint32_t i = 0; i < waves; i++)
		start[i + 1] += start[i];
	for (uint32_t i = 0; i < steps->count; i++)
		sorted[start[steps->at[i].wave]++] = steps->at[i];
	free(start);
	free(steps->at);
	steps->at = sorted;
	return 0;
}

static uint32_t steps_waves(const struct steps *steps)
{
	uint32_t waves = 0;

	for (uint32_t i = 0; i < steps->count; i++)
		if (steps->at[i].wave >= waves)
			waves = steps->at[i].wave + 1;
	return waves;
}

/* Whose Set the next one of the same block finds its bytes in. */
struct chain {
	const struct fabric_view *view;
	const struct plan_entry *entries;
	const uint32_t *block_of;  /* by entry: a number for its switch and block */
	struct plan_change **last; /* by that number */
};

static bool is_one_set(const struct chain *chain, const struct step *a, const struct step *b)
{
	return a->wave == b->wave && chain->block_of[a->entry] == chain->block_of[b->entry];
}

static void set_begin(
        const struct chain *chain, const struct step *step, struct plan_change *change)
{
	const struct plan_entry *entry = &chain->entries[step->entry];
	struct plan_change **last = &chain->last[chain->block_of[step->entry]];

	if (*last) {
		*change = **last;
		memcpy(change->before, change->after, LFT_BLOCK_LIDS);
	} else {
		merge_block(&chain->view->switches[entry->sw], entry->lid / LFT_BLOCK_LIDS, change);
	}
	change->wave = step->wave;
	*last = change;
}

/* @changes has room for one for each step; how many there are. */
static uint32_t sets_write(
        const struct chain *chain, const struct steps *steps, struct plan_change *changes)
{
	struct plan_change *next = changes;

	for (uint32_t i = 0; i < steps->count; i++) {
		const struct step *step = &steps->at[i];

		if (!i || !is_one_set(chain, step - 1, step))
			set_begin(chain, step, next++);
		next[-1].after[chain->entries[step->entry].lid % LFT_BLOCK_LIDS] = step->port;
	}
	return (uint32_t)(next - changes);
}

static uint32_t blocks_number(const struct plan_entry *entries, uint32_t count, uint32_t *block_of)
{
	uint32_t blocks = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || entries[i - 1].sw != entries[i].sw ||
		        entries[i - 1].lid / LFT_BLOCK_LIDS != entries[i].lid / LFT_BLOCK_LIDS)
			blocks++;
		block_of[i] = blocks - 1;
	}
	return blocks;
}

static uint32_t sets_count(const struct chain *chain, const struct steps *steps)
{
	uint32_t count = steps->count ? 1 : 0;

	for (uint32_t i = 1; i < steps->count; i++)
		count += !is_one_set(chain, &steps->at[i - 1], &steps->at[i]);
	return count;
}

/* @steps sorted. */
static int sets_make(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, const struct steps *steps, struct plan_sets *sets)
{
	uint32_t *block_of = calloc(count + 1, sizeof(*block_of));
	struct plan_change **last = calloc(count + 1, sizeof(*last));
	struct chain chain = {view, entries, block_of, last};
	struct plan_sets made = {0};
	uint32_t blocks;
	int error = -ENOMEM;

	if (block_of && last) {
		blocks = blocks_number(entries, count, block_of);
		made.change_count = sets_count(&chain, steps);
		made.changes = calloc(made.change_count + 1, sizeof(*made.changes));
	}
	if (made.changes) {
		sets_write(&chain, steps, made.changes);
		made.wave_count = steps_waves(steps);
		made.splits = made.change_count - blocks;
		*sets = made;
		error = 0;
	}
	free(block_of);
	free(last);
	return error;
}

/* ---- the two orders ---- */

static int consistent_steps(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, struct steps *steps)
{
	uint32_t *waves = calloc(count + 1, sizeof(*waves));
	int error = waves ? order_waves(view, entries, count, waves) : -ENOMEM;

	for (uint32_t i = 0; i < count && !error; i++)
		steps->at[steps->count++] = (struct step){i, waves[i], entries[i].after};
	free(waves);
	return error;
}

/* @plan's transfers ascend by LID. */
static bool lid_may_have_traffic(const struct plan *plan, uint16_t lid)
{
	uint32_t low = 0, high = plan->transfer_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (plan->transfers[middle].identity.lid < lid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->transfer_count && plan->transfers[low].identity.lid == lid &&
	       plan->transfers[low].in_use;
}

static void drop_first_steps(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct steps *steps)
{
	uint32_t second;

	for (uint32_t i = 0; i < count; i++)
		if (lid_may_have_traffic(plan, entries[i].lid) &&
		        view_lft_entry(&view->switches[entries[i].sw], entries[i].lid) !=
		                LFT_NO_PORT)
			steps->at[steps->count++] = (struct step){i, 0, LFT_NO_PORT};
	second = steps->count ? 1 : 0;
	for (uint32_t i = 0, dropped = 0, drops = steps->count; i < count; i++) {
		bool is_dropped = dropped < drops && steps->at[dropped].entry == i;

		dropped += is_dropped;
		if (!is_dropped || entries[i].after != LFT_NO_PORT)
			steps->at[steps->count++] = (struct step){i, second, entries[i].after};
	}
}

int plan_order_sets(const struct fabric_view *view, const struct plan *plan,
        const struct plan_entry *entries, uint32_t count, struct plan_sets *sets)
{
	struct steps steps = {.at = calloc(2 * (size_t)count + 1, sizeof(struct step))};
	bool drops = plan->order == PLAN_DROP_FIRST;
	int error = 0;

	if (!steps.at)
		return -ENOMEM;
	if (drops)
		drop_first_steps(view, plan, entries, count, &steps);
	else
		error = consistent_steps(view, entries, count, &steps);
	if (!error && !drops)
		error = steps_sort(&steps, steps_waves(&steps));
	if (!error)
		error = sets_make(view, entries, count, &steps, sets);
	if (!error)
		sets->pause_after_wave_0 = drops && sets->wave_count == 2;
	free(steps.at);
	return error;
}
