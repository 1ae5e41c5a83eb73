/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/drain.h"

#include <stdlib.h>

#include "notifier/base/log.h"
#include "preload/completion_queue.h"
#include "preload/completions.h"
#include "preload/data_path.h"
#include "preload/datagrams.h"
#include "preload/doubted_errors.h"
#include "preload/lost_devices.h"
#include "preload/lost_peers.h"
#include "preload/queue_pair.h"
#include "preload/rebuild.h"
#include "preload/settlement.h"
#include "preload/sq_psns.h"
#include "preload/window_work.h"

/* ---- STOP ---- */

/* The newest send with the device that has a completion to come. */
static void find_last_signalled(struct queue_pair *qp, uint64_t now_ms)
{
	struct queue_pair_migration *m = &qp->migration;
	const struct send_log *log = &qp->sends;

	m->waits_for_completion = false;
	m->tail_seen = log->tail;
	m->progress_ms = now_ms;
	for (uint32_t i = log->posted; i != log->tail && !m->waits_for_completion; i--) {
		const struct send_slot *slot = send_log_at(log, i - 1);

		m->last_signalled = i - 1;
		m->waits_for_completion = slot->flags & IBV_SEND_SIGNALED ||
		                          send_log_signals(log, slot->opcode) ||
		                          opcode_is_local(slot->opcode);
	}
}

void queue_pair_hold(struct queue_pair *qp)
{
	gate_hold(&qp->send_gate);
	qp->held = true;
}

void queue_pair_let_go(struct queue_pair *qp)
{
	gate_let_go(&qp->send_gate);
	__atomic_store_n(&qp->held, false, __ATOMIC_RELAXED);
}

void queue_pair_hold_receives(struct queue_pair *qp)
{
	gate_hold(&qp->receive_gate);
	qp->receives_held = true;
}

void queue_pair_let_receives_go(struct queue_pair *qp)
{
	if (!qp->receives_held)
		return;
	gate_let_go(&qp->receive_gate);
	qp->receives_held = false;
}

/* So that nobody owns one any more: one barrier for all of them. Without memory each has its own.
 */
static void revoke_send_gates(struct move *move)
{
	unsigned count = move_count_concerned(move), filled = 0;
	struct gate **gates = calloc(count + 1, sizeof(struct gate *));
	struct context *context;
	struct queue_pair *qp;

	if (!gates)
		return;
	EACH_CONCERNED(move, context, qp)
	gates[filled++] = &qp->send_gate;
	gates_close(gates, filled);
	for (unsigned i = 0; i < filled; i++)
		gate_hold(gates[i]);
	gates_open(gates, filled);
	free(gates);
}

void drain_hold(struct move *move, uint64_t now_ms)
{
	struct context *context;
	struct queue_pair *qp;

	revoke_send_gates(move);
	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close_sends(qp);
		if (!qp->held) {
			queue_pair_hold(qp);
			find_last_signalled(qp, now_ms);
		}
		queue_pair_open_sends(qp);
	}
}

void drain_harvest(struct move *move)
{
	struct completion_queue *cq;
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	queue_pair_want_completions(qp);
	TAILQ_FOREACH(context, &contexts, link)
	TAILQ_FOREACH(cq, &context->cqs, link)
	{
		if (!cq->wanted)
			continue;
		cq->wanted = false;
		gate_close(&cq->gate);
		completion_queue_harvest(cq);
		gate_open(&cq->gate);
	}
}

/* Of one whose peer is missed no answer comes any more: it is for evidence to say what it was. */
static bool atomic_is_exposed(const struct queue_pair *qp)
{
	return !qp->application_error && !qp->migration.broken && !qp->context->awaits_device &&
	       !lost_peer_is_waited_for(qp) && settlement_atomic_exposed(&qp->sends);
}

static bool windows_are_exposed(const struct queue_pair *qp)
{
	bool stays = !move_has_context(qp->migration.move, qp->context);

	return !qp->application_error && !qp->migration.broken && !qp->context->awaits_device &&
	       !lost_peer_is_waited_for(qp) && window_work_is_exposed(qp, stays);
}

/* Once its transport has given up nothing is answered any more. */
static bool awaits_answer(const struct queue_pair *qp)
{
	return !qp->flushed && (atomic_is_exposed(qp) || windows_are_exposed(qp));
}

static bool is_quiet(struct queue_pair *qp, uint64_t now_ms, unsigned stuck_ms)
{
	struct queue_pair_migration *m = &qp->migration;
	uint32_t tail = qp->sends.tail;

	if (!m->waits_for_completion || (int32_t)(tail - m->last_signalled) > 0 ||
	        qp->application_error || m->broken)
		return true;
	if (tail != m->tail_seen) {
		m->tail_seen = tail;
		m->progress_ms = now_ms;
	}
	return qp->flushed || (now_ms - m->progress_ms >= stuck_ms && !awaits_answer(qp));
}

bool drain_is_done(struct move *move, uint64_t now_ms, unsigned stuck_ms)
{
	struct context *context;
	struct queue_pair *qp;
	bool done = true;

	drain_harvest(move);
	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close_completions(qp);
		done &= is_quiet(qp, now_ms, stuck_ms);
		queue_pair_open_completions(qp);
	}
	return done;
}

static bool has_any(const struct move *move, bool (*is_exposed)(const struct queue_pair *qp))
{
	struct context *context;
	struct queue_pair *qp;
	bool exposed = false;

	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close_completions(qp);
		exposed |= is_exposed(qp);
		queue_pair_open_completions(qp);
	}
	return exposed;
}

bool drain_has_exposed_atomic(const struct move *move)
{
	return has_any(move, atomic_is_exposed);
}

bool drain_has_exposed_windows(const struct move *move)
{
	return has_any(move, windows_are_exposed);
}

bool drain_awaits_answer(const struct move *move)
{
	return has_any(move, awaits_answer);
}

/* ---- SETTLE ---- */

struct frontiers {
	uint32_t rq_psn, sq_psn;
	bool in_error;
};

static struct frontiers query_frontiers(struct queue_pair *qp)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	if (below.ibv_query_qp(
	            qp->real, &attr, IBV_QP_STATE | IBV_QP_RQ_PSN | IBV_QP_SQ_PSN, &init))
		return (struct frontiers){PSN_UNKNOWN, PSN_UNKNOWN, false};
	return (struct frontiers){
	        attr.rq_psn & PSN_MASK, attr.sq_psn & PSN_MASK, attr.qp_state == IBV_QPS_ERR};
}

/*
 * What either half says in ERR counts: in RTS a packet that is still under way may follow. A
 * provider that does not keep it in ERR answers something from before; then the number that it gave
 * in RTS is all there is. Whether it can be of this connection is for settlement to say: it knows
 * the window.
 */
static uint32_t frontier(uint32_t before, uint32_t after)
{
	if (after == PSN_UNKNOWN)
		return before;
	return before == PSN_UNKNOWN || psn_distance(before, after) >= 0 ? after : before;
}

/* A provider looks at the address before it looks at the state. */
static void address_as(struct ibv_send_wr *wr, const struct queue_pair *qp, uint32_t sequence)
{
	const struct send_slot *slot = send_log_at(&qp->sends, sequence);
	const union send_operands *operands = send_log_operands(&qp->sends, slot);

	wr->wr.ud.ah = operands->ud.ah;
	wr->wr.ud.remote_qpn = operands->ud.remote_qpn;
	wr->wr.ud.remote_qkey = operands->ud.remote_qkey;
	datagram_send_to_real(wr);
}

/*
 * In ERR, behind all other work: its flush completion says that nothing before it has one to come,
 * so what is open and has none was done. Without it a queue whose last work asked for no completion
 * would wait for nothing. Where there is no room for it, time has to tell
 * (drain_frontiers_are_known).
 */
static void post_marker(struct queue_pair *qp)
{
	struct ibv_send_wr *bad,
	        marker = {
	                .wr_id = tag_of_send(qp->sends.incarnation, qp->sends.posted),
	                .opcode = IBV_WR_SEND,
	                .send_flags = IBV_SEND_SIGNALED,
	        };

	if (qp->sends.tail == qp->sends.posted)
		return;
	if (qp->datagrams)
		address_as(&marker, qp, qp->sends.tail);
	qp->real->context->ops.post_send(qp->real, &marker, &bad);
}

static int queue_pair_break(struct queue_pair *qp)
{
	struct queue_pair_migration *m = &qp->migration;
	struct frontiers before, after;
	int err;

	queue_pair_harvest(qp);
	before = query_frontiers(qp);
	err = queue_pair_to_state(qp, IBV_QPS_ERR);
	if (err)
		return err;
	/* A device that does as it is told was not on its way out: the error is the application's.
	 */
	if (doubted_errors_have(qp->given_up))
		queue_pair_flush(qp, qp->given_up);
	post_marker(qp);
	after = query_frontiers(qp);
	m->rq_psn = frontier(before.rq_psn, after.rq_psn);
	m->sq_psn = frontier(before.sq_psn, after.sq_psn);
	m->was_in_error = before.in_error;
	sq_psns_learn(qp);
	m->fresh_psn = psn_far_from(qp->sends.next_psn);
	m->broken = true;
	/* What is posted from here on would only be given back. */
	queue_pair_hold_receives(qp);
	log_debug("settle", "qp 0x%x: responder at 0x%06x, %u sends open", queue_pair_number(qp),
	        m->rq_psn, qp->sends.posted - qp->sends.tail);
	return 0;
}

/* Its device was taken away: what its responder has accepted it cannot say. */
static void queue_pair_is_broken_already(struct queue_pair *qp)
{
	struct queue_pair_migration *m = &qp->migration;

	m->rq_psn = m->sq_psn = PSN_UNKNOWN;
	m->fresh_psn = psn_far_from(qp->sends.next_psn);
	m->broken = true;
}

int drain_break(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	int err = 0, failed;

	EACH_CONCERNED(move, context, qp)
	{
		if (!qp->migration.broken && context->awaits_device)
			queue_pair_is_broken_already(qp);
		if (qp->migration.broken || !qp->real)
			continue;
		queue_pair_close(qp);
		failed = queue_pair_break(qp);
		queue_pair_open(qp);
		err = err ? err : failed;
	}
	EACH_CONCERNED(move, context, qp)
	{
		if (qp->migration.broken && !psns_rq_is_told(qp))
			qp->migration.rq_psn = PSN_UNKNOWN;
	}
	return err;
}

bool drain_frontiers_are_known(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;
	bool known = true;

	drain_harvest(move);
	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close_completions(qp);
		known &= !qp->real || qp->flushed || qp->application_error ||
		         qp->sends.tail == qp->sends.posted;
		queue_pair_open_completions(qp);
	}
	return known;
}

/* ---- never mind ---- */

/* What was kept back goes out. What the device refuses now the application had accepted already: it
 * stays kept where the device may be gone. */
void queue_pair_post_kept(struct queue_pair *qp)
{
	int err = queue_pair_give_kept(qp);

	if (!err || lost_device_is_behind(qp->context, err))
		return;
	log_error("drain", "qp 0x%x: kept work cannot be posted: error %d", queue_pair_number(qp),
	        err);
	queue_pair_end(qp, IBV_WC_WR_FLUSH_ERR);
}

void queue_pair_end(struct queue_pair *qp, enum ibv_wc_status first)
{
	queue_pair_harvest(qp);
	if (qp->real)
		queue_pair_to_state(qp, IBV_QPS_ERR);
	queue_pair_flush(qp, first);
}

/*
 * Nobody has broken it, so it has failed of its own: its transport gave up, with the status that
 * the device told; or it has refused a request, and all that it had was flushed. Held, it has not
 * said so. If only RECVs were seen to be flushed, why is said by a completion that is late.
 */
static void queue_pair_go_on(struct queue_pair *qp)
{
	enum ibv_wc_status given_up = qp->given_up;

	if (qp->application_error)
		queue_pair_end(qp, IBV_WC_WR_FLUSH_ERR);
	else if (qp->flushed)
		queue_pair_end(qp, given_up ? given_up : IBV_WC_WR_FLUSH_ERR);
	else
		queue_pair_post_kept(qp);
	if (qp->receives_flushed)
		queue_pair_flush_receives(qp);
}

void drain_let_go(struct move *move)
{
	struct context *context;
	struct queue_pair *qp;

	EACH_CONCERNED(move, context, qp)
	{
		queue_pair_close(qp);
		/* Whose device or peer is waited for is told when that is over. */
		if (qp->real && !lost_peer_was_noticed(qp)) {
			if (!doubted_error_was_noticed(qp))
				queue_pair_go_on(qp);
			queue_pair_let_go(qp);
		}
		queue_pair_open(qp);
		qp->migration.move = NULL;
	}
	rebuild_repost_shared();
}
