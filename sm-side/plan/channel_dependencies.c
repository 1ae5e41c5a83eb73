/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/channel_dependencies.h"
#include "sm-side/plan/channel_graph.h"

enum { NO_LANE = 255, LANES = 16, BLOCKS = LFT_ENTRIES_MAX / LFT_BLOCK_LIDS };

/* Walks to the LIDs of one block at once, a bit for each: reading the tables of all switches one
 * LID at a time misses every cache. */
struct dependencies {
	const struct fabric_view *view;
	struct channel_graph held; /* what the old tables have, as far as they were walked */
	bool *packets_enter;       /* by switch */
	uint8_t *ports;            /* by switch: its LFT_BLOCK_LIDS ports */
	uint64_t *arrived;         /* by switch: which LIDs' packets come by */
	uint64_t *fresh;           /* those of them that were not walked on */
	uint32_t *waiting;         /* a ring of switches with fresh ones */
	uint32_t waiting_first, waiting_count;
	bool is_walked[BLOCKS];
	struct channel_dependency *added; /* new, as far as is known */
	uint32_t added_count, added_room;
};

/* ---- where packets enter, and on which lane ---- */

static bool packets_enter_at(const struct fabric_view *view, const struct view_switch *sw)
{
	for (unsigned port = 1; port <= sw->ports && !sw->is_vswitch; port++) {
		const struct view_peer *peer = view_peer_of(view, sw, port);

		if (peer->kind == PEER_END_PORT ||
		        (peer->kind == PEER_SWITCH && view->switches[peer->index].is_vswitch))
			return true;
	}
	return false;
}

static uint8_t lane_of(const struct fabric_view *view, uint16_t lid)
{
	uint32_t port = view_find_lid(view, lid);

	return port == VIEW_NONE ? NO_LANE : view->end_ports[port].lane;
}

static uint64_t block_lids_on(const struct fabric_view *view, uint16_t block, uint8_t lane)
{
	uint64_t lids = 0;

	for (unsigned i = 0; i < LFT_BLOCK_LIDS; i++)
		if (lane_of(view, (uint16_t)(block * LFT_BLOCK_LIDS + i)) == lane)
			lids |= UINT64_C(1) << i;
	return lids;
}

static int dependencies_prepare(struct dependencies *all, const struct fabric_view *view)
{
	uint32_t count = view->switch_count + 1;

	*all = (struct dependencies){.view = view};
	all->packets_enter = calloc(count, sizeof(*all->packets_enter));
	all->ports = malloc((size_t)count * LFT_BLOCK_LIDS);
	all->arrived = calloc(count, sizeof(*all->arrived));
	all->fresh = calloc(count, sizeof(*all->fresh));
	all->waiting = malloc(count * sizeof(*all->waiting));
	if (!all->packets_enter || !all->ports || !all->arrived || !all->fresh || !all->waiting ||
	        channel_graph_prepare(&all->held, view))
		return -ENOMEM;
	for (uint32_t i = 0; i < view->switch_count; i++)
		all->packets_enter[i] = packets_enter_at(view, &view->switches[i]);
	return 0;
}

static void dependencies_clear(struct dependencies *all)
{
	channel_graph_clear(&all->held);
	free(all->packets_enter);
	free(all->ports);
	free(all->arrived);
	free(all->fresh);
	free(all->waiting);
	free(all->added);
}

/* ---- walking ---- */

static int added_add(struct dependencies *all, struct channel_dependency one)
{
	if (channel_graph_has(&all->held, one))
		return 0;
	if (all->added_count == all->added_room) {
		uint32_t room = all->added_room ? all->added_room * 2 : 64;
		struct channel_dependency *grown = reallocarray(all->added, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		all->added = grown;
		all->added_room = room;
	}
	all->added[all->added_count++] = one;
	return 0;
}

static void packets_arrive(struct dependencies *all, uint32_t sw, uint64_t lids)
{
	lids &= ~all->arrived[sw];
	if (!lids)
		return;
	if (!all->fresh[sw]) {
		uint32_t last = all->waiting_first + all->waiting_count++;

		all->waiting[last % all->view->switch_count] = sw;
	}
	all->arrived[sw] |= lids;
	all->fresh[sw] |= lids;
}

/* One step for a LID's packets that have come to @sw. */
static int step(struct dependencies *all, uint32_t sw, unsigned lid, bool is_new)
{
	const struct view_switch *at = &all->view->switches[sw];
	uint32_t next,
	        held = channel_of(&all->held, at, all->ports[(size_t)sw * LFT_BLOCK_LIDS + lid]);
	struct channel_dependency one = {.held = held};

	if (held == NOT_A_CHANNEL)
		return 0;
	next = all->view->peers[held].index;
	packets_arrive(all, next, UINT64_C(1) << lid);
	one.port = all->ports[(size_t)next * LFT_BLOCK_LIDS + lid];
	if (channel_of(&all->held, &all->view->switches[next], one.port) == NOT_A_CHANNEL)
		return 0;
	if (is_new)
		return added_add(all, one);
	channel_graph_add(&all->held, one);
	return 0;
}

/* Follow the packets to those LIDs of the block in @ports whose bits are set. What they hold and
 * wait for is old, or new. -ENOMEM. */
static int walk(struct dependencies *all, uint64_t lids, bool is_new)
{
	uint32_t count = all->view->switch_count;
	int error = 0;

	memset(all->arrived, 0, count * sizeof(*all->arrived));
	for (uint32_t sw = 0; sw < count; sw++)
		if (all->packets_enter[sw])
			packets_arrive(all, sw, lids);
	while (all->waiting_count) {
		uint32_t sw = all->waiting[all->waiting_first];
		uint64_t fresh = all->fresh[sw];

		all->waiting_first = (all->waiting_first + 1) % count;
		all->waiting_count--;
		for (all->fresh[sw] = 0; fresh && !error; fresh &= fresh - 1)
			error = step(all, sw, (unsigned)__builtin_ctzll(fresh), is_new);
	}
	return error;
}

/* Nothing passes through vSwitches: their tables are not looked at. */
static void block_read(struct dependencies *all, uint16_t block)
{
	for (uint32_t i = 0; i < all->view->switch_count; i++)
		if (!all->view->switches[i].is_vswitch)
			view_lft_block(&all->view->switches[i], block,
			        all->ports + (size_t)i * LFT_BLOCK_LIDS);
}

/* ---- one lane ---- */

/* The old and the new ways of the LIDs that change, on @lane. @entries are sorted by LID. */
static int changed_walk(struct dependencies *all, const struct plan_entry *const *entries,
        uint32_t count, uint8_t lane, bool is_new)
{
	for (uint32_t i = 0, next; i < count; i = next) {
		uint16_t lid = entries[i]->lid;
		unsigned bit = lid % LFT_BLOCK_LIDS;

		for (next = i; next < count && entries[next]->lid == lid; next++)
			;
		if (lane_of(all->view, lid) != lane)
			continue;
		block_read(all, lid / LFT_BLOCK_LIDS);
		for (uint32_t at = i; is_new && at < next; at++)
			all->ports[(size_t)entries[at]->sw * LFT_BLOCK_LIDS + bit] =
			        entries[at]->after;
		if (walk(all, UINT64_C(1) << bit, is_new))
			return -ENOMEM;
	}
	return 0;
}

static void drop_those_held(struct dependencies *all)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < all->added_count; i++)
		if (!channel_graph_has(&all->held, all->added[i]))
			all->added[left++] = all->added[i];
	all->added_count = left;
}

static void block_walk(struct dependencies *all, uint16_t block, uint8_t lane)
{
	uint64_t lids = all->is_walked[block] ? 0 : block_lids_on(all->view, block, lane);

	all->is_walked[block] = true;
	if (!lids)
		return;
	block_read(all, block);
	walk(all, lids, false);
	drop_those_held(all);
}

/* The two ends of a channel. */
struct ends {
	const struct view_switch *from, *to;
	uint8_t port; /* of @from */
};

static struct ends ends_of(const struct fabric_view *view, uint32_t channel)
{
	const struct view_peer *ahead = &view->peers[channel];
	const struct view_switch *to = &view->switches[ahead->index];
	const struct view_peer *back = view_peer_of(view, to, ahead->port);

	return (struct ends){&view->switches[back->index], to, back->port};
}

/* A block that was not walked with a LID that goes the way of @one, if packets to it come by there;
 * BLOCKS: none. */
static uint16_t block_that_may_have(const struct dependencies *all, struct channel_dependency one)
{
	struct ends ends = ends_of(all->view, one.held);

	for (uint32_t lid = 0; lid < LFT_ENTRIES_MAX; lid++)
		if (view_lft_entry(ends.from, (uint16_t)lid) == ends.port &&
		        view_lft_entry(ends.to, (uint16_t)lid) == one.port &&
		        !all->is_walked[lid / LFT_BLOCK_LIDS])
			return (uint16_t)(lid / LFT_BLOCK_LIDS);
	return BLOCKS;
}

/* Until nothing is left that may be new, or something is. */
static void likely_blocks_walk(struct dependencies *all, uint8_t lane)
{
	while (all->added_count) {
		uint16_t block = block_that_may_have(all, all->added[0]);

		if (block == BLOCKS)
			return;
		block_walk(all, block, lane);
	}
}

/* ---- without walking: what the tables allow, whether packets come by or not ---- */

struct reachable {
	bool *is_found; /* by channel */
	uint32_t *open;
	uint32_t open_count;
};

static void channel_find(struct reachable *reachable, uint32_t channel)
{
	if (reachable->is_found[channel])
		return;
	reachable->is_found[channel] = true;
	reachable->open[reachable->open_count++] = channel;
}

static void channels_after(
        const struct dependencies *all, struct reachable *reachable, uint32_t channel, uint8_t lane)
{
	struct ends ends = ends_of(all->view, channel);
	bool is_known[256] = {false};

	for (uint32_t lid = 0; lid < ends.from->lft_entries; lid++) {
		uint8_t port = view_lft_entry(ends.to, (uint16_t)lid);
		uint32_t next;

		if (view_lft_entry(ends.from, (uint16_t)lid) != ends.port || is_known[port] ||
		        lane_of(all->view, (uint16_t)lid) != lane)
			continue;
		is_known[port] = true;
		next = channel_of(&all->held, ends.to, port);
		if (next != NOT_A_CHANNEL)
			channel_find(reachable, next);
	}
}

static bool is_held_by_added(const struct dependencies *all, uint32_t channel)
{
	for (uint32_t i = 0; i < all->added_count; i++)
		if (all->added[i].held == channel)
			return true;
	return false;
}

/* Does a new dependency lead back to a channel that a new one begins at? If not, no cycle has one.
 */
static bool added_lead_back(
        const struct dependencies *all, struct reachable *reachable, uint8_t lane)
{
	for (uint32_t i = 0; i < all->added_count; i++)
		channel_find(reachable,
		        ends_of(all->view, all->added[i].held).to->first_peer + all->added[i].port);
	while (reachable->open_count) {
		uint32_t channel = reachable->open[--reachable->open_count];

		if (is_held_by_added(all, channel))
			return true;
		channels_after(all, reachable, channel, lane);
	}
	return false;
}

static int added_may_cycle(const struct dependencies *all, uint8_t lane, bool *may)
{
	uint32_t count = all->view->peer_count + 1;
	struct reachable reachable = {
	        .is_found = calloc(count, sizeof(*reachable.is_found)),
	        .open = malloc(count * sizeof(*reachable.open)),
	};
	int error = reachable.is_found && reachable.open ? 0 : -ENOMEM;

	if (!error)
		*may = added_lead_back(all, &reachable, lane);
	free(reachable.is_found);
	free(reachable.open);
	return error;
}

/* ---- one lane, and all ---- */

static int lane_closes_cycle(struct dependencies *all, const struct plan_entry *const *entries,
        uint32_t count, uint8_t lane, bool *cycle)
{
	memset(all->held.words, 0, all->held.row_words * sizeof(*all->held.words));
	memset(all->is_walked, 0, sizeof(all->is_walked));
	all->added_count = 0;
	if (changed_walk(all, entries, count, lane, false) ||
	        changed_walk(all, entries, count, lane, true))
		return -ENOMEM;
	likely_blocks_walk(all, lane);
	if (added_may_cycle(all, lane, cycle))
		return -ENOMEM;
	if (!*cycle)
		return 0;
	for (uint16_t block = 0; block < BLOCKS && all->added_count; block++)
		block_walk(all, block, lane);
	for (uint32_t i = 0; i < all->added_count; i++)
		channel_graph_add(&all->held, all->added[i]);
	return channel_graph_cycles(&all->held, all->added, all->added_count, cycle);
}

/* Packets go on as before up to a switch that changes. Where those lead out of the fabric nothing
 * is new. */
static bool leads_through(
        const struct fabric_view *view, const struct plan_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (is_channel(view, &view->switches[entries[i].sw], entries[i].after))
			return true;
	return false;
}

static bool lane_changes(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, uint8_t lane)
{
	for (uint32_t i = 0; i < count; i++)
		if (lane_of(view, entries[i].lid) == lane)
			return true;
	return false;
}

static int by_lid(const void *a, const void *b)
{
	const struct plan_entry *const *x = a, *const *y = b;

	return (*x)->lid - (*y)->lid;
}

static int sorted_close_cycle(const struct fabric_view *view, const struct plan_entry **sorted,
        const struct plan_entry *entries, uint32_t count, bool *cycle)
{
	struct dependencies all;
	int error = dependencies_prepare(&all, view);
	bool found = false;

	for (uint32_t i = 0; i < count; i++)
		sorted[i] = &entries[i];
	qsort(sorted, count, sizeof(*sorted), by_lid);
	for (uint8_t lane = 0; lane < LANES && !error && !found; lane++)
		if (lane_changes(view, entries, count, lane))
			error = lane_closes_cycle(&all, sorted, count, lane, &found);
	dependencies_clear(&all);
	if (!error)
		*cycle = found;
	return error;
}

int entries_close_cycle(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, bool *cycle)
{
	const struct plan_entry **sorted;
	int error;

	if (!leads_through(view, entries, count)) {
		*cycle = false;
		return 0;
	}
	sorted = calloc(count, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	error = sorted_close_cycle(view, sorted, entries, count, cycle);
	free(sorted);
	return error;
}
