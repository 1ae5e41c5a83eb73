/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A step returns whether all who go have got through it. Where somebody has dropped out on the way,
 * those who are left begin anew, as at a second attempt; nothing is left to do of what has been
 * done.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <opensm/osm_config.h>
#include <opensm/osm_db.h>
#include <opensm/osm_opensm.h>
#include <opensm/osm_ucast_cache.h>

#include "notifier/base/die_point.h"
#include "notifier/base/monotonic.h"
#include "sm-side/identity_sides.h"
#include "sm-side/linear_top.h"
#include "sm-side/move_group.h"
#include "sm-side/osm_lids.h"
#include "sm-side/osm_model.h"
#include "sm-side/plan/group.h"
#include "sm-side/reread.h"
#include "sm-side/smp_sender.h"
#include "sm-side/sweep_lease.h"
#include "sm-side/unacknowledged.h"

enum {
	NAP_NS = 10000000,
	TOP_LOOKS_MAX = 5,  /* at the switches, whether they have taken it */
	SIDE_LOOKS_MAX = 4, /* at the end ports, the same */
};

static bool refuse_all(struct move_group *group, enum refusal refused)
{
	move_group_refuse_all(group, refused);
	return false;
}

/* ---- is it still good, and who is there ---- */

static void check_plans(struct move_group *group)
{
	osm_opensm_t *osm = group->tools->osm;
	struct move_look look;

	CL_PLOCK_ACQUIRE(&osm->lock);
	if (move_group_look(group, false, &look))
		move_group_drop_cycles(group, &look);
	CL_PLOCK_RELEASE(&osm->lock);
	move_look_end(group, &look);
}

static void reread(struct move_group *group)
{
	enum refusal refused;

	EACH_GOING(group, member)
	{
		identity_move_begin(member->move);
		member->has_begun = true;
		member->refused = reread_ask(group->tools->osm, member_plan(member));
	}
	refused = reread_wait(group->tools->sender, group->deadline_ns);
	if (refused)
		refuse_all(group, refused);
}

/* ---- waves ---- */

/* Somebody else has written there. */
static bool drop_writers(struct move_group *group, const struct plan_change *change)
{
	uint32_t going = move_group_going(group);

	EACH_GOING(group, member)
	if (plan_writes_block(member_plan(member), change->switch_guid, change->block))
		member->refused = REFUSAL_STALE_PLAN;
	return move_group_going(group) < going ? false : refuse_all(group, REFUSAL_STALE_PLAN);
}

/* The Sets of one wave. */
static bool put_wave(struct move_group *group, const struct plan_sets *sets, uint32_t wave)
{
	struct smp_sender *sender = group->tools->sender;

	for (uint32_t i = 0; i < sets->change_count; i++) {
		const struct plan_change *change = &sets->changes[i];
		int error;

		if (change->wave != wave)
			continue;
		error = move_group_note(group, change);
		if (!error)
			error = sender->kind->lft_write(sender, change);
		if (error == -ENOMEM)
			return refuse_all(group, REFUSAL_NO_MEMORY);
		if (error) {
			group->sent_count--;
			return drop_writers(group, change);
		}
		die_point(DIE_SM_APPLY, "routes");
	}
	return true;
}

static bool is_acknowledged(const struct move_group *group, const struct move_member *member)
{
	return unacknowledged_none(group->tools->osm, member_plan(member));
}

/* Whose Sets no switch has taken. */
static void drop_unacknowledged(struct move_group *group)
{
	osm_opensm_t *osm = group->tools->osm;

	CL_PLOCK_ACQUIRE(&osm->lock);
	EACH_GOING(group, member)
	if (!is_acknowledged(group, member))
		member->refused = REFUSAL_NOT_ACKNOWLEDGED;
	CL_PLOCK_RELEASE(&osm->lock);
}

static bool wait_for_wave(struct move_group *group)
{
	struct smp_sender *sender = group->tools->sender;
	uint32_t going = move_group_going(group);

	if (sender->kind->lft_wait(sender, group->deadline_ns, &group->resent) == 0)
		return true;
	if (osm_exit_flag)
		return refuse_all(group, REFUSAL_SHUTTING_DOWN);
	drop_unacknowledged(group);
	if (move_group_going(group) == going || monotonic_ns() > group->deadline_ns)
		refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
	return false;
}

/* Until packets on the routes that are no more have come out, or have been thrown away. */
static bool let_packets_out(struct move_group *group)
{
	uint64_t until_ns = monotonic_ns() + osm_lids_packet_lifetime_ns(group->tools->osm);

	while (monotonic_ns() < until_ns) {
		uint64_t left_ns = until_ns - monotonic_ns();
		struct timespec nap = {0, (long)(left_ns < NAP_NS ? left_ns : NAP_NS)};

		if (osm_exit_flag)
			return refuse_all(group, REFUSAL_SHUTTING_DOWN);
		if (monotonic_ns() > group->deadline_ns)
			return refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
		nanosleep(&nap, NULL);
	}
	return true;
}

/* Each wave when the one before it is acknowledged. */
static bool put_later_waves(struct move_group *group, const struct plan_sets *sets)
{
	osm_opensm_t *osm = group->tools->osm;

	for (uint32_t wave = 1; wave < sets->wave_count; wave++) {
		bool through = wait_for_wave(group);

		if (through && wave == 1 && sets->pause_after_wave_0)
			through = let_packets_out(group);
		if (!through)
			return false;
		die_point(DIE_SM_APPLY, "wave");
		CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
		through = put_wave(group, sets, wave);
		CL_PLOCK_RELEASE(&osm->lock);
		if (!through)
			return false;
	}
	return true;
}

/* ---- what an earlier attempt has begun ---- */

/* What is still to be waited for of it. */
struct begun {
	uint32_t posted; /* Sets */
	bool dropped;    /* routes */
};

static bool put_begun_locked(struct move_group *group, struct move_look *look, struct begun *begun)
{
	static const struct plan_sets none;

	if (!move_group_look(group, true, look) || !move_group_join(group))
		return false;
	EACH_GOING(group, member)
	begun->dropped |= look->left[member - group->members].routes_dropped;
	if (unacknowledged_send(group->tools->sender, group->joined, &none, &begun->posted))
		return refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
	return true;
}

static bool put_begun(struct move_group *group, struct begun *begun)
{
	osm_opensm_t *osm = group->tools->osm;
	struct move_look look;
	bool through;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	through = put_begun_locked(group, &look, begun);
	CL_PLOCK_RELEASE(&osm->lock);
	move_look_end(group, &look);
	return through;
}

/* All of a group are of one order. */
static enum plan_order order_of(const struct move_group *group)
{
	return member_plan(group->members)->order;
}

/* Where the order matters, the wave that an earlier attempt has begun comes to its end before
 * anything else is written; and so does the pause after it. */
static bool finish_begun(struct move_group *group)
{
	struct begun begun = {0};

	if (order_of(group) == PLAN_FAST)
		return true;
	if (!put_begun(group, &begun))
		return false;
	group->resent += begun.posted;
	if (!begun.posted && !begun.dropped)
		return true;
	return wait_for_wave(group) &&
	       (order_of(group) != PLAN_DROP_FIRST || let_packets_out(group));
}

/* ---- LinearFDBTop ---- */

static bool needs_top(const struct move_member *member)
{
	return plan_highest_lid_that_comes(member_plan(member));
}

static bool anybody_needs_top(const struct move_group *group)
{
	EACH_GOING(group, member)
	if (needs_top(member))
		return true;
	return false;
}

static void drop_those_who_need_top(struct move_group *group)
{
	EACH_GOING(group, member)
	if (needs_top(member))
		member->refused = REFUSAL_NOT_ACKNOWLEDGED;
}

static bool look_at_tops_locked(struct move_group *group, struct move_look *look, uint32_t *posted)
{
	const struct move_tools *tools = group->tools;

	if (!move_group_look(group, true, look) || !move_group_join(group))
		return false;
	if (!linear_top_send(tools->osm, tools->sender, group->joined, posted))
		return true;
	drop_those_who_need_top(group);
	return false;
}

static bool look_at_tops(struct move_group *group, uint32_t *posted)
{
	osm_opensm_t *osm = group->tools->osm;
	struct move_look look;
	bool through;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	through = look_at_tops_locked(group, &look, posted);
	CL_PLOCK_RELEASE(&osm->lock);
	move_look_end(group, &look);
	return through;
}

/* No switch looks at entries beyond its LinearFDBTop, so these wait until it is high enough. */
static bool raise_tops(struct move_group *group)
{
	if (!anybody_needs_top(group))
		return true;
	for (int look = 0; look < TOP_LOOKS_MAX; look++) {
		enum refusal refused;
		uint32_t posted;

		if (!look_at_tops(group, &posted))
			return false;
		if (!posted)
			return true;
		*(look ? &group->resent : &group->switchinfo) += posted;
		refused = reread_wait(group->tools->sender, group->deadline_ns);
		if (refused)
			return refuse_all(group, refused);
	}
	drop_those_who_need_top(group);
	return false;
}

/* ---- everything else ---- */

/* It may hold tables of switches that are gone, with ways that are no more. OpenSM's handlers throw
 * it away when they find the links changed; it is not for a sweep to have done so. */
static void invalidate_cache(osm_opensm_t *osm)
{
	if (osm->subn.opt.use_ucast_cache)
		osm_ucast_cache_invalidate(&osm->sm.ucast_mgr);
}

static int promise_lids(const struct move_group *group, const struct plan *plan)
{
	int error = 0;

	for (uint32_t i = 0; i < plan->transfer_count && !error; i++) {
		const struct plan_transfer *transfer = &plan->transfers[i];

		if (!transfer->from.switch_guid && transfer->to.switch_guid)
			error = osm_lids_promise(group->tools->lids, transfer->identity.port_guid,
			        transfer->identity.lid);
	}
	return error;
}

/* LIDs for those who come, and tables that are long enough, before any route to them is written.
 * Whether they may have them has been looked at in this hold of the lock. */
static bool promise_all_lids(struct move_group *group)
{
	EACH_GOING(group, member)
	if (promise_lids(group, member_plan(member)))
		return refuse_all(group, REFUSAL_NO_MEMORY);
	return true;
}

static enum refusal put_sides(const struct move_group *group, struct move_member *member)
{
	const struct identity_sides *sides = identity_move_sides(member->move);
	enum refusal refused = identity_sides_check(sides, group->tools->osm);

	if (refused || member->are_sides_put)
		return refused;
	member->are_sides_put = true;
	return identity_sides_put(sides, group->tools, &member->result.sent);
}

static bool put_routes(struct move_group *group, struct plan_sets *sets)
{
	uint32_t again = 0;
	bool through = put_wave(group, sets, 0);

	if (through && unacknowledged_send(group->tools->sender, group->joined, sets, &again))
		through = refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
	group->resent += again;
	return through;
}

static bool put_all_locked(struct move_group *group, struct move_look *look, struct plan_sets *sets)
{
	if (!move_group_look(group, true, look))
		return false;
	EACH_GOING(group, member)
	member->refused = put_sides(group, member);
	/* The tables that the view looks at are made longer when LIDs are promised. */
	if (!move_group_going(group) || !move_group_join(group) ||
	        !move_group_sets(group, look, sets) || !promise_all_lids(group))
		return false;
	if (group->together < move_group_going(group))
		group->together = move_group_going(group);
	return put_routes(group, sets);
}

/* All but the later waves goes out in one hold of the lock. @sets are the caller's to clear. */
static bool put_all(struct move_group *group, struct plan_sets *sets)
{
	osm_opensm_t *osm = group->tools->osm;
	struct move_look look;
	bool through;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	through = put_all_locked(group, &look, sets);
	if (through)
		invalidate_cache(osm);
	CL_PLOCK_RELEASE(&osm->lock);
	move_look_end(group, &look);
	return through;
}

static bool put(struct move_group *group)
{
	struct plan_sets sets = {0};
	bool through = finish_begun(group) && raise_tops(group) && put_all(group, &sets) &&
	               put_later_waves(group, &sets);

	plan_sets_clear(&sets);
	return through;
}

/* ---- until all is taken ---- */

/* Responses have put into OpenSM's tables what the ports hold now: send again what is missing.
 * Whether nothing was. */
static bool sides_are_taken(struct move_group *group)
{
	bool taken = true;

	EACH_GOING(group, member)
	{
		int posted =
		        identity_sides_put_again(identity_move_sides(member->move), group->tools);

		if (posted < 0)
			member->refused = REFUSAL_NOT_ACKNOWLEDGED;
		else
			member->result.resent += (uint32_t)posted;
		member->are_sides_taken = posted == 0;
		taken &= posted <= 0;
	}
	return taken;
}

static void wait_for_sides(struct move_group *group)
{
	enum refusal refused;

	for (int look = 0; look < SIDE_LOOKS_MAX; look++) {
		refused = reread_wait(group->tools->sender, group->deadline_ns);
		if (refused) {
			refuse_all(group, refused);
			return;
		}
		if (sides_are_taken(group))
			return;
	}
	/* None of it is to arrive in the middle of the next attempt. */
	refused = reread_wait(group->tools->sender, group->deadline_ns);
	if (refused)
		refuse_all(group, refused);
	EACH_GOING(group, member)
	if (!member->are_sides_taken)
		member->refused = REFUSAL_NOT_ACKNOWLEDGED;
}

/* Nothing holds a forced reroute up. It routes by who is there, so the entries of who is to come,
 * or has gone, may be others' again although they were acknowledged. */
static void drop_rerouted(struct move_group *group)
{
	osm_opensm_t *osm = group->tools->osm;
	struct move_look look;

	CL_PLOCK_ACQUIRE(&osm->lock);
	move_group_look(group, false, &look);
	EACH_GOING(group, member)
	if (!look.left[member - group->members].routes_done)
		member->refused = REFUSAL_STALE_PLAN;
	CL_PLOCK_RELEASE(&osm->lock);
	move_look_end(group, &look);
}

static bool has_groups(const struct move_group *group)
{
	EACH_GOING(group, member)
	if (member->result.sent.groups)
		return true;
	return false;
}

static void wait_for_all(struct move_group *group)
{
	const struct move_tools *tools = group->tools;

	/* Each is asked of its own below. */
	tools->sender->kind->lft_wait(tools->sender, group->deadline_ns, &group->resent);
	wait_for_sides(group);
	drop_unacknowledged(group);
	drop_rerouted(group);
	if (osm_exit_flag)
		refuse_all(group, REFUSAL_SHUTTING_DOWN);
	/* A tree that is late is no reason to take a move back: OpenSM goes on with it. */
	if (has_groups(group) && !sweep_lease_sweeper_caught_up(tools->lease, group->deadline_ns))
		osm_log(&tools->osm->log, OSM_LOG_INFO,
		        "tether: multicast trees are not computed again yet\n");
}

/* ---- done ---- */

static void take_back_lids(const struct move_group *group, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (!plan->transfers[i].to.switch_guid)
			osm_lids_take_back(group->tools->lids,
			        plan->transfers[i].identity.port_guid,
			        plan->transfers[i].identity.lid);
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

static void finish(struct move_group *group, uint64_t start_ns)
{
	osm_opensm_t *osm = group->tools->osm;

	CL_PLOCK_EXCL_ACQUIRE(&osm->lock);
	EACH_GOING(group, member)
	take_back_lids(group, member_plan(member));
	CL_PLOCK_RELEASE(&osm->lock);
	persist(osm);
	die_point(DIE_SM_APPLY, "persisted");
	EACH_GOING(group, member)
	{
		identity_move_finish(member->move);
		member->result.elapsed_us = (monotonic_ns() - start_ns) / 1000;
	}
}

static void carry_out(struct move_group *group)
{
	check_plans(group);
	if (!move_group_going(group))
		return;
	die_point(DIE_SM_APPLY, "checked");
	reread(group);
	if (!move_group_going(group))
		return;
	die_point(DIE_SM_APPLY, "reread");
	while (move_group_going(group) && !put(group))
		;
	if (!move_group_going(group))
		return;
	die_point(DIE_SM_APPLY, "posted");
	wait_for_all(group);
	if (!move_group_going(group))
		return;
	die_point(DIE_SM_APPLY, "acknowledged");
}

static void members_begin(struct move_member *members, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		members[i] = (struct move_member){.move = members[i].move};
}

static bool has_begun_and_failed(const struct move_group *group)
{
	EACH_MEMBER(group, member)
	if (member->has_begun && member->refused)
		return true;
	return false;
}

bool identity_moves_apply(const struct move_tools *tools, struct move_member *members,
        uint32_t count, uint64_t deadline_ns)
{
	struct move_group group = {
	        .tools = tools, .members = members, .count = count, .deadline_ns = deadline_ns};
	uint64_t start_ns = monotonic_ns();

	members_begin(members, count);
	carry_out(&group);
	if (move_group_going(&group))
		finish(&group, start_ns);
	move_group_tell(&group);
	move_group_clear(&group);
	return has_begun_and_failed(&group);
}
