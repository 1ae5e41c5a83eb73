/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How many Sets `consistent` takes beside the fewest that any order could: found by trying all, for
 * small plans in which blocks wait for each other in a circle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/plan_wishes.h"

enum { FABRICS = 400, ENTRIES_MAX = 16, STATES = 1 << ENTRIES_MAX };

static struct topology topology;

/* Entries are bits. */
struct problem {
	unsigned count, block_count;
	uint32_t waits_for[ENTRIES_MAX]; /* one bit, or none */
	uint32_t blocks[ENTRIES_MAX];
};

/* The entry for the same LID that @entry meets first on its new way. */
static uint32_t first_downstream(const struct plan *plan, const struct plan_entry *entry)
{
	unsigned sw = entry->sw;
	uint8_t port = entry->after;

	for (unsigned hops = 0; hops < topology.switch_count; hops++) {
		const struct topology_switch *at = &topology.switches[sw];

		if (port > at->ports || at->peer[port].kind != PEER_SWITCH)
			return 0;
		sw = at->peer[port].index;
		for (uint32_t i = 0; i < plan->entry_count; i++)
			if (plan->entries[i].sw == sw && plan->entries[i].lid == entry->lid)
				return UINT32_C(1) << i;
		port = topology.switches[sw].lft[entry->lid];
	}
	return 0;
}

static void problem_of(const struct plan *plan, struct problem *problem)
{
	*problem = (struct problem){.count = plan->entry_count};
	for (uint32_t i = 0; i < plan->entry_count; i++) {
		const struct plan_entry *entry = &plan->entries[i];

		if (!i || entry[-1].sw != entry->sw ||
		        entry[-1].lid / LFT_BLOCK_LIDS != entry->lid / LFT_BLOCK_LIDS)
			problem->block_count++;
		problem->blocks[problem->block_count - 1] |= UINT32_C(1) << i;
		problem->waits_for[i] = first_downstream(plan, entry);
	}
}

static uint32_t ready(const struct problem *problem, uint32_t written)
{
	uint32_t entries = 0;

	for (unsigned i = 0; i < problem->count; i++)
		if (!(problem->waits_for[i] & ~written))
			entries |= UINT32_C(1) << i;
	return entries & ~written;
}

/* Breadth first over what is written. To write all of a block that is ready is never worse than to
 * write a part of it. */
static unsigned fewest_sets(const struct problem *problem)
{
	static uint32_t queue[STATES];
	static uint8_t sets[STATES];
	uint32_t head = 0, tail = 1, all = (UINT32_C(1) << problem->count) - 1;

	memset(sets, 0, sizeof(sets));
	queue[0] = 0;
	while (queue[head] != all) {
		uint32_t written = queue[head++], now = ready(problem, written);

		assert_true(now != 0);
		for (unsigned block = 0; block < problem->block_count; block++) {
			uint32_t next = written | (now & problem->blocks[block]);

			if (next == written || sets[next])
				continue;
			sets[next] = (uint8_t)(sets[written] + 1);
			queue[tail++] = next;
		}
	}
	return sets[all];
}

struct sums {
	unsigned plans, taken, fewest, fast;
};

static void try_fabric(int kind, uint64_t seed, struct sums *sums)
{
	struct wishes wishes = {0};
	struct problem problem;
	struct plan *plan = NULL;
	enum refusal refused;

	topology_make(&topology, (struct topology_wish){kind, -1, -1}, seed);
	wish_swaps(&wishes, &topology, 1 + topology_random(&topology, 3));
	if (!wishes.count)
		return;
	refused = wish_plan(&wishes, &topology, PLAN_CONSISTENT, PLAN_DETERMINISTIC, &plan);
	if (refused == REFUSAL_DEADLOCK)
		return; /* routes whose lane would be another */
	assert_int_equal(refused, REFUSAL_NONE);
	if (plan->entry_count <= ENTRIES_MAX && plan->sets.splits) {
		unsigned fewest;

		problem_of(plan, &problem);
		fewest = fewest_sets(&problem);
		assert_in_range(plan->sets.change_count, fewest, plan->entry_count);
		sums->plans++;
		sums->taken += plan->sets.change_count;
		sums->fewest += fewest;
		sums->fast += problem.block_count;
	}
	plan_destroy(plan);
}

static void few_sets_more_than_any_order_needs(void **state)
{
	for (int kind = 0; kind < TOPOLOGY_KINDS; kind++) {
		struct sums sums = {0};

		for (uint64_t seed = 0; seed < FABRICS; seed++)
			try_fabric(kind, seed, &sums);
		topology_make(&topology, (struct topology_wish){kind, TOPOLOGY_BFS, 1}, 0);
		print_message("# %-20.*s %4u plans: %5u Sets, %5u at least, %5u in fast\n",
		        (int)strcspn(topology_name(&topology), ","), topology_name(&topology),
		        sums.plans, sums.taken, sums.fewest, sums.fast);
		assert_true(sums.plans > 20);
		assert_true(sums.taken * 100 <= sums.fewest * 112);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(few_sets_more_than_any_order_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
