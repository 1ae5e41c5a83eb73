/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/veto.h"

#include "notifier/wire/answer.h"
#include "preload/completion_queue.h"
#include "preload/connection_moves.h"
#include "preload/device.h"
#include "preload/fork_watch.h"
#include "preload/gate.h"
#include "preload/lock_limit.h"
#include "preload/memory.h"
#include "preload/window_binding.h"
#include "preload/xrc.h"

/* For a child between fork and exec. */
enum { EXEC_PATIENCE_MS = 50 };

enum veto {
#define VETO(id, name, text) VETO_##id,
#include "preload/vetoes.def"
	VETO_COUNT,
};

static const struct {
	const char *name, *text;
} vetoes[] = {
#define VETO(id, name, text) {name, text},
#include "preload/vetoes.def"
};

/* Each reason once, however many objects have it. */
typedef bool veto_set[VETO_COUNT];

static void check_queue_pair(const struct queue_pair *qp, veto_set found)
{
	enum ibv_qp_state state = qp->shown.qp_base.state;

	found[VETO_QP_STATE] |= state == IBV_QPS_SQD || state == IBV_QPS_SQE;
	found[VETO_ALTERNATE_PATH] |= qp->attr_mask & IBV_QP_ALT_PATH;
	found[VETO_ECE] |= qp->ece_set;
	found[VETO_COMPLETION_ROOM] |= completion_queue_is_cramped(qp->send_cq);
}

/* Under its own second context the process finds out whether it still may. */
static bool can_reopen(const struct context *context)
{
	struct ibv_context *again;

	if (!context->real)
		return context->awaits_device;
	again = below.ibv_open_device(context->real->device);
	if (again)
		below.ibv_close_device(again);
	return again;
}

static void check_regions(const struct context *context, veto_set found)
{
	struct memory_map *map = memory_map_read();
	const struct memory_region *mr;

	if (!map)
		return;
	TAILQ_FOREACH(mr, &context->mrs, link)
	found[VETO_MEMORY_UNMAPPED] |= !memory_region_can_move(mr, map);
	memory_map_free(map);
}

/* With a child, or as one. */
bool veto_is_shared(const struct move *move)
{
	const struct context *context;
	bool any_moves = false;

	TAILQ_FOREACH(context, &contexts, link)
	any_moves |= move_takes_along(move, context);
	if (any_moves && fork_watch_finds_child(EXEC_PATIENCE_MS))
		return true;
	return fork_watch_is_child() && (any_moves || move->of_our_vm);
}

static void check_context(const struct context *context, veto_set found)
{
	const struct xrc_domain *domain;

	check_regions(context, found);
	TAILQ_FOREACH(domain, &context->xrc_domains, link)
	found[VETO_XRC_SHARED] |= __atomic_load_n(&domain->has_foreign, __ATOMIC_RELAXED);
	found[VETO_CANNOT_REOPEN] |= !can_reopen(context);
}

/*
 * All of a VM's devices go. Who is told of the move as a peer as well is not in the VM alone: what
 * else it has open may stay.
 */
static bool leaves_behind(const struct move *move, const struct context *context)
{
	return move->of_our_vm && !move->of_a_peer && context->phase != PHASE_LOST &&
	       !move_has_context(move, context);
}

/* Each that has a queue pair which may begin anew in place. */
static bool can_bind_again(const struct move *move, struct context *context)
{
	const struct queue_pair *qp;
	bool concerned = move_has_context(move, context);

	TAILQ_FOREACH(qp, &context->qps, link)
	concerned |= move_has_peer(move, qp);
	return !concerned || !context->real || !window_binding_learn(context);
}

int veto_check(const struct move *move, Tether__Answer *answer)
{
	struct context *context;
	const struct queue_pair *qp;
	veto_set found = {false};
	bool any_moves = false;
	uint64_t locked = 0;
	int err = 0;

	EACH_QUEUE_PAIR(context, qp)
	{
		if (move_has_context(move, context) || move_has_peer(move, qp))
			check_queue_pair(qp, found);
	}
	TAILQ_FOREACH(context, &contexts, link)
	{
		found[VETO_OTHER_DEVICE] |= leaves_behind(move, context);
		found[VETO_MEMORY_WINDOW] |= !can_bind_again(move, context);
		if (!move_takes_along(move, context))
			continue;
		any_moves = true;
		locked += memory_regions_locked(context);
		check_context(context, found);
	}
	found[VETO_RDMA_CM] = any_moves && connections_are_unknown(move);
	found[VETO_CONNECTING_CM] = connections_are_between(move);
	found[VETO_GROUPS_CM] = connections_join_groups(move);
	found[VETO_IMPORTED_DEVICE] = any_moves && device_was_imported;
	found[VETO_ELSEWHERE] = verbs_are_elsewhere && (any_moves || move->of_our_vm);
	found[VETO_FORKED] = veto_is_shared(move);
	found[VETO_MEMORY_LIMIT] = lock_limit_forbids(locked);
	found[VETO_MEMBARRIER] = !gate_can_revoke();
	for (int i = 0; i < VETO_COUNT && !err; i++) {
		if (found[i])
			err = refusal_add(answer, "", vetoes[i].name, vetoes[i].text);
	}
	return err;
}
