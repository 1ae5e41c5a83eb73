/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Paths by which LIDs are moved with as few LFT Sets as can do it.
 *
 * All tables lead a LID to its old place. Let U be the switches whose entry changes. Every walk
 * from a switch outside U goes its old way, which ends at the old place's switch unless it meets U
 * before; that switch has to change, so it is in U, and its own new way to the new place is a path
 * on which the switches outside U keep their old entry. Conversely, any simple path from there to
 * the new place suffices if each of its switches gets the entry that leads along it: every other
 * walk still goes towards the old place, so it meets the path at its beginning at the latest. So
 * the fewest Sets are a shortest path, a switch weighing nothing where its old entry leads along
 * the path already or where its block is written anyway, else one (vSwitch paper, section V-D).
 *
 * Among equals, the paths that run against the LID's own old routes turn its traffic on the way
 * instead of down to the old leaf and up again, which is shorter and makes no new turn there. Those
 * that follow the routes of the LID whose place it takes are what the deterministic reach would
 * choose. Pure.
 */
#ifndef TETHER_PLAN_REACH_PATHS_H
#define TETHER_PLAN_REACH_PATHS_H

#include "sm-side/plan/fabric_view.h"
#include "sm-side/plan/refusal.h"

struct reach_move {
	uint16_t lid;
	uint16_t like;        /* the LID that was routed to the new place; 0: none */
	uint32_t from_switch; /* indices in the view; all tables lead @lid to this one */
	uint32_t to_switch;
	uint8_t to_port;
};

/* Among paths of equally few Sets. */
enum reach_preference { REACH_AGAINST_OLD_ROUTES, REACH_LIKE_DETERMINISTIC };

/* An entry that changes. */
struct reach_hop {
	uint32_t sw;
	uint16_t lid;
	uint8_t port;
};

struct reach_result {
	uint32_t hop_count;
	uint32_t set_count;     /* distinct (switch, block) */
	struct reach_hop *hops; /* by move, each from its old place to its new one */
};

/*
 * Each LID's Sets are the fewest possible beside those of the moves before it; where LIDs share
 * blocks the moves are taken in both orders, and the better result is returned. reach_result_clear
 * it. NOT_ROUTED: no cables lead to a new place.
 */
enum refusal reach_paths(const struct fabric_view *view, const struct reach_move *moves,
        uint32_t count, enum reach_preference preference, struct reach_result *result);
void reach_result_clear(struct reach_result *result);

#endif
