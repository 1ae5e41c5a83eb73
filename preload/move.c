/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/move.h"

#include "preload/completion_queue.h"
#include "preload/device.h"
#include "preload/device_list.h"
#include "preload/move_address.h"
#include "preload/queue_pair.h"

/* Those in whose VM contexts are not what they seem. Changed while control verbs are kept out. */
static TAILQ_HEAD(, move) taking = TAILQ_HEAD_INITIALIZER(taking);

bool move_has_context(const struct move *move, const struct context *context)
{
	return move_has_ports(move, context->ports);
}

bool move_takes_along(const struct move *move, const struct context *context)
{
	return context->phase != PHASE_LOST && move_has_context(move, context);
}

void move_set_phase(struct move *move, enum context_phase phase)
{
	struct context *context;

	if (move->phase != PHASE_RUNNING)
		TAILQ_REMOVE(&taking, move, phase_link);
	move->phase = phase;
	if (phase != PHASE_RUNNING)
		TAILQ_INSERT_TAIL(&taking, move, phase_link);
	EACH_MOVING(move, context)
	{
		/* The end of one before may come late: a later one has them by then. */
		enum context_phase now = phase != PHASE_RUNNING ? phase : move_phase_of(context);

		context->phase = context->awaits_device && now < PHASE_AWAY ? PHASE_AWAY : now;
	}
}

enum context_phase move_phase_of(const struct context *context)
{
	const struct move *move;

	TAILQ_FOREACH(move, &taking, phase_link)
	{
		if (move_has_context(move, context))
			return move->phase;
	}
	return PHASE_RUNNING;
}

/* One that was never open may be the one that is missing. */
bool move_has_taken(struct device *device)
{
	const struct port *ports = device_ports_hold(device);
	const struct move *move;
	bool taken = false;

	TAILQ_FOREACH(move, &taking, phase_link)
	taken |= move->phase == PHASE_AWAY &&
	         (ports ? move_has_ports(move, ports) : move->of_our_vm);
	device_ports_let_go();
	return taken;
}

bool move_has_taken_some(void)
{
	const struct move *move;

	TAILQ_FOREACH(move, &taking, phase_link)
	{
		if (move->phase == PHASE_AWAY && move->of_our_vm)
			return true;
	}
	return false;
}

bool move_has_peer(const struct move *move, const struct queue_pair *qp)
{
	return queue_pair_is_connected(qp) && move_has_remote(move, &qp->remote);
}

static bool is_concerned(
        const struct move *move, const struct context *context, const struct queue_pair *qp)
{
	if (qp->datagrams)
		return queue_pair_is_active(qp) && move_takes_along(move, context);
	return queue_pair_is_connected(qp) &&
	       (move_has_context(move, context) || move_has_peer(move, qp));
}

/* Pollers look at it. */
static void begin(struct queue_pair *qp, struct move *move)
{
	queue_pair_close_completions(qp);
	qp->migration = (struct queue_pair_migration){.move = move};
	queue_pair_open_completions(qp);
}

bool move_concern(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	bool all = true;

	EACH_QUEUE_PAIR(context, qp)
	{
		struct move *other = qp->migration.move;

		if (other == move && move->state == MOVE_KNOWN && !is_concerned(move, context, qp))
			qp->migration.move = NULL;
		if (other == move || !is_concerned(move, context, qp))
			continue;
		if (!other || other->state == MOVE_KNOWN)
			begin(qp, move);
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

bool pair_names_are_of(const struct pair_names *names, const struct queue_pair *qp)
{
	return names->local_qpn == qp->remote.qpn && names->remote_qpn == queue_pair_number(qp) &&
	       names->local_lid == qp->remote.lid && names->remote_lid == queue_pair_lid(qp);
}

struct queue_pair *move_find(const struct move *move, const struct pair_names *names)
{
	struct context *context;

	TAILQ_FOREACH(context, &contexts, link)
	{
		const struct number_entry *entry =
		        number_table_find(&context->numbers, names->remote_qpn);
		struct queue_pair *qp = entry ? (struct queue_pair *)entry->value : NULL;

		if (qp && qp->migration.move == move && pair_names_are_of(names, qp))
			return qp;
	}
	return NULL;
}
