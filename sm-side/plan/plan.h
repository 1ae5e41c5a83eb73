/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A plan: what has to be written into which forwarding tables, in which order, so that VMs'
 * identities are reached at other places. It is made in steps, each a room:
 *
 *   requests of moves -> moves (swap.h, copy.h) -> transfers and relabels, one of each for an
 *   identity (compose.h, relabel.h) -> entries, one for each switch and LID that changes
 *   (relabel.h, or reach.h where only the least may change) -> Sets, one LFT block each, in waves
 *   (merge.h, or order.h where the order matters).
 *
 * No path is computed anywhere. Pure: reads a view, writes nothing, knows no clock. A plan belongs
 * to whoever asked for it.
 */
#ifndef TETHER_PLAN_H
#define TETHER_PLAN_H

#include "sm-side/plan/endpoint.h"
#include "sm-side/plan/fabric_view.h"
#include "sm-side/plan/refusal.h"

enum plan_move_kind {
	/* Every slot has a LID already: the identity there comes back in exchange. */
	MOVE_SWAP,
	/* The VM's LID goes with it to an empty slot. */
	MOVE_COPY,
	/* An identity that the subnet does not know yet appears in an empty slot. */
	VM_CREATE,
	/* An identity ends, its LID is free again. */
	VM_DESTROY,
};

enum plan_order {
	PLAN_FAST,       /* one Set for each changed block, all at once */
	PLAN_CONSISTENT, /* no loop and no dead end in any state between */
	PLAN_DROP_FIRST, /* routes that change lead nowhere before they lead elsewhere */
};

enum plan_reach {
	PLAN_DETERMINISTIC, /* every switch, so that the routes' balance is kept */
	PLAN_MINIMUM,       /* the smallest set of switches that is enough */
};

struct lid_pool;

struct plan_move_request {
	enum plan_move_kind kind;
	uint64_t vm_port_guid;
	uint64_t vm_node_guid; /* 0: whichever it has; VM_CREATE needs it */
	struct view_place to;  /* VM_DESTROY: nowhere */
	uint16_t lid;          /* VM_CREATE: 0: the lowest free one. VM_DESTROY: what one that the
	                        * view does not know is promised; 0: nothing */
	bool other_in_use;     /* MOVE_SWAP: a VM holds the other slot, too: it may have traffic */
};

struct plan_request {
	enum plan_order order;
	enum plan_reach reach;
	uint32_t move_count;
	const struct plan_move_request *moves;
	/* LIDs that are not free though no port of the view has them. NULL: none. */
	const struct lid_pool *lids;
	/* Where a refusal is about a switch, port or LID of the view (BAD_VIEW, NO_LFT,
	 * NOT_ROUTED), which one is written here. NULL: nobody asks. */
	struct view_fault *fault;
};

struct plan_identity {
	uint64_t port_guid;
	uint64_t node_guid;
	uint16_t lid;
};

/* As requested, with what was found in the view. A place of {0, 0} is nowhere. */
struct plan_move {
	enum plan_move_kind kind;
	struct plan_identity vm;
	/* MOVE_SWAP: who was at @to. MOVE_COPY, VM_CREATE: the PF there, whose routes are copied.
	 */
	struct plan_identity other;
	struct view_place from, to;
	bool other_in_use;
};

/* Where an identity is when all moves of a plan are done: one for each that goes elsewhere. */
struct plan_transfer {
	struct plan_identity identity;
	struct view_place from, to;
	bool in_use;        /* it may have traffic */
	uint64_t elsewhere; /* names the entries for its LID that the plan leaves alone */
};

/* From place to place; others come or end, and routes do not wait for that. */
static inline bool plan_transfer_moves(const struct plan_transfer *transfer)
{
	return transfer->from.switch_guid && transfer->to.switch_guid;
}

/* One switch's port for one LID. */
struct plan_entry {
	uint64_t switch_guid;
	uint32_t sw; /* its index in the view that the entry was made from */
	uint16_t lid;
	uint8_t before, after;
};

/* One LFT Set. */
struct plan_change {
	uint64_t switch_guid;
	uint32_t wave; /* after all of the waves before it are acknowledged */
	uint16_t block;
	bool is_vswitch;
	uint8_t before[LFT_BLOCK_LIDS];
	uint8_t after[LFT_BLOCK_LIDS];
};

/* Ascending by wave, switch GUID, block. Where a block is written more than once, each Set finds
 * what the one before it has left. */
struct plan_sets {
	uint32_t change_count;
	struct plan_change *changes;
	uint32_t wave_count;
	uint32_t splits;         /* Sets more than there are changed blocks */
	bool pause_after_wave_0; /* packets under way are to come out first: a packet lifetime */
};

/* Sets by kind; never added up. */
struct plan_counts {
	uint32_t lft_physical;
	uint32_t lft_vswitch;
	uint32_t pkey;
	uint32_t portinfo;
	uint32_t switchinfo; /* LinearFDBTop raised */
	uint32_t groups;     /* multicast groups whose trees are computed again */
};

struct plan {
	uint64_t hash; /* of intent and changes: the plan's name */
	uint64_t generation;
	enum plan_order order;
	enum plan_reach reach;
	bool leads_back; /* it undoes another one (undo.h) */
	uint32_t move_count, transfer_count, entry_count;
	struct plan_move *moves;
	struct plan_transfer *transfers; /* ascending by LID */
	struct plan_entry *entries;      /* ascending by switch GUID, then LID; each changes */
	struct plan_sets sets;
	struct plan_counts counts;
	uint16_t linear_top; /* switches whose LinearFDBTop is below need it so high; 0: none */
};

/* *@plan is written where REFUSAL_NONE is returned; plan_destroy it. */
enum refusal plan_make(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, struct plan **plan);
void plan_destroy(struct plan *plan);

/* The highest LID of those that the plan creates, which every switch must look at; 0: none. */
uint16_t plan_highest_lid_that_comes(const struct plan *plan);

/*
 * The way back: the same entries, identities and places, the other way round. Like any plan it is
 * carried out over the tables as they are then (plan_left), so it also undoes half of a plan. NULL:
 * out of memory.
 */
struct plan *plan_reverse(const struct plan *plan);

/* How far the fabric has got with a plan: an earlier attempt, or a sweep of the SM's own, may have
 * done a part. */
struct plan_left {
	bool links_done;  /* all identities that move are seen at their new places */
	bool routes_done; /* the tables lead there from everywhere, if by other routes */
	/* drop-first: entries lead nowhere already. Packets on the routes of before may not be out
	 * yet: a packet lifetime, and then the Sets. */
	bool routes_dropped;
	uint32_t entry_count;
	struct plan_entry *entries; /* still to change */
	struct plan_sets sets;      /* that do so, over the tables as they are now */
};

/*
 * What of @plan is still to do in @view. Refused with STALE_PLAN where something other than the
 * plan, or than a sweep that has seen the identities at their new places, has changed what it rests
 * on. The Sets are meant to be sent once the links are done, not before. plan_left_clear it.
 */
enum refusal plan_left(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left);
void plan_left_clear(struct plan_left *left);

void plan_sets_clear(struct plan_sets *sets);

#endif
