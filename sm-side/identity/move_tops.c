/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/identity/linear_top.h"
#include "sm-side/identity/move_tops.h"
#include "sm-side/identity/reread.h"

enum {
	TOP_LOOKS_MAX = 5, /* at the switches, whether they have taken it */
};

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

bool move_tops_raise(struct move_group *group)
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
			return move_group_refuse_all(group, refused);
	}
	drop_those_who_need_top(group);
	return false;
}
