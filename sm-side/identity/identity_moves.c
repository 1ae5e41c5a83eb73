/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The order of the steps. What is written where, and waited for, is in rooms of their own. A step
 * returns whether all who go have got through it. Where somebody has dropped out on the way, those
 * who are left begin anew, as at a second attempt; nothing is left to do of what has been done.
 */
#include <opensm/osm_config.h>
#include <opensm/osm_db.h>
#include <opensm/osm_opensm.h>
#include <opensm/osm_ucast_cache.h>

#include "notifier/base/die_point.h"
#include "notifier/base/monotonic.h"
#include "sm-side/identity/move_ends.h"
#include "sm-side/identity/move_group.h"
#include "sm-side/identity/move_tops.h"
#include "sm-side/identity/move_waves.h"
#include "sm-side/identity/reread.h"
#include "sm-side/identity/smp_sender.h"
#include "sm-side/plugin/sweep_lease.h"

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
		move_group_refuse_all(group, refused);
}

/* ---- put ---- */

/* It may hold tables of switches that are gone, with ways that are no more. OpenSM's handlers throw
 * it away when they find the links changed; it is not for a sweep to have done so. */
static void invalidate_cache(osm_opensm_t *osm)
{
	if (osm->subn.opt.use_ucast_cache)
		osm_ucast_cache_invalidate(&osm->sm.ucast_mgr);
}

static bool put_all_locked(struct move_group *group, struct move_look *look, struct plan_sets *sets)
{
	if (!move_group_look(group, true, look))
		return false;
	move_ends_put_sides(group);
	/* The tables that the view looks at are made longer when LIDs are promised. */
	if (!move_group_going(group) || !move_group_join(group) ||
	        !move_group_sets(group, look, sets) || !move_ends_promise_lids(group))
		return false;
	if (group->together < move_group_going(group))
		group->together = move_group_going(group);
	return move_waves_put_first(group, sets);
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
	bool through = move_waves_finish_begun(group) && move_tops_raise(group) &&
	               put_all(group, &sets) && move_waves_put_later(group, &sets);

	plan_sets_clear(&sets);
	return through;
}

/* ---- until all is taken ---- */

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
	move_ends_wait_for_sides(group);
	move_waves_drop_unacknowledged(group);
	drop_rerouted(group);
	if (osm_exit_flag)
		move_group_refuse_all(group, REFUSAL_SHUTTING_DOWN);
	/* A tree that is late is no reason to take a move back: OpenSM goes on with it. */
	if (has_groups(group) && !sweep_lease_sweeper_caught_up(tools->lease, group->deadline_ns))
		osm_log(&tools->osm->log, OSM_LOG_INFO,
		        "tether: multicast trees are not computed again yet\n");
}

/* ---- done ---- */

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
	move_ends_take_back_lids(group);
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
