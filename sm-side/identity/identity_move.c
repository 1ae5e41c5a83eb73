/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <stdlib.h>

#include "sm-side/identity/identity_move.h"
#include "sm-side/identity/identity_sides.h"

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

const struct identity_sides *identity_move_sides(const struct identity_move *move)
{
	return move->sides;
}

void identity_move_begin(struct identity_move *move)
{
	move->has_begun = true;
}

void identity_move_finish(struct identity_move *move)
{
	move->is_finished = true;
}
