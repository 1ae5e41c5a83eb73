/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Those who are carried out together, of whom some drop out on the way: what is left of their plans
 * now, the one plan that they are, and whose a Set was that several have needed. For
 * identity_moves.c and its rooms (move_waves, move_tops, move_ends).
 */
#ifndef TETHER_MOVE_GROUP_H
#define TETHER_MOVE_GROUP_H

#include "sm-side/identity/identity_moves.h"

/* A Set that was sent. */
struct sent_set {
	uint64_t switch_guid;
	uint16_t block;
	bool is_vswitch;
};

struct move_group {
	const struct move_tools *tools;
	struct move_member *members;
	uint32_t count;
	uint64_t deadline_ns;
	struct plan *joined; /* of those who go, since move_group_join */
	struct sent_set *sent;
	uint32_t sent_count, sent_room;
	uint32_t resent, switchinfo; /* sent for all of them */
	uint32_t together;
};

#define EACH_MEMBER(group, member)                                                                 \
	for (struct move_member *member = (group)->members;                                        \
	        member < (group)->members + (group)->count; member++)
/* Who has not dropped out. */
#define EACH_GOING(group, member)                                                                  \
	EACH_MEMBER(group, member)                                                                 \
	if (!member->refused)

void move_group_clear(struct move_group *group);

static inline const struct plan *member_plan(const struct move_member *member)
{
	return identity_move_plan(member->move);
}

uint32_t move_group_going(const struct move_group *group);
/* False, for the caller to pass on. */
bool move_group_refuse_all(struct move_group *group, enum refusal refused);

/*
 * What is left of each, by what OpenSM believes now, by member. Whose plan is not good any more, or
 * is not linked as planned where @linked asks for that, drops out. OpenSM's lock is held. False:
 * nobody is left. move_look_end it in any case.
 */
struct move_look {
	struct fabric_view *view;
	struct plan_left *left;
};

bool move_group_look(struct move_group *group, bool linked, struct move_look *look);
/* Whose new routes would close a cycle of channels, as the tables are by now and with those of the
 * others, drops out: its plan is stale. */
void move_group_drop_cycles(struct move_group *group, const struct move_look *look);
void move_look_end(const struct move_group *group, struct move_look *look);

/* Those who go as one plan. False: no memory, so nobody goes. */
bool move_group_join(struct move_group *group);
/* The Sets that carry out the joined plan; after move_group_join, in the same hold of the lock as
 * @look. The same. */
bool move_group_sets(struct move_group *group, struct move_look *look, struct plan_sets *sets);

/* Before a Set is sent. -ENOMEM. */
int move_group_note(struct move_group *group, const struct plan_change *change);
/* Each Set is told of once: in the result of the first for whom it wrote; of one who has got
 * through, where there is one. */
void move_group_tell(struct move_group *group);

#endif
