/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Carries out a plan in OpenSM: the identities of slots, whose GUIDs the hosts have exchanged
 * already, change places in what OpenSM believes and on the wire.
 *
 * To OpenSM this is CAs that were cabled the other way round. One NodeInfo Get through each
 * slot's switch port makes its own handlers take that in (links, directed routes, node tables) and
 * read again what is at the slot (PortInfo, P_Keys). Only if the links are then as planned is
 * anything Set. VMs that come or end are only routed here, and get or lose their LIDs; the sweep
 * that their links' going up or down causes does the rest. What is keyed by GUID (GUID to LID, port
 * tables, SA records) stays and stays right.
 *
 * Called with sweeps held off (sweep_lease_enter) and no lock held; OpenSM's lock is taken for each
 * step and never over a wait. May be repeated, also after a sweep has seen part of the move.
 */
#ifndef TETHER_IDENTITY_MOVE_H
#define TETHER_IDENTITY_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/plan.h"

struct osm_opensm;
struct smp_sender;
struct sweep_lease;
struct osm_lids;

/* A plan, and what has to be remembered between two attempts at it. */
struct identity_move;

/* Takes @plan over. NULL: out of memory (@plan is destroyed). */
struct identity_move *identity_move_create(struct plan *plan);
void identity_move_destroy(struct identity_move *move);
const struct plan *identity_move_plan(const struct identity_move *move);
/* Has an attempt at it got so far that something may have changed? */
bool identity_move_has_begun(const struct identity_move *move);
/* Has an attempt at it succeeded? */
bool identity_move_is_finished(const struct identity_move *move);

struct move_tools {
	struct osm_opensm *osm;
	struct smp_sender *sender;
	struct sweep_lease *lease;
	struct osm_lids *lids;
};

struct move_result {
	struct plan_counts sent; /* first time; what was sent again is in resent */
	uint32_t resent;
	uint64_t elapsed_us;
};

/*
 * *@sweep_needed is set as soon as OpenSM has taken something in, and cleared when all is done and
 * acknowledged. STALE_PLAN, UNKNOWN_PORT, GUIDS_NOT_THERE (nothing was Set), NOT_ACKNOWLEDGED,
 * SHUTTING_DOWN, NO_MEMORY.
 */
enum refusal identity_move_apply(const struct move_tools *tools, struct identity_move *move,
        uint64_t deadline_ns, struct move_result *result, bool *sweep_needed);

#endif
