/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <string.h>

#include "sm-side/plan/stability.h"

enum choice {
	CHOOSES_FREELY,   /* nothing survives for certain */
	CHOOSES_BY_PLACE, /* each place has its routes, whichever LID is there */
	KEEPS_SHORTEST, /* the entry that is there, as long as none is shorter and no link is new */
	CHOOSES_BY_SWITCH, /* all places behind a switch have the same routes */
};

static const struct {
	const char *name;
	enum choice choice;
} engines[] = {
        {"minhop", KEEPS_SHORTEST},
        {"updn", KEEPS_SHORTEST},
        {"dnup", KEEPS_SHORTEST},
        {"dor", CHOOSES_BY_SWITCH},
        {"lash", CHOOSES_BY_SWITCH},
        {"ftree", CHOOSES_BY_PLACE},
        {"sssp", CHOOSES_BY_PLACE},
        {"dfsssp", CHOOSES_BY_PLACE},
};

const char *stability_name(enum stability stability)
{
	return stability == PLAN_STABLE ? "stable" : "reverted-by-sweep";
}

static enum choice choice_of(const char *engine)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i].name, engine))
			return engines[i].choice;
	return CHOOSES_FREELY;
}

/* The switch that the others reach a place through: a vSwitch's neighbour. */
static uint32_t leaf_of(const struct fabric_view *view, struct view_place place)
{
	uint32_t at = view_find_switch(view, place.switch_guid);

	if (at == VIEW_NONE || !view->switches[at].is_vswitch)
		return at;
	for (unsigned port = 1; port <= view->switches[at].ports; port++) {
		const struct view_peer *peer = view_peer_of(view, &view->switches[at], port);

		if (peer->kind == PEER_SWITCH)
			return peer->index;
	}
	return at;
}

/* For all that the other switches know, nobody has moved. */
static bool stays_at_its_leaves(const struct fabric_view *view, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (leaf_of(view, plan->transfers[i].from) != leaf_of(view, plan->transfers[i].to))
			return false;
	return true;
}

/* Does it change all that there is to change? Of a plan of reach minimum another one is made to
 * compare it with, so this is asked last. */
static bool is_whole(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, const struct plan *plan)
{
	struct plan_request whole = *request;
	struct plan *made = NULL;
	bool is_same;

	if (request->reach == PLAN_DETERMINISTIC)
		return true;
	whole.reach = PLAN_DETERMINISTIC;
	if (plan_make(view, model, &whole, &made))
		return false;
	is_same = made->entry_count == plan->entry_count;
	plan_destroy(made);
	return is_same;
}

/* Every LID that moves takes the routes of the place it comes to, and leaves it its own; and no
 * link comes up or goes down. */
static bool is_exchange(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->move_count; i++)
		if (plan->moves[i].kind != MOVE_SWAP)
			return false;
	return true;
}

enum stability plan_stability(const struct fabric_view *view, const struct endpoint_model *model,
        const struct plan_request *request, const struct plan *plan, const char *engine)
{
	bool stands = false;

	switch (choice_of(engine)) {
	case CHOOSES_BY_PLACE:
		stands = is_exchange(plan) && is_whole(view, model, request, plan);
		break;
	case KEEPS_SHORTEST:
		stands = is_exchange(plan) &&
		         (stays_at_its_leaves(view, plan) || is_whole(view, model, request, plan));
		break;
	case CHOOSES_BY_SWITCH:
		stands = stays_at_its_leaves(view, plan) || is_whole(view, model, request, plan);
		break;
	case CHOOSES_FREELY:
		break;
	}
	return stands ? PLAN_STABLE : PLAN_REVERTED;
}
