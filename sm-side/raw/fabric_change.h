/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a plan comes to where there is no subnet manager: which slot has which LID before and after,
 * and the LFT Sets. It stands for itself, without the view that it was planned over, so that it can
 * be kept in a file (change_file.h) and be carried out, gone on with or taken back over whatever
 * the fabric has by then (change_left.h). Pure.
 */
#ifndef TETHER_FABRIC_CHANGE_H
#define TETHER_FABRIC_CHANGE_H

#include "sm-side/plan/plan.h"

/* A slot is a place; who is plugged in there is not for this tool to change. */
struct slot_change {
	struct view_place place;
	uint16_t before, after; /* LIDs */
};

struct fabric_change {
	uint64_t hash; /* the plan's */
	enum plan_order order;
	enum plan_reach reach;
	uint32_t move_count; /* asked for; kept for who reads the file */
	uint32_t slot_count;
	struct slot_change *slots;
	struct plan_sets sets; /* ascending by wave, switch GUID, block */
};

/*
 * Takes the plan's Sets over. -ENOMEM; -EINVAL: the plan leaves a slot without LID, or gives one to
 * a slot that had none, which needs an SM.
 */
int fabric_change_of(struct plan *plan, struct fabric_change *change);
void fabric_change_clear(struct fabric_change *change);

/* LFT Sets of either kind. */
struct plan_counts fabric_change_counts(const struct fabric_change *change);

#endif
