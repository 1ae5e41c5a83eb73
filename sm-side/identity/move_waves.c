/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <time.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "notifier/base/die_point.h"
#include "notifier/base/monotonic.h"
#include "sm-side/identity/move_waves.h"
#include "sm-side/plugin/osm_lids.h"
#include "sm-side/plan/group.h"
#include "sm-side/identity/smp_sender.h"
#include "sm-side/identity/unacknowledged.h"

enum {
	NAP_NS = 10000000,
};

/* Somebody else has written there. */
static bool drop_writers(struct move_group *group, const struct plan_change *change)
{
	uint32_t going = move_group_going(group);

	EACH_GOING(group, member)
	if (plan_writes_block(member_plan(member), change->switch_guid, change->block))
		member->refused = REFUSAL_STALE_PLAN;
	return move_group_going(group) < going ? false
	                                       : move_group_refuse_all(group, REFUSAL_STALE_PLAN);
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
			return move_group_refuse_all(group, REFUSAL_NO_MEMORY);
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
void move_waves_drop_unacknowledged(struct move_group *group)
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
		return move_group_refuse_all(group, REFUSAL_SHUTTING_DOWN);
	move_waves_drop_unacknowledged(group);
	if (move_group_going(group) == going || monotonic_ns() > group->deadline_ns)
		move_group_refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
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
			return move_group_refuse_all(group, REFUSAL_SHUTTING_DOWN);
		if (monotonic_ns() > group->deadline_ns)
			return move_group_refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
		nanosleep(&nap, NULL);
	}
	return true;
}

bool move_waves_put_first(struct move_group *group, struct plan_sets *sets)
{
	uint32_t again = 0;
	bool through = put_wave(group, sets, 0);

	if (through && unacknowledged_send(group->tools->sender, group->joined, sets, &again))
		through = move_group_refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
	group->resent += again;
	return through;
}

bool move_waves_put_later(struct move_group *group, const struct plan_sets *sets)
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
		return move_group_refuse_all(group, REFUSAL_NOT_ACKNOWLEDGED);
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

bool move_waves_finish_begun(struct move_group *group)
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
