/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/reach_paths.h"

/* What a path costs, most important first, in fields of 16 bits: Sets, hops that are not as
 * preferred first, hops that are not as preferred second, hops. */
#define COST_SET    UINT64_C(0x1000000000000)
#define COST_FIRST  UINT64_C(0x100000000)
#define COST_SECOND UINT64_C(0x10000)
#define COST_HOP    UINT64_C(1)
#define COST_NONE   UINT64_MAX

struct queued {
	uint64_t cost;
	uint32_t sw;
};

struct search {
	const struct fabric_view *view;
	uint64_t cost_new_way; /* of a hop that does not run against the LID's old routes */
	uint64_t cost_unlike;  /* of one that does not follow the deterministic ones */
	uint64_t *cost;        /* of the way to each switch */
	uint32_t *before;      /* the switch before it on that way */
	uint8_t *out;          /* and its port there */
	uint32_t *touched;     /* switches with a cost, to forget them */
	uint32_t touched_count;
	struct queued *heap;
	uint32_t heap_count, heap_room;
	/* Which (switch, block) are written already: a row of bits for each of the moves' blocks.
	 */
	uint16_t *blocks;
	uint32_t block_count, words;
	uint64_t *written;
};

/* ---- blocks ---- */

static uint64_t *row_of(const struct search *search, uint16_t lid)
{
	uint32_t row = 0;

	while (search->blocks[row] != lid / LFT_BLOCK_LIDS)
		row++;
	return search->written + (size_t)row * search->words;
}

static bool is_written(const uint64_t *row, uint32_t sw)
{
	return row[sw / 64] >> sw % 64 & 1;
}

static int by_block(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void blocks_collect(struct search *search, const struct reach_move *moves, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		search->blocks[i] = moves[i].lid / LFT_BLOCK_LIDS;
	qsort(search->blocks, count, sizeof(*search->blocks), by_block);
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || search->blocks[i] != search->blocks[i - 1])
			search->blocks[search->block_count++] = search->blocks[i];
}

/* ---- the queue: a binary heap by cost, then switch ---- */

static bool comes_first(const struct queued *a, const struct queued *b)
{
	return a->cost != b->cost ? a->cost < b->cost : a->sw < b->sw;
}

static bool queue_put(struct search *search, struct queued entry)
{
	uint32_t at = search->heap_count;

	if (at == search->heap_room) {
		uint32_t room = at ? at * 2 : 256;
		struct queued *grown = reallocarray(search->heap, room, sizeof(*grown));

		if (!grown)
			return false;
		search->heap = grown;
		search->heap_room = room;
	}
	search->heap_count++;
	for (; at && comes_first(&entry, &search->heap[(at - 1) / 2]); at = (at - 1) / 2)
		search->heap[at] = search->heap[(at - 1) / 2];
	search->heap[at] = entry;
	return true;
}

static struct queued queue_take(struct search *search)
{
	struct queued first = search->heap[0], last = search->heap[--search->heap_count];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = at * 2 + 1;

		if (child + 1 < search->heap_count &&
		        comes_first(&search->heap[child + 1], &search->heap[child]))
			child++;
		if (child >= search->heap_count || !comes_first(&search->heap[child], &last))
			break;
		search->heap[at] = search->heap[child];
		at = child;
	}
	search->heap[at] = last;
	return first;
}

/* ---- the path of one LID ---- */

static bool reach_switch(
        struct search *search, uint32_t from, uint8_t out, uint32_t sw, uint64_t cost)
{
	if (cost >= search->cost[sw])
		return true;
	if (search->cost[sw] == COST_NONE)
		search->touched[search->touched_count++] = sw;
	search->cost[sw] = cost;
	search->before[sw] = from;
	search->out[sw] = out;
	return queue_put(search, (struct queued){cost, sw});
}

/* Does the old way of @lid from @sw lead to @to next? */
static bool leads_next_to(const struct fabric_view *view, uint32_t sw, uint16_t lid, uint32_t to)
{
	const struct view_switch *at = &view->switches[sw];
	const struct view_peer *peer = view_peer_of(view, at, view_lft_entry(at, lid));

	return peer->kind == PEER_SWITCH && peer->index == to;
}

static bool extend(
        struct search *search, const struct reach_move *move, const uint64_t *written, uint32_t sw)
{
	const struct fabric_view *view = search->view;
	const struct view_switch *at = &view->switches[sw];
	uint8_t old = view_lft_entry(at, move->lid);
	uint8_t like = move->like ? view_lft_entry(at, move->like) : LFT_NO_PORT;

	for (unsigned port = 1; port <= at->ports; port++) {
		const struct view_peer *peer = view_peer_of(view, at, port);
		uint64_t cost = search->cost[sw] + COST_HOP;

		if (peer->kind != PEER_SWITCH)
			continue;
		if (port != old && !is_written(written, sw))
			cost += COST_SET;
		if (!leads_next_to(view, peer->index, move->lid, sw))
			cost += search->cost_new_way;
		if (port != like)
			cost += search->cost_unlike;
		if (!reach_switch(search, sw, (uint8_t)port, peer->index, cost))
			return false;
	}
	return true;
}

static void search_forget(struct search *search)
{
	while (search->touched_count)
		search->cost[search->touched[--search->touched_count]] = COST_NONE;
	search->heap_count = 0;
}

static enum refusal path_find(
        struct search *search, const struct reach_move *move, const uint64_t *written)
{
	if (!reach_switch(search, VIEW_NONE, 0, move->from_switch, 0))
		return REFUSAL_NO_MEMORY;
	while (search->heap_count) {
		struct queued next = queue_take(search);

		if (next.cost != search->cost[next.sw])
			continue;
		if (next.sw == move->to_switch)
			return REFUSAL_NONE;
		if (!extend(search, move, written, next.sw))
			return REFUSAL_NO_MEMORY;
	}
	return REFUSAL_NOT_ROUTED;
}

/* ---- what changes along it ---- */

static void hop_add(
        struct search *search, struct reach_result *result, uint64_t *written, struct reach_hop hop)
{
	if (view_lft_entry(&search->view->switches[hop.sw], hop.lid) == hop.port)
		return;
	result->hops[result->hop_count++] = hop;
	if (is_written(written, hop.sw))
		return;
	written[hop.sw / 64] |= UINT64_C(1) << hop.sw % 64;
	result->set_count++;
}

static void hops_reverse(struct reach_hop *hops, uint32_t count)
{
	for (uint32_t i = 0; i + i + 1 < count; i++) {
		struct reach_hop hop = hops[i];

		hops[i] = hops[count - 1 - i];
		hops[count - 1 - i] = hop;
	}
}

static uint32_t path_length(const struct search *search, uint32_t to)
{
	uint32_t length = 1;

	for (; search->before[to] != VIEW_NONE; to = search->before[to])
		length++;
	return length;
}

static enum refusal hops_of_path(struct search *search, const struct reach_move *move,
        uint64_t *written, struct reach_result *result)
{
	uint32_t sw = move->to_switch, first = result->hop_count;
	struct reach_hop *grown =
	        reallocarray(result->hops, first + path_length(search, sw), sizeof(*grown));

	if (!grown)
		return REFUSAL_NO_MEMORY;
	result->hops = grown;
	hop_add(search, result, written, (struct reach_hop){sw, move->lid, move->to_port});
	for (; search->before[sw] != VIEW_NONE; sw = search->before[sw])
		hop_add(search, result, written,
		        (struct reach_hop){search->before[sw], move->lid, search->out[sw]});
	hops_reverse(result->hops + first, result->hop_count - first);
	return REFUSAL_NONE;
}

/* ---- all LIDs ---- */

static enum refusal moves_reach(struct search *search, const struct reach_move *moves,
        uint32_t count, bool backwards, struct reach_result *result)
{
	memset(search->written, 0,
	        (size_t)search->block_count * search->words * sizeof(*search->written));
	for (uint32_t i = 0; i < count; i++) {
		const struct reach_move *move = &moves[backwards ? count - 1 - i : i];
		uint64_t *written = row_of(search, move->lid);
		enum refusal refused = path_find(search, move, written);

		if (!refused)
			refused = hops_of_path(search, move, written, result);
		search_forget(search);
		if (refused)
			return refused;
	}
	return REFUSAL_NONE;
}

static bool search_prepare(struct search *search, const struct fabric_view *view,
        const struct reach_move *moves, uint32_t count, enum reach_preference preference)
{
	uint32_t switches = view->switch_count;
	bool is_against = preference == REACH_AGAINST_OLD_ROUTES;

	*search = (struct search){.view = view,
	        .words = switches / 64 + 1,
	        .cost_new_way = is_against ? COST_FIRST : COST_SECOND,
	        .cost_unlike = is_against ? COST_SECOND : COST_FIRST};
	search->cost = malloc((switches + 1) * sizeof(*search->cost));
	search->before = malloc((switches + 1) * sizeof(*search->before));
	search->out = malloc(switches + 1);
	search->touched = malloc((switches + 1) * sizeof(*search->touched));
	search->blocks = malloc((count + 1) * sizeof(*search->blocks));
	if (!search->cost || !search->before || !search->out || !search->touched || !search->blocks)
		return false;
	memset(search->cost, 0xff, (switches + 1) * sizeof(*search->cost));
	blocks_collect(search, moves, count);
	search->written =
	        malloc(((size_t)search->block_count * search->words + 1) * sizeof(uint64_t));
	return search->written != NULL;
}

static void search_clear(struct search *search)
{
	free(search->cost);
	free(search->before);
	free(search->out);
	free(search->touched);
	free(search->heap);
	free(search->blocks);
	free(search->written);
}

enum refusal reach_paths(const struct fabric_view *view, const struct reach_move *moves,
        uint32_t count, enum reach_preference preference, struct reach_result *result)
{
	struct reach_result forwards = {0}, backwards = {0};
	enum refusal refused = REFUSAL_NO_MEMORY;
	bool shares_blocks;
	struct search search;

	if (search_prepare(&search, view, moves, count, preference))
		refused = moves_reach(&search, moves, count, false, &forwards);
	shares_blocks = search.block_count < count;
	if (!refused && shares_blocks)
		refused = moves_reach(&search, moves, count, true, &backwards);
	search_clear(&search);
	if (refused || (shares_blocks && backwards.set_count < forwards.set_count))
		reach_result_clear(&forwards);
	else
		reach_result_clear(&backwards);
	if (refused)
		reach_result_clear(&backwards);
	else
		*result = forwards.hops ? forwards : backwards;
	return refused;
}

void reach_result_clear(struct reach_result *result)
{
	free(result->hops);
	*result = (struct reach_result){0};
}
