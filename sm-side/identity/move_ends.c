/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/identity/identity_sides.h"
#include "sm-side/identity/move_ends.h"
#include "sm-side/plugin/osm_lids.h"
#include "sm-side/identity/reread.h"

enum {
	SIDE_LOOKS_MAX = 4, /* at the end ports, whether they have taken it */
};

/* ---- sides ---- */

static enum refusal put_sides(const struct move_group *group, struct move_member *member)
{
	const struct identity_sides *sides = identity_move_sides(member->move);
	enum refusal refused = identity_sides_check(sides, group->tools->osm);

	if (refused || member->are_sides_put)
		return refused;
	member->are_sides_put = true;
	return identity_sides_put(sides, group->tools, &member->result.sent);
}

void move_ends_put_sides(struct move_group *group)
{
	EACH_GOING(group, member)
	member->refused = put_sides(group, member);
}

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

void move_ends_wait_for_sides(struct move_group *group)
{
	enum refusal refused;

	for (int look = 0; look < SIDE_LOOKS_MAX; look++) {
		refused = reread_wait(group->tools->sender, group->deadline_ns);
		if (refused) {
			move_group_refuse_all(group, refused);
			return;
		}
		if (sides_are_taken(group))
			return;
	}
	/* None of it is to arrive in the middle of the next attempt. */
	refused = reread_wait(group->tools->sender, group->deadline_ns);
	if (refused)
		move_group_refuse_all(group, refused);
	EACH_GOING(group, member)
	if (!member->are_sides_taken)
		member->refused = REFUSAL_NOT_ACKNOWLEDGED;
}

/* ---- LIDs ---- */

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

bool move_ends_promise_lids(struct move_group *group)
{
	EACH_GOING(group, member)
	if (promise_lids(group, member_plan(member)))
		return move_group_refuse_all(group, REFUSAL_NO_MEMORY);
	return true;
}

static void take_back_lids(const struct move_group *group, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->transfer_count; i++)
		if (!plan->transfers[i].to.switch_guid)
			osm_lids_take_back(group->tools->lids,
			        plan->transfers[i].identity.port_guid,
			        plan->transfers[i].identity.lid);
}

void move_ends_take_back_lids(const struct move_group *group)
{
	EACH_GOING(group, member)
	take_back_lids(group, member_plan(member));
}
