/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>

#include "sm-side/plan/copy.h"
#include "sm-side/plan/elsewhere.h"
#include "sm-side/plan/plan.h"
#include "sm-side/plan/relabel.h"
#include "sm-side/plan/route.h"
#include "sm-side/plan/steps.h"

static bool is_nowhere(struct view_place place)
{
	return place.switch_guid == 0;
}

/* Nobody knows the identity: right for one that is to come or has ended, and for a VM between two
 * slots whose links are up only while they are held. */
static bool unknown_stands(
        const struct fabric_view *view, const struct plan_transfer *transfer, bool *arrived)
{
	*arrived = is_nowhere(transfer->to);
	return !is_nowhere(transfer->from) ||
	       view_find_lid(view, transfer->identity.lid) == VIEW_NONE;
}

/* One that has just come may not have been given its LID yet, and one that has gone has none. */
static bool is_the_same(const struct view_end_port *port, const struct plan_transfer *transfer)
{
	const struct plan_identity *identity = &transfer->identity;
	bool may_lack_lid = is_nowhere(transfer->from) || port->switch_index == VIEW_NONE;

	return port->node_guid == identity->node_guid && !port->lmc &&
	       (port->lid == identity->lid || (!port->lid && may_lack_lid));
}

/* Is the identity known as the plan has it, at its old place, its new one, or nowhere just now? */
static bool identity_stands(
        const struct fabric_view *view, const struct plan_transfer *transfer, bool *arrived)
{
	uint32_t index = view_find_end_port(view, transfer->identity.port_guid);
	struct view_place at;

	if (index == VIEW_NONE)
		return unknown_stands(view, transfer, arrived);
	if (!is_the_same(&view->end_ports[index], transfer))
		return false;
	at = view_place_of(view, index);
	*arrived = view_place_equal(at, transfer->to);
	return *arrived || is_nowhere(at) || view_place_equal(at, transfer->from);
}

bool plan_identities_stand(const struct fabric_view *view, const struct plan *plan, bool *arrived)
{
	*arrived = true;
	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		bool has_arrived = false;

		if (!identity_stands(view, &plan->transfers[i], &has_arrived))
			return false;
		*arrived &= has_arrived || !plan_transfer_moves(&plan->transfers[i]);
	}
	return true;
}

/* What is found about one LID of the plan. */
struct lid_left {
	uint8_t *ports; /* by switch: as they are where the plan has no entry, else as it wants */
	bool is_the_sweeps; /* an entry is neither what the plan found nor what it wants */
	bool is_missing_some;
	bool is_dropped;    /* an entry leads nowhere that was another before */
	bool leads;         /* to the new place already */
	bool is_done;       /* nothing to do for it */
	uint64_t elsewhere; /* as in plan_transfer, now */
};

struct comparison {
	const struct fabric_view *view;
	const struct plan *plan;
	struct lid_left *lids; /* in the order of the transfers */
};

static void comparison_end(struct comparison *c)
{
	for (uint32_t i = 0; c->lids && i < c->plan->transfer_count; i++)
		free(c->lids[i].ports);
	free(c->lids);
}

static enum refusal comparison_begin(struct comparison *c)
{
	c->lids = calloc(c->plan->transfer_count + 1, sizeof(*c->lids));
	if (!c->lids)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < c->plan->transfer_count; i++) {
		c->lids[i].ports = route_of(c->view, c->plan->transfers[i].identity.lid);
		if (!c->lids[i].ports)
			return REFUSAL_NO_MEMORY;
	}
	return REFUSAL_NONE;
}

static struct lid_left *lid_of(const struct comparison *c, uint16_t lid)
{
	uint32_t low = 0, high = c->plan->transfer_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (c->plan->transfers[middle].identity.lid <= lid)
			low = middle;
		else
			high = middle;
	}
	return &c->lids[low];
}

/* An entry that leads nowhere, only until it leads where the plan wants. */
static bool is_missing(const struct plan *plan, const struct plan_entry *entry, uint8_t now)
{
	return now == LFT_NO_PORT && entry->after != LFT_NO_PORT &&
	       (entry->before == LFT_NO_PORT || plan->order == PLAN_DROP_FIRST);
}

static void want_entry(const struct comparison *c, const struct plan_entry *entry)
{
	struct lid_left *lid = lid_of(c, entry->lid);
	uint32_t sw = view_find_switch(c->view, entry->switch_guid);
	uint8_t now =
	        sw == VIEW_NONE ? LFT_NO_PORT : view_lft_entry(&c->view->switches[sw], entry->lid);

	if (sw != VIEW_NONE && is_missing(c->plan, entry, now)) {
		lid->is_missing_some = true;
		lid->is_dropped |= entry->before != LFT_NO_PORT;
	} else if (sw == VIEW_NONE || (now != entry->before && now != entry->after)) {
		lid->is_the_sweeps = true;
	}
	if (sw != VIEW_NONE)
		lid->ports[sw] = entry->after;
}

static enum refusal find_elsewhere(const struct comparison *c)
{
	uint64_t *names = elsewhere_names(c->view, c->plan);

	if (!names)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < c->plan->transfer_count; i++)
		c->lids[i].elsewhere = names[i];
	free(names);
	return REFUSAL_NONE;
}

/* Put what the plan wants over what is there. */
static void want_entries(const struct comparison *c)
{
	for (uint32_t i = 0; i < c->plan->entry_count; i++)
		want_entry(c, &c->plan->entries[i]);
}

/* Has nobody but the plan changed its routes? */
static bool is_the_plans(const struct lid_left *lid, const struct plan_transfer *transfer)
{
	return !lid->is_the_sweeps && lid->elsewhere == transfer->elsewhere;
}

/*
 * Do the tables lead to the new place as they are? If so, a sweep may have chosen other routes than
 * the plan, and it is not for us to mix the two. Half of the plan can lead there, too: that is gone
 * on with, since only the whole has the plan's balance and waits in no cycle of channels. If they
 * do not, the rest of the plan has to lead there.
 */
static enum refusal lid_decide(
        const struct comparison *c, struct lid_left *lid, const struct plan_transfer *transfer)
{
	bool leads = false;

	if (!lid->is_missing_some &&
	        view_leads_to(c->view, transfer->identity.lid, transfer->to, &lid->leads))
		return REFUSAL_NO_MEMORY;
	if (lid->leads) {
		lid->is_done = !is_the_plans(lid, transfer);
		return REFUSAL_NONE;
	}
	if (!lid->is_the_sweeps && route_leads(c->view, lid->ports, transfer->to, &leads))
		return REFUSAL_NO_MEMORY;
	return leads ? REFUSAL_NONE : REFUSAL_STALE_PLAN;
}

static enum refusal entries_take(const struct comparison *c, struct plan_left *left)
{
	struct entry_list entries = {0};
	int error = 0;

	for (uint32_t i = 0; i < c->plan->entry_count && !error; i++) {
		const struct plan_entry *entry = &c->plan->entries[i];
		uint32_t sw = view_find_switch(c->view, entry->switch_guid);

		if (!lid_of(c, entry->lid)->is_done)
			error = entry_add(
			        &entries, &c->view->switches[sw], sw, entry->lid, entry->after);
	}
	left->entries = entries.at;
	left->entry_count = entries.count;
	return error ? REFUSAL_NO_MEMORY : REFUSAL_NONE;
}

static enum refusal routes_find(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	struct comparison c = {view, plan, NULL};
	enum refusal refused = comparison_begin(&c);

	if (!refused)
		refused = find_elsewhere(&c);
	if (!refused)
		want_entries(&c);
	left->routes_done = true;
	for (uint32_t i = 0; i < plan->transfer_count && !refused; i++) {
		refused = lid_decide(&c, &c.lids[i], &plan->transfers[i]);
		left->routes_done &= c.lids[i].leads;
		left->routes_dropped |= c.lids[i].is_dropped;
	}
	if (!refused)
		refused = entries_take(&c, left);
	comparison_end(&c);
	return refused;
}

/* Is the slot of one who comes still nobody else's? */
static bool slot_stands(const struct fabric_view *view, const struct plan_move *move)
{
	uint32_t there = view_end_port_at(view, move->to);

	if (there != VIEW_NONE && view->end_ports[there].port_guid != move->vm.port_guid)
		return false;
	return !copy_slot_is_promised(view, move->to, move->vm.lid);
}

static bool slots_stand(const struct fabric_view *view, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->move_count; i++)
		if (plan->moves[i].kind == VM_CREATE && !slot_stands(view, &plan->moves[i]))
			return false;
	return true;
}

static enum refusal left_find(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	enum refusal refused = plan_tables_cover(view, plan);

	if (!plan_identities_stand(view, plan, &left->links_done) || !slots_stand(view, plan))
		return REFUSAL_STALE_PLAN;
	if (!refused)
		refused = routes_find(view, plan, left);
	if (refused)
		return refused;
	if (view_generation(view) != plan->generation) {
		left->entry_count = 0;
		return left->routes_done ? REFUSAL_NONE : REFUSAL_STALE_PLAN;
	}
	return plan_make_sets(view, plan, left->entries, left->entry_count, &left->sets);
}

enum refusal plan_left(
        const struct fabric_view *view, const struct plan *plan, struct plan_left *left)
{
	enum refusal refused;

	*left = (struct plan_left){0};
	refused = left_find(view, plan, left);
	if (refused)
		plan_left_clear(left);
	return refused;
}

void plan_left_clear(struct plan_left *left)
{
	free(left->entries);
	plan_sets_clear(&left->sets);
	*left = (struct plan_left){0};
}
