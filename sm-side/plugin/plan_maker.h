/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Makes plans over what OpenSM believes, under its lock: new ones, the way back from one, and finds
 * one that has been forgotten half-way. Called without any lock.
 */
#ifndef TETHER_PLAN_MAKER_H
#define TETHER_PLAN_MAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "sm-side/plan/paths.h"
#include "sm-side/plan/plan.h"
#include "sm-side/plan/stability.h"

struct identity_move;
struct plugin;

/* What is said of a plan besides itself: how long OpenSM's lock was held for what, and whether a
 * sweep will leave it alone. */
struct plan_note {
	uint64_t view_ns, plan_ns;
	enum stability stability;
};

/* @has_sl: whoever asks has chosen a service level for the VMs' paths; else SL_BY_PATH where the
 * routing engine does so. */
enum refusal plan_maker_plan(struct plugin *plugin, const struct plan_request *request, bool has_sl,
        struct identity_move **move, struct plan_note *note);

/* plan_paths over the tables as OpenSM wants them now, which may have @plan in them already. free
 * *@paths. -ENOMEM. */
int plan_maker_paths(struct plugin *plugin, const struct plan *plan, const uint16_t *peers,
        uint32_t peer_count, struct plan_path **paths, uint32_t *count);

/*
 * Where a sweep has seen exchanged GUIDs before the plan was applied, the VMs are at their places
 * but their P_Keys are not. Whoever has lost the plan meanwhile gets it again, to apply it: taken
 * out of the store. NULL: there is none.
 */
struct identity_move *plan_maker_unfinished(
        struct plugin *plugin, const struct plan_request *request);

/*
 * The way back that @request asks for. @done: the name of the plan that is being undone, NULL: not
 * known. Where it is kept and its moves are those of @request, it also fits a half of it. Needs no
 * service level: those of before are right again.
 */
enum refusal plan_maker_undo(struct plugin *plugin, const struct plan_request *request,
        const uint64_t *done, struct identity_move **undo);

#endif
