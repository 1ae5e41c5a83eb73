/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/move.h"

#include <string.h>

#include "preload/device.h"
#include "preload/queue_pair.h"

bool move_has_context(const struct move *move, const struct context *context)
{
	return move->lid ? context_has_lid(context, move->lid)
	                 : move->has_gid && context_has_gid(context, &move->gid);
}

bool move_has_peer(const struct move *move, const struct queue_pair *qp)
{
	if (!queue_pair_is_connected(qp))
		return false;
	if (move->lid)
		return qp->remote.lid == move->lid;
	return move->has_gid && qp->remote.by_gid &&
	       !memcmp(&qp->remote.gid, &move->gid, sizeof(move->gid));
}

static bool is_concerned(
        const struct move *move, const struct context *context, const struct queue_pair *qp)
{
	return queue_pair_is_connected(qp) && qp->logged &&
	       (move_has_context(move, context) || move_has_peer(move, qp));
}

bool move_concern(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	bool all = true;

	EACH_QUEUE_PAIR(context, qp)
	{
		struct move *other = qp->migration.move;

		if (other == move || !is_concerned(move, context, qp))
			continue;
		if (!other || other->state == MOVE_KNOWN)
			qp->migration = (struct queue_pair_migration){.move = move};
		else
			all = false;
	}
	return all;
}

unsigned move_count_concerned(const struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	unsigned count = 0;

	EACH_CONCERNED(move, context, qp)
	count++;
	return count;
}

void move_forget(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	qp->migration.move = NULL;
}
