/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>

#include "sm-side/plan/compose.h"

/* The moves of one plan, taken together. */
struct crowd {
	uint32_t count;
	const struct plan_move *moves;
};

static bool is_nowhere(struct view_place place)
{
	return place.switch_guid == 0;
}

/* The move that leads to @place, or from it. NULL: none does. */
static const struct plan_move *move_to(const struct crowd *crowd, struct view_place place)
{
	for (uint32_t i = 0; i < crowd->count; i++)
		if (view_place_equal(crowd->moves[i].to, place))
			return &crowd->moves[i];
	return NULL;
}

static const struct plan_move *move_from(const struct crowd *crowd, struct view_place place)
{
	for (uint32_t i = 0; i < crowd->count; i++)
		if (view_place_equal(crowd->moves[i].from, place))
			return &crowd->moves[i];
	return NULL;
}

static bool is_same_place(struct view_place a, struct view_place b)
{
	return !is_nowhere(a) && view_place_equal(a, b);
}

/* Two moves of the same VM or node, or to the same place; or one takes whom the other needs in
 * exchange. */
static bool is_twice(const struct plan_move *a, const struct plan_move *b)
{
	if (a->vm.port_guid == b->vm.port_guid || a->vm.lid == b->vm.lid ||
	        (a->kind == VM_CREATE && b->kind == VM_CREATE &&
	                a->vm.node_guid == b->vm.node_guid) ||
	        is_same_place(a->to, b->to))
		return true;
	if (a->kind == MOVE_SWAP && b->kind == MOVE_SWAP)
		return false;
	return is_same_place(a->to, b->from) || is_same_place(a->from, b->to);
}

static bool collide(const struct crowd *crowd)
{
	for (uint32_t i = 0; i < crowd->count; i++)
		for (uint32_t j = 0; j < i; j++)
			if (is_twice(&crowd->moves[i], &crowd->moves[j]))
				return true;
	return false;
}

/* Where a row of moves begins that ends with @last: its VMs follow each other, and this place is
 * left to whoever is in the way at the end. */
static const struct plan_move *row_start(const struct crowd *crowd, const struct plan_move *last)
{
	const struct plan_move *before;

	while ((before = move_to(crowd, last->from)))
		last = before;
	return last;
}

struct composed {
	struct plan_transfer transfer;
	struct relabel relabel;
};

static struct composed composed_of(const struct plan_identity *identity, struct view_place from,
        struct view_place to, bool in_use, uint16_t like)
{
	return (struct composed){
	        .transfer = {.identity = *identity, .from = from, .to = to, .in_use = in_use},
	        .relabel = {identity->lid, like, from, to},
	};
}

/* What one move with dynamic LIDs adds. */
static unsigned compose_copy(const struct plan_move *move, struct composed *made)
{
	uint16_t like = is_nowhere(move->to) ? 0 : move->other.lid;

	made[0] = composed_of(&move->vm, move->from, move->to, true, like);
	return 1;
}

/* What one move adds: its VM's transfer, and that of who is at the place where nobody goes on. */
static unsigned compose_swap(
        const struct crowd *crowd, const struct plan_move *move, struct composed *made)
{
	const struct plan_move *start;

	made[0] = composed_of(&move->vm, move->from, move->to, true, move->other.lid);
	if (move_from(crowd, move->to))
		return 1;
	start = row_start(crowd, move);
	made[1] =
	        composed_of(&move->other, move->to, start->from, move->other_in_use, start->vm.lid);
	return 2;
}

static int by_lid(const void *a, const void *b)
{
	uint16_t x = ((const struct composed *)a)->relabel.lid;
	uint16_t y = ((const struct composed *)b)->relabel.lid;

	return (x > y) - (x < y);
}

static enum refusal take_over(
        struct plan *plan, struct relabel **relabels, const struct composed *made, uint32_t count)
{
	plan->transfers = calloc(count + 1, sizeof(*plan->transfers));
	*relabels = calloc(count + 1, sizeof(**relabels));
	if (!plan->transfers || !*relabels)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		plan->transfers[i] = made[i].transfer;
		(*relabels)[i] = made[i].relabel;
	}
	plan->transfer_count = count;
	return REFUSAL_NONE;
}

enum refusal compose(struct plan *plan, struct relabel **relabels)
{
	struct crowd crowd = {plan->move_count, plan->moves};
	struct composed *made;
	enum refusal refused;
	uint32_t count = 0;

	if (collide(&crowd))
		return REFUSAL_MOVES_COLLIDE;
	made = calloc(2 * (size_t)crowd.count + 1, sizeof(*made));
	if (!made)
		return REFUSAL_NO_MEMORY;
	for (uint32_t i = 0; i < crowd.count; i++)
		count += crowd.moves[i].kind == MOVE_SWAP
		                 ? compose_swap(&crowd, &crowd.moves[i], &made[count])
		                 : compose_copy(&crowd.moves[i], &made[count]);
	qsort(made, count, sizeof(*made), by_lid);
	refused = take_over(plan, relabels, made, count);
	free(made);
	return refused;
}
