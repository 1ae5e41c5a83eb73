/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <opensm/osm_config.h>
#include <opensm/osm_db.h>
#include <opensm/osm_opensm.h>
#include <opensm/osm_ucast_cache.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/die_point.h"
#include "notifier/base/monotonic.h"
#include "sm-side/identity_move.h"
#include "sm-side/identity_sides.h"
#include "sm-side/linear_top.h"
#include "sm-side/osm_lids.h"
#include "sm-side/osm_model.h"
#include "sm-side/reread.h"
#include "sm-side/smp_sender.h"
#include "sm-side/sweep_lease.h"
#include "sm-side/unacknowledged.h"

enum {
	NAP_NS = 10000000,
	TOP_LOOKS_MAX = 5, /* at the switches, whether they have taken it */
};

struct identity_move {
	struct plan *plan;
	struct identity_sides *sides;
	bool has_begun, is_finished;
};

struct identity_move *identity_move_create(struct plan *plan)
{
	struct identity_move *move = calloc(1, sizeof(*move));

	if (move)
		move->sides = identity_sides_create(plan);
	if (!move || !move->sides) {
		free(move);
		plan_destroy(plan);
		return NULL;
	}
	move->plan = plan;
	return move;
}

void identity_move_destroy(struct identity_move *move)
{
	if (!move)
		return;
	identity_sides_destroy(move->sides);
	plan_destroy(move->plan);
	free(move);
}

const struct plan *identity_move_plan(const struct identity_move *move)
{
	return move->plan;
}

bool identity_move_has_begun(const struct identity_move *move)
{
	return move->has_begun;
}

bool identity_move_is_finished(const struct identity_move *move)
{
	return move->is_finished;
}

/* An attempt at a move. */
struct attempt {
	const struct move_tools *tools;
	struct identity_move *move;
	uint64_t deadline_ns;
	struct move_result *result;
};

/* Nothing keeps a LID that a plan has chosen from being promised to somebody else before. */
static enum refusal lids_stand(const struct attempt *attempt)
{
	int error = osm_lids_check(attempt->tools->lids, attempt->move->plan);

	return !error ? REFUSAL_NONE : error == -ENOMEM ? REFUSAL_NO_MEMORY : REFUSAL_STALE_PLAN;
}

static enum refusal left_of(const struct attempt *attempt, struct plan_left *left)
{
	enum refusal refused = lids_stand(attempt);
	struct fabric_view *view;

	if (refused)
		return refused;
	view = osm_model_view(attempt->tools->osm);
	if (!view)
		return REFUSAL_NO_MEMORY;
	refused = plan_left(view, attempt->move->plan, left);
	fabric_view_destroy(view);
	return refused;
}

/* The same, and the links must stand as planned before anything is Set. */
static enum refusal left_of_linked(const struct attempt *attempt, struct plan_left *left)
{
	enum refusal refused = left_of(attempt, left);

	return !refused && !left->links_done ? REFUSAL_GUIDS_NOT_THERE : refused;
}

/* Is the plan still good? */
static enum refusal check_plan(const struct attempt *attempt)
{
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused;
	struct plan_left left;

	CL_PLOCK_ACQUIRE(&osm->lock);
	refused = left_of(attempt, &left);
	if (!refused)
		plan_left_clear(&left);
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}

/* The Sets of one wave. */
static enum refusal put_wave(
        const struct attempt *attempt, const struct plan_sets *sets, uint32_t wave)
{
	struct smp_sender *sender = attempt->tools->sender;

	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *change = &sets->changes[i];
		int error;

		if (change->wave != wave)
			continue;
		error = sender->kind->lft_write(sender, change);
		if (error)
			return error == -ENOMEM ? REFUSAL_NO_MEMORY : REFUSAL_STALE_PLAN;
		die_point(DIE_SM_APPLY, "routes");
		if (change->is_vswitch)
			attempt->result->sent.lft_vswitch++;
		else
			attempt->result->sent.lft_physical++;
	}
	return REFUSAL_NONE;
}

/* It may hold tables of switches that are gone, with ways that are no more. OpenSM's handlers throw
 * it away when they find the links changed; it is not for a sweep to have done so. */
static void invalidate_cache(osm_opensm_t *osm)
{
	if (osm->subn.opt.use_ucast_cache)
		osm_ucast_cache_invalidate(&osm->sm.ucast_mgr);
}

/* LIDs for those who come, and tables that are long enough, before any route to them is written. */
static enum refusal promise_lids(const struct attempt *attempt)
{
	const struct plan *plan = attempt->move->plan;

	for (uint32_t i = 0; i < plan->transfer_count; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];
		int error;

		if (transfer->from.switch_guid || !transfer->to.switch_guid)
			continue;
		error = osm_lids_promise(
		        attempt->tools->lids, transfer->identity.port_guid, transfer->identity.lid);
		if (error)
			return error == -ENOMEM ? REFUSAL_NO_MEMORY : REFUSAL_STALE_PLAN;
	}
	return REFUSAL_NONE;
}

static void take_back_lids(const struct attempt *attempt)
{
	const struct plan *plan = attempt->move->plan;

	CL_PLOCK_EXCL_ACQUIRE(&attempt->tools->osm->lock);
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (!plan->transfers[i].to.switch_guid)
			osm_lids_take_back(attempt->tools->lids,
			        plan->transfers[i].identity.port_guid,
			        plan->transfers[i].identity.lid);
	CL_PLOCK_RELEASE(&attempt->tools->osm->lock);
}

static enum refusal put_all_locked(struct attempt *attempt, const struct plan_left *left)
{
	struct identity_sides *sides = attempt->move->sides;
	enum refusal refused = identity_sides_check(sides, attempt->tools->osm);
	uint32_t again = 0;

	if (!refused)
		refused = promise_lids(attempt);
	if (!refused)
		refused = identity_sides_put(sides, attempt->tools, &attempt->result->sent);
	if (!refused)
		refused = put_wave(attempt, &left->sets, 0);
	if (!refused)
		refused = unacknowledged_send(
		        attempt->tools->sender, attempt->move->plan, &left->sets, &again);
	attempt->result->resent += again;
	return refused;
}

/* All but the later waves goes out in one hold of the lock. What is left is the caller's to clear.
 */
static enum refusal put_all(struct attempt *attempt, struct plan_left *left)
{
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	refused = left_of_linked(attempt, left);
	if (!refused)
		refused = put_all_locked(attempt, left);
	if (!refused)
		invalidate_cache(osm);
	CL_PLOCK_RELEASE(&osm->lock);
	return refused;
}

static enum refusal wait_for_wave(const struct attempt *attempt)
{
	struct smp_sender *sender = attempt->tools->sender;

	if (sender->kind->lft_wait(sender, attempt->deadline_ns, &attempt->result->resent) == 0)
		return REFUSAL_NONE;
	return osm_exit_flag ? REFUSAL_SHUTTING_DOWN : REFUSAL_NOT_ACKNOWLEDGED;
}

/* Until packets on the routes that are no more have come out, or have been thrown away. */
static enum refusal let_packets_out(const struct attempt *attempt)
{
	uint64_t until_ns = monotonic_ns() + osm_lids_packet_lifetime_ns(attempt->tools->osm);

	while (monotonic_ns() < until_ns) {
		uint64_t left_ns = until_ns - monotonic_ns();
		struct timespec nap = {0, (long)(left_ns < NAP_NS ? left_ns : NAP_NS)};

		if (osm_exit_flag)
			return REFUSAL_SHUTTING_DOWN;
		if (monotonic_ns() > attempt->deadline_ns)
			return REFUSAL_NOT_ACKNOWLEDGED;
		nanosleep(&nap, NULL);
	}
	return REFUSAL_NONE;
}

/* Each wave when the one before it is acknowledged. */
static enum refusal put_later_waves(const struct attempt *attempt, const struct plan_sets *sets)
{
	osm_opensm_t *osm = attempt->tools->osm;
	enum refusal refused = REFUSAL_NONE;

	for (uint32_t wave = 1; wave < sets->wave_count && !refused; wave++) {
		refused = wait_for_wave(attempt);
		if (!refused && wave == 1 && sets->pause_after_wave_0)
			refused = let_packets_out(attempt);
		if (refused)
			return refused;
		die_point(DIE_SM_APPLY, "wave");
		CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
		refused = put_wave(attempt, sets, wave);
		CL_PLOCK_RELEASE(&osm->lock);
	}
	return refused;
}

static enum refusal put_begun(const struct attempt *attempt, uint32_t *posted, bool *dropped)
{
	static const struct plan_sets none;
	osm_opensm_t *osm = attempt->tools->osm;
	struct plan_left left = {0};
	enum refusal refused;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	refused = left_of_linked(attempt, &left);
	if (!refused)
		refused = unacknowledged_send(
		        attempt->tools->sender, attempt->move->plan, &none, posted);
	CL_PLOCK_RELEASE(&osm->lock);
	*dropped = left.routes_dropped;
	plan_left_clear(&left);
	return refused;
}

/* Where the order matters, the wave that an earlier attempt has begun comes to its end before
 * anything else is written; and so does the pause after it. */
static enum refusal finish_begun(const struct attempt *attempt)
{
	enum plan_order order = attempt->move->plan->order;
	enum refusal refused;
	uint32_t posted = 0;
	bool dropped;

	if (order == PLAN_FAST)
		return REFUSAL_NONE;
	refused = put_begun(attempt, &posted, &dropped);
	if (refused || (!posted && !dropped))
		return refused;
	attempt->result->resent += posted;
	refused = wait_for_wave(attempt);
	return !refused && order == PLAN_DROP_FIRST ? let_packets_out(attempt) : refused;
}

static enum refusal look_at_tops(const struct attempt *attempt, uint32_t *posted)
{
	osm_opensm_t *osm = attempt->tools->osm;
	struct plan_left left = {0};
	enum refusal refused;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	refused = left_of_linked(attempt, &left);
	if (!refused)
		refused = linear_top_send(osm, attempt->tools->sender, attempt->move->plan, posted);
	CL_PLOCK_RELEASE(&osm->lock);
	plan_left_clear(&left);
	return refused;
}

/* No switch looks at entries beyond its LinearFDBTop, so these wait until it is high enough. */
static enum refusal raise_tops(const struct attempt *attempt)
{
	struct move_result *result = attempt->result;

	if (!plan_highest_lid_that_comes(attempt->move->plan))
		return REFUSAL_NONE;
	for (int look = 0; look < TOP_LOOKS_MAX; look++) {
		uint32_t posted;
		enum refusal refused = look_at_tops(attempt, &posted);

		if (refused || !posted)
			return refused;
		*(look ? &result->resent : &result->sent.switchinfo) += posted;
		refused = reread_wait(attempt->tools->sender, attempt->deadline_ns);
		if (refused)
			return refused;
	}
	return REFUSAL_NOT_ACKNOWLEDGED;
}

static enum refusal put_and_wait(struct attempt *attempt)
{
	struct plan_left left = {0};
	enum refusal refused = finish_begun(attempt);

	if (!refused)
		refused = raise_tops(attempt);
	if (!refused)
		refused = put_all(attempt, &left);
	if (!refused)
		refused = put_later_waves(attempt, &left.sets);
	plan_left_clear(&left);
	return refused;
}

static bool is_acknowledged(const struct attempt *attempt)
{
	osm_opensm_t *osm = attempt->tools->osm;
	bool all;

	CL_PLOCK_ACQUIRE(&osm->lock);
	all = unacknowledged_none(osm, attempt->move->plan);
	CL_PLOCK_RELEASE(&osm->lock);
	return all;
}

static enum refusal wait_for_all(const struct attempt *attempt)
{
	const struct move_tools *tools = attempt->tools;
	enum refusal unacknowledged = wait_for_wave(attempt);
	enum refusal refused = identity_sides_wait(
	        attempt->move->sides, tools, attempt->deadline_ns, &attempt->result->resent);

	if (refused || unacknowledged)
		return refused ? refused : unacknowledged;
	if (!is_acknowledged(attempt))
		return REFUSAL_NOT_ACKNOWLEDGED;
	/* A tree that is late is no reason to take the move back: OpenSM goes on with it. */
	if (attempt->result->sent.groups &&
	        !sweep_lease_sweeper_caught_up(tools->lease, attempt->deadline_ns))
		osm_log(&tools->osm->log, OSM_LOG_INFO,
		        "tether: multicast trees are not computed again yet\n");
	return REFUSAL_NONE;
}

/*
 * guid2lid is right as it was, so this writes it only where OpenSM had not yet. Neighbours have
 * changed; they are hints for M_Keys after a restart and not worth waiting for a disk.
 */
static void persist(osm_opensm_t *osm)
{
	osm_db_store(osm->sm.lid_mgr.p_g2l, osm->subn.opt.fsync_high_avail_files);
	osm_db_store(osm->subn.p_neighbor, FALSE);
}

enum refusal identity_move_apply(const struct move_tools *tools, struct identity_move *move,
        uint64_t deadline_ns, struct move_result *result, bool *sweep_needed)
{
	struct attempt attempt = {
	        .tools = tools, .move = move, .deadline_ns = deadline_ns, .result = result};
	uint64_t start = monotonic_ns();
	enum refusal refused;

	*result = (struct move_result){0};
	refused = check_plan(&attempt);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "checked");
	*sweep_needed = true;
	move->has_begun = true;
	refused = reread_ask(tools->osm, move->plan);
	if (!refused)
		refused = reread_wait(tools->sender, deadline_ns);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "reread");
	refused = put_and_wait(&attempt);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "posted");
	refused = wait_for_all(&attempt);
	if (refused)
		return refused;
	die_point(DIE_SM_APPLY, "acknowledged");
	take_back_lids(&attempt);
	persist(tools->osm);
	die_point(DIE_SM_APPLY, "persisted");
	*sweep_needed = false;
	move->is_finished = true;
	result->elapsed_us = (monotonic_ns() - start) / 1000;
	return REFUSAL_NONE;
}
