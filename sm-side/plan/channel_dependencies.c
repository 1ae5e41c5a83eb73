/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sm-side/plan/channel_dependencies.h"
#include "sm-side/plan/channel_graph.h"

enum { NO_LANE = 255, LANES = 16 };

struct dependencies {
	const struct fabric_view *view;
	struct channel_graph held; /* what the old tables have */
	uint8_t *lane_of_lid;      /* LFT_ENTRIES_MAX; NO_LANE: no end port has it */
	bool *packets_enter;       /* by switch */
	uint32_t *seen;            /* by switch: the number of the walk that came by last */
	uint32_t walks;
	uint8_t *ports; /* by switch: what it has for the LIDs that are looked at */
	struct channel_dependency *added;
	uint32_t added_count, added_room;
};

/* ---- who is on which lane, and where packets enter ---- */

static void lanes_find(struct dependencies *all)
{
	for (uint32_t lid = 0; lid < LFT_ENTRIES_MAX; lid++) {
		uint32_t port = view_find_lid(all->view, (uint16_t)lid);

		all->lane_of_lid[lid] =
		        port == VIEW_NONE ? NO_LANE : all->view->end_ports[port].lane;
	}
}

static bool packets_enter_at(const struct fabric_view *view, const struct view_switch *sw)
{
	for (unsigned port = 1; port <= sw->ports; port++) {
		const struct view_peer *peer = view_peer_of(view, sw, port);

		if (peer->kind == PEER_END_PORT ||
		        (peer->kind == PEER_SWITCH && view->switches[peer->index].is_vswitch))
			return !sw->is_vswitch;
	}
	return false;
}

static int dependencies_prepare(struct dependencies *all, const struct fabric_view *view)
{
	uint32_t count = view->switch_count + 1;

	*all = (struct dependencies){.view = view};
	all->lane_of_lid = malloc(LFT_ENTRIES_MAX);
	all->packets_enter = calloc(count, sizeof(*all->packets_enter));
	all->seen = calloc(count, sizeof(*all->seen));
	all->ports = malloc((size_t)count * LFT_BLOCK_LIDS);
	if (!all->lane_of_lid || !all->packets_enter || !all->seen || !all->ports ||
	        channel_graph_prepare(&all->held, view))
		return -ENOMEM;
	lanes_find(all);
	for (uint32_t i = 0; i < view->switch_count; i++)
		all->packets_enter[i] = packets_enter_at(view, &view->switches[i]);
	return 0;
}

static void dependencies_clear(struct dependencies *all)
{
	channel_graph_clear(&all->held);
	free(all->lane_of_lid);
	free(all->packets_enter);
	free(all->seen);
	free(all->ports);
	free(all->added);
}

/* ---- walking ---- */

/* Takes in what a walk comes by. -ENOMEM. */
typedef int (*dependency_taker)(struct dependencies *all, struct channel_dependency one);

/* From @sw on, until another walk to the same LID has been there: what follows is known then.
 * Switch i has the port @ports[i * @stride]. */
static int walk(struct dependencies *all, const uint8_t *ports, unsigned stride, uint32_t sw,
        dependency_taker take)
{
	const struct view_switch *at = &all->view->switches[sw];
	uint8_t port = ports[(size_t)sw * stride];

	while (is_channel(all->view, at, port) && all->seen[sw] != all->walks) {
		struct channel_dependency one = {.held = at->first_peer + port};
		int error;

		all->seen[sw] = all->walks;
		sw = all->view->peers[one.held].index;
		at = &all->view->switches[sw];
		port = one.port = ports[(size_t)sw * stride];
		if (!is_channel(all->view, at, port))
			return 0;
		error = take(all, one);
		if (error)
			return error;
	}
	return 0;
}

static int walks_to_lid(
        struct dependencies *all, const uint8_t *ports, unsigned stride, dependency_taker take)
{
	int error = 0;

	all->walks++;
	for (uint32_t sw = 0; sw < all->view->switch_count && !error; sw++)
		if (all->packets_enter[sw])
			error = walk(all, ports, stride, sw, take);
	return error;
}

static int take_held(struct dependencies *all, struct channel_dependency one)
{
	channel_graph_add(&all->held, one);
	return 0;
}

static int take_added(struct dependencies *all, struct channel_dependency one)
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

/* ---- one lane ---- */

static void lid_read(struct dependencies *all, uint16_t lid)
{
	for (uint32_t i = 0; i < all->view->switch_count; i++)
		all->ports[i] = view_lft_entry(&all->view->switches[i], lid);
}

/* What the changed LIDs of @lane have and will have. */
static int changed_walk(struct dependencies *all, const struct plan_entry *const *entries,
        uint32_t count, uint8_t lane, bool after)
{
	for (uint32_t i = 0, next; i < count; i = next) {
		uint16_t lid = entries[i]->lid;

		for (next = i; next < count && entries[next]->lid == lid; next++)
			;
		if (all->lane_of_lid[lid] != lane)
			continue;
		lid_read(all, lid);
		for (uint32_t at = i; after && at < next; at++)
			all->ports[entries[at]->sw] = entries[at]->after;
		if (walks_to_lid(all, all->ports, 1, after ? take_added : take_held))
			return -ENOMEM;
	}
	return 0;
}

static bool block_has_lane(const struct dependencies *all, uint32_t first, uint8_t lane)
{
	return memchr(all->lane_of_lid + first, lane, LFT_BLOCK_LIDS) != NULL;
}

/* 64 LIDs at once, since reading the tables of all switches one LID at a time misses every cache.
 */
static void block_walk(struct dependencies *all, uint16_t block, uint8_t lane)
{
	for (uint32_t i = 0; i < all->view->switch_count; i++)
		view_lft_block(
		        &all->view->switches[i], block, all->ports + (size_t)i * LFT_BLOCK_LIDS);
	for (unsigned i = 0; i < LFT_BLOCK_LIDS; i++)
		if (all->lane_of_lid[block * LFT_BLOCK_LIDS + i] == lane)
			walks_to_lid(all, all->ports + i, LFT_BLOCK_LIDS, take_held);
}

static void drop_those_held(struct dependencies *all)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < all->added_count; i++)
		if (!channel_graph_has(&all->held, all->added[i]))
			all->added[left++] = all->added[i];
	all->added_count = left;
}

static int lane_closes_cycle(struct dependencies *all, const struct plan_entry *const *entries,
        uint32_t count, uint8_t lane, bool *cycle)
{
	memset(all->held.words, 0, all->held.row_words * sizeof(*all->held.words));
	all->added_count = 0;
	*cycle = false;
	if (changed_walk(all, entries, count, lane, false) ||
	        changed_walk(all, entries, count, lane, true))
		return -ENOMEM;
	for (uint32_t lid = 0; lid < LFT_ENTRIES_MAX && all->added_count; lid += LFT_BLOCK_LIDS)
		if (block_has_lane(all, lid, lane)) {
			block_walk(all, (uint16_t)(lid / LFT_BLOCK_LIDS), lane);
			drop_those_held(all);
		}
	for (uint32_t i = 0; i < all->added_count; i++)
		channel_graph_add(&all->held, all->added[i]);
	return all->added_count
	               ? channel_graph_cycles(&all->held, all->added, all->added_count, cycle)
	               : 0;
}

static bool lane_changes(const struct dependencies *all, const struct plan_entry *entries,
        uint32_t count, uint8_t lane)
{
	for (uint32_t i = 0; i < count; i++)
		if (all->lane_of_lid[entries[i].lid] == lane)
			return true;
	return false;
}

static int by_lid(const void *a, const void *b)
{
	const struct plan_entry *const *x = a, *const *y = b;

	return (*x)->lid - (*y)->lid;
}

int entries_close_cycle(const struct fabric_view *view, const struct plan_entry *entries,
        uint32_t count, bool *cycle)
{
	const struct plan_entry **sorted = calloc(count + 1, sizeof(*sorted));
	struct dependencies all = {0};
	int error = sorted ? dependencies_prepare(&all, view) : -ENOMEM;
	bool found = false;

	for (uint32_t i = 0; !error && i < count; i++)
		sorted[i] = &entries[i];
	if (!error)
		qsort(sorted, count, sizeof(*sorted), by_lid);
	for (uint8_t lane = 0; lane < LANES && !error && !found; lane++)
		if (lane_changes(&all, entries, count, lane))
			error = lane_closes_cycle(&all, sorted, count, lane, &found);
	dependencies_clear(&all);
	free(sorted);
	if (!error)
		*cycle = found;
	return error;
}
