/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>

#include "sm-side/plan/channel_dependencies.h"
#include "sm-side/plan/reach.h"
#include "sm-side/plan/reach_paths.h"

static bool is_somewhere(struct view_place place)
{
	return place.switch_guid != 0;
}

/* Only what is routed already and goes on being so has old routes that can be kept. */
static bool keeps_routes(const struct relabel *relabel)
{
	return relabel->like && is_somewhere(relabel->from) && is_somewhere(relabel->to);
}

static struct reach_move move_of(const struct fabric_view *view, const struct relabel *relabel)
{
	return (struct reach_move){
	        .lid = relabel->lid,
	        .like = relabel->like,
	        .from_switch = view_find_switch(view, relabel->from.switch_guid),
	        .to_switch = view_find_switch(view, relabel->to.switch_guid),
	        .to_port = relabel->to.port,
	};
}

/* The moves of those that keep routes; all entries of the others are added. */
static enum refusal moves_collect(const struct fabric_view *view, const struct relabel *relabels,
        uint32_t count, struct reach_move *moves, uint32_t *move_count, struct entry_list *entries)
{
	for (uint32_t i = 0; i < count; i++) {
		struct reach_move *move = &moves[*move_count];

		if (!keeps_routes(&relabels[i])) {
			if (relabel_entries(view, &relabels[i], 1, entries))
				return REFUSAL_NO_MEMORY;
			continue;
		}
		*move = move_of(view, &relabels[i]);
		if (move->from_switch == VIEW_NONE || move->to_switch == VIEW_NONE)
			return REFUSAL_NOT_ROUTED;
		++*move_count;
	}
	return REFUSAL_NONE;
}

static enum refusal paths_add(const struct fabric_view *view, const struct reach_move *moves,
        uint32_t count, enum reach_preference preference, struct entry_list *entries)
{
	struct reach_result paths = {0};
	enum refusal refused = reach_paths(view, moves, count, preference, &paths);

	for (uint32_t i = 0; i < paths.hop_count && !refused; i++) {
		const struct reach_hop *hop = &paths.hops[i];

		if (entry_add(entries, &view->switches[hop->sw], hop->sw, hop->lid, hop->port))
			refused = REFUSAL_NO_MEMORY;
	}
	reach_result_clear(&paths);
	return refused;
}

/* As preferred first, and where that would bring a deadlock, as preferred second. */
static enum refusal paths_choose(const struct fabric_view *view, const struct reach_move *moves,
        uint32_t count, struct entry_list *entries)
{
	static const enum reach_preference preferences[] = {
	        REACH_AGAINST_OLD_ROUTES, REACH_LIKE_DETERMINISTIC};
	uint32_t others = entries->count;

	for (unsigned i = 0; i < 2; i++) {
		bool cycle = false;
		enum refusal refused;

		entries->count = others;
		refused = paths_add(view, moves, count, preferences[i], entries);
		if (refused)
			return refused;
		if (entries_close_cycle(view, entries->at, entries->count, &cycle))
			return REFUSAL_NO_MEMORY;
		if (!cycle)
			return REFUSAL_NONE;
	}
	return REFUSAL_DEADLOCK;
}

enum refusal plan_reach_minimum(const struct fabric_view *view, const struct relabel *relabels,
        uint32_t count, struct entry_list *entries)
{
	struct reach_move *moves = calloc(count + 1, sizeof(*moves));
	uint32_t move_count = 0;
	enum refusal refused = REFUSAL_NO_MEMORY;

	if (moves)
		refused = moves_collect(view, relabels, count, moves, &move_count, entries);
	if (!refused)
		refused = paths_choose(view, moves, move_count, entries);
	free(moves);
	return refused;
}
