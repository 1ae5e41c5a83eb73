/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Random requests for plans on the fabrics of plan_topologies.h, and what agents do for them. */
#ifndef TETHER_TEST_PLAN_WISHES_H
#define TETHER_TEST_PLAN_WISHES_H

#include "sm-side/plan/plan.h"
#include "unit/plan_topologies.h"

enum { WISH_MOVES = 24 };

struct wishes {
	struct plan_move_request moves[WISH_MOVES];
	unsigned count;
};

/* Some VMs go to slots anywhere: one, a few, or all of a hypervisor; they may follow each other. Or
 * half of the slots are emptied first, and VMs come to such slots, go to them, or end. */
void wish_moves(struct wishes *wishes, struct topology *topology);
/* Up to @count exchanges of slots with somebody in them. */
void wish_swaps(struct wishes *wishes, struct topology *topology, unsigned count);
/* Each VM of a hypervisor goes elsewhere; false: there is none with a VM, or nowhere to go. */
bool wish_evacuation(struct wishes *wishes, struct topology *topology);
/* From slot to slot. */
void wish_move(struct wishes *wishes, struct topology *topology, unsigned from, unsigned to);

enum refusal wish_plan(const struct wishes *wishes, const struct topology *topology,
        enum plan_order order, enum plan_reach reach, struct plan **plan);
const struct endpoint_model *wish_model(const struct topology *topology);

/* The agents set the GUIDs: every identity of @plan is where the plan has it. */
void wish_arrive(struct topology *topology, const struct plan *plan);
/* Who moves keeps his lane under TOPOLOGY_LAYERED; so that packets stay on routes of their lane,
 * the service levels are supplied: who takes over routes takes over their lane. */
void wish_lanes(struct topology *topology, const struct topology *before, const struct plan *plan);
/* The tables as @plan's entries make them. */
void wish_write(struct topology *topology, const struct plan *plan);

#endif
