/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <stdlib.h>

#include <opensm/osm_config.h>
#include <opensm/osm_opensm.h>

#include "sm-side/identity/move_group.h"
#include "sm-side/plugin/osm_lids.h"
#include "sm-side/plugin/osm_model.h"
#include "sm-side/plan/group.h"

void move_group_clear(struct move_group *group)
{
	plan_destroy(group->joined);
	free(group->sent);
}

uint32_t move_group_going(const struct move_group *group)
{
	uint32_t count = 0;

	EACH_GOING(group, member)
	count++;
	return count;
}

bool move_group_refuse_all(struct move_group *group, enum refusal refused)
{
	EACH_GOING(group, member)
	member->refused = refused;
	return false;
}

/* ---- what is left ---- */

/* Nothing keeps a LID that a plan has chosen from being promised to somebody else before. */
static enum refusal lids_stand(const struct move_group *group, const struct plan *plan)
{
	int error = osm_lids_check(group->tools->lids, plan);

	return !error ? REFUSAL_NONE : error == -ENOMEM ? REFUSAL_NO_MEMORY : REFUSAL_STALE_PLAN;
}

static enum refusal left_of(const struct move_group *group, const struct fabric_view *view,
        const struct plan *plan, bool linked, struct plan_left *left)
{
	enum refusal refused = lids_stand(group, plan);

	if (!refused)
		refused = plan_left(view, plan, left);
	if (refused || !linked || left->links_done)
		return refused;
	plan_left_clear(left);
	return REFUSAL_GUIDS_NOT_THERE;
}

bool move_group_look(struct move_group *group, bool linked, struct move_look *look)
{
	look->view = osm_model_view(group->tools->osm);
	look->left = calloc(group->count + 1, sizeof(*look->left));
	if (!look->view || !look->left) {
		move_group_refuse_all(group, REFUSAL_NO_MEMORY);
		return false;
	}
	EACH_GOING(group, member)
	member->refused = left_of(group, look->view, member_plan(member), linked,
	        &look->left[member - group->members]);
	return move_group_going(group);
}

static int find_cycles(struct move_group *group, const struct move_look *look, bool *closes)
{
	const struct plan **plans = calloc(group->count + 1, sizeof(*plans));
	int error;

	if (!plans)
		return -ENOMEM;
	EACH_GOING(group, member)
	plans[member - group->members] = member_plan(member);
	error = plan_group_find_cycles(look->view, plans, look->left, group->count, closes);
	free(plans);
	return error;
}

void move_group_drop_cycles(struct move_group *group, const struct move_look *look)
{
	bool *closes = calloc(group->count + 1, sizeof(*closes));

	if (!closes || find_cycles(group, look, closes)) {
		move_group_refuse_all(group, REFUSAL_NO_MEMORY);
		free(closes);
		return;
	}
	EACH_GOING(group, member)
	if (closes[member - group->members])
		member->refused = REFUSAL_STALE_PLAN;
	free(closes);
}

void move_look_end(const struct move_group *group, struct move_look *look)
{
	for (uint32_t i = 0; look->left && i < group->count; i++)
		plan_left_clear(&look->left[i]);
	free(look->left);
	fabric_view_destroy(look->view);
}

/* ---- one plan ---- */

bool move_group_join(struct move_group *group)
{
	const struct plan **plans = calloc(group->count + 1, sizeof(*plans));
	uint32_t count = 0;

	plan_destroy(group->joined);
	group->joined = NULL;
	EACH_GOING(group, member)
	if (plans)
		plans[count++] = member_plan(member);
	if (count)
		group->joined = plan_group_join(plans, count);
	free(plans);
	if (!group->joined)
		move_group_refuse_all(group, REFUSAL_NO_MEMORY);
	return group->joined;
}

static struct plan_sets sets_take(struct plan_left *left)
{
	struct plan_sets sets = left->sets;

	left->sets = (struct plan_sets){0};
	return sets;
}

bool move_group_sets(struct move_group *group, struct move_look *look, struct plan_sets *sets)
{
	enum refusal refused;

	if (move_group_going(group) == 1) {
		EACH_GOING(group, member)
		*sets = sets_take(&look->left[member - group->members]);
		return true;
	}
	EACH_MEMBER(group, member)
	if (member->refused)
		plan_left_clear(&look->left[member - group->members]);
	refused = plan_group_sets(look->view, group->joined, look->left, group->count, sets);
	if (refused)
		move_group_refuse_all(group, refused);
	return !refused;
}

/* ---- whose a Set was ---- */

int move_group_note(struct move_group *group, const struct plan_change *change)
{
	if (group->sent_count == group->sent_room) {
		uint32_t room = group->sent_room ? group->sent_room * 2 : 64;
		struct sent_set *grown = reallocarray(group->sent, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		group->sent = grown;
		group->sent_room = room;
	}
	group->sent[group->sent_count++] =
	        (struct sent_set){change->switch_guid, change->block, change->is_vswitch};
	return 0;
}

static bool wrote_for(const struct sent_set *set, const struct move_member *member)
{
	return plan_writes_block(member_plan(member), set->switch_guid, set->block);
}

/* The first of those who have got through for whom it was, or of all; NULL as @set: for anybody. */
static struct move_member *first_of(const struct move_group *group, const struct sent_set *set)
{
	EACH_GOING(group, member)
	if (!set || wrote_for(set, member))
		return member;
	EACH_MEMBER(group, member)
	if (!set || wrote_for(set, member))
		return member;
	return NULL;
}

static void set_tell(struct move_group *group, const struct sent_set *set)
{
	struct move_member *first = first_of(group, set);

	if (first && set->is_vswitch)
		first->result.sent.lft_vswitch++;
	else if (first)
		first->result.sent.lft_physical++;
	EACH_MEMBER(group, member)
	if (member != first && wrote_for(set, member))
		member->result.lft_shared++;
}

void move_group_tell(struct move_group *group)
{
	struct move_member *first = first_of(group, NULL);

	for (uint32_t i = 0; i < group->sent_count; i++)
		set_tell(group, &group->sent[i]);
	first->result.resent += group->resent;
	first->result.sent.switchinfo += group->switchinfo;
	EACH_MEMBER(group, member)
	member->result.together = group->together;
}
