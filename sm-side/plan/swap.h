/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Plans the move of a VM's identity to another slot where every slot has a LID already
 * (prepopulated LIDs): the identity there comes back in exchange, and each switch exchanges its
 * entries for the two LIDs where they differ. No path is computed. One Set where both LIDs are in
 * one block of 64, else two (vSwitch paper, section VI).
 *
 * Undo is such a plan in the other direction, made from the tables as they are then. Pure: reads a
 * view, writes nothing. A plan belongs to whoever asked for it.
 */
#ifndef TETHER_PLAN_SWAP_H
#define TETHER_PLAN_SWAP_H

#include "sm-side/plan/endpoint.h"
#include "sm-side/plan/fabric_view.h"
#include "sm-side/plan/refusal.h"

struct swap_request {
	uint64_t vm_port_guid;
	uint64_t vm_node_guid; /* 0: whichever it has */
	struct view_place to;
};

struct plan_identity {
	uint64_t port_guid;
	uint64_t node_guid;
	uint16_t lid;
};

/* One LFT Set. */
struct plan_change {
	uint64_t switch_guid;
	uint16_t block;
	bool is_vswitch;
	uint8_t before[LFT_BLOCK_LIDS];
	uint8_t after[LFT_BLOCK_LIDS];
};

/* Sets by kind; never added up. */
struct plan_counts {
	uint32_t lft_physical;
	uint32_t lft_vswitch;
	uint32_t pkey;
	uint32_t portinfo;
	uint32_t groups; /* multicast groups whose trees are computed again */
};

struct plan {
	uint64_t hash; /* of intent and changes: the plan's name */
	uint64_t generation;
	struct plan_identity vm, other;
	struct view_place from, to; /* the VM's; the other's the other way round */
	struct plan_counts counts;
	uint32_t change_count;
	struct plan_change *changes; /* ascending by switch GUID, then block */
};

/* *@plan is written where REFUSAL_NONE is returned; plan_destroy it. */
enum refusal plan_swap(const struct fabric_view *view, const struct endpoint_model *model,
        const struct swap_request *request, struct plan **plan);
void plan_destroy(struct plan *plan);

/*
 * The way back: the same entries, identities and places, the other way round. Like any plan it is
 * carried out over the tables as they are then (plan_left), so it also undoes half of a plan. NULL:
 * out of memory.
 */
struct plan *plan_reverse(const struct plan *plan);

/* How far the fabric has got with a plan: an earlier attempt, or a sweep of the SM's own, may have
 * done a part. */
struct plan_left {
	bool links_done;  /* both identities are seen at their new places */
	bool routes_done; /* the tables lead there from everywhere */
	uint32_t change_count;
	struct plan_change *changes; /* Sets still to send, over the tables as they are now */
};

/*
 * What of @plan is still to do in @view. Refused with STALE_PLAN where something other than the
 * plan, or than a sweep that has seen the identities at their new places, has changed what it rests
 * on. The changes are meant to be written once the links are done, not before. plan_left_clear it.
 */
enum refusal plan_left(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left);
void plan_left_clear(struct plan_left *left);

#endif
