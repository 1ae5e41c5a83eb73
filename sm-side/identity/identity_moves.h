/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Carries out plans in OpenSM, several as one: the identities of slots, whose GUIDs the hosts have
 * exchanged already, change places in what OpenSM believes and on the wire.
 *
 * To OpenSM this is CAs that were cabled the other way round. One NodeInfo Get through each
 * slot's switch port makes its own handlers take that in (links, directed routes, node tables) and
 * read again what is at the slot (PortInfo, P_Keys). Only if the links are then as planned is
 * anything Set. VMs that come or end are only routed here, and get or lose their LIDs; the sweep
 * that their links' going up or down causes does the rest. What is keyed by GUID (GUID to LID, port
 * tables, SA records) stays and stays right.
 *
 * Whatever is wrong with one of them concerns that one: the others go on without it. What they have
 * in common is the time that it takes.
 *
 * Called with sweeps held off (sweep_lease_enter) and no lock held; OpenSM's lock is taken for each
 * step and never over a wait. May be repeated, also after a sweep has seen part of a move. One
 * thread at a time.
 */
#ifndef TETHER_IDENTITY_MOVES_H
#define TETHER_IDENTITY_MOVES_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/identity/identity_move.h"

struct osm_opensm;
struct smp_sender;
struct sweep_lease;
struct osm_lids;

struct move_tools {
	struct osm_opensm *osm;
	struct smp_sender *sender;
	struct sweep_lease *lease;
	struct osm_lids *lids;
};

/* Sums over a group tell nothing twice. */
struct move_result {
	struct plan_counts sent; /* first time; what was sent again is in resent */
	uint32_t lft_shared;     /* LFT Sets that wrote for this plan, too, and are another one's */
	uint32_t resent;         /* LFT Sets and SwitchInfo are the first one's */
	uint32_t together;       /* plans that went out as one; 1: alone */
	uint64_t elapsed_us;
};

/* One of those that are carried out together. */
struct move_member {
	struct identity_move *move;
	/* What has become of it. STALE_PLAN, UNKNOWN_PORT, GUIDS_NOT_THERE (nothing was Set),
	 * NOT_ACKNOWLEDGED, SHUTTING_DOWN, NO_MEMORY. */
	enum refusal refused;
	struct move_result result;
	/* The group's own (move_group.h). */
	bool has_begun, are_sides_put, are_sides_taken;
};

/*
 * @members are of one order and generation and share no identity, slot or LID (plan_group_form).
 * True: OpenSM has taken something in that is not done and acknowledged, so it has to sweep.
 */
bool identity_moves_apply(const struct move_tools *tools, struct move_member *members,
        uint32_t count, uint64_t deadline_ns);

#endif
