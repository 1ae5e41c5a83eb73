/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completions.h"

#include "notifier/base/log.h"
#include "preload/async_events.h"
#include "preload/completion_arm.h"
#include "preload/completion_stamps.h"
#include "preload/data_path.h"
#include "preload/doubted_errors.h"
#include "preload/lost_devices.h"
#include "preload/lost_peers.h"
#include "preload/shared_receive_queue.h"
#include "preload/window_binding.h"
#include "preload/window_work.h"
#include "preload/xrc.h"

enum { HARVEST_BATCH = STAMPS_BATCH };

/* ---- taking completions ahead of the application ---- */

static void made_up_due(struct queue_pair *qp, bool due)
{
	if (due == qp->made_up_due)
		return;
	qp->made_up_due = due;
	if (due)
		qp->send_cq->made_up_due++;
	else
		qp->send_cq->made_up_due--;
}

static enum ibv_wc_opcode completion_opcode(unsigned opcode)
{
	switch (opcode) {
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return IBV_WC_RDMA_WRITE;
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return IBV_WC_COMP_SWAP;
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return IBV_WC_FETCH_ADD;
	case IBV_WR_LOCAL_INV:
		return IBV_WC_LOCAL_INV;
	case IBV_WR_BIND_MW:
		return IBV_WC_BIND_MW;
	default:
		return IBV_WC_SEND;
	}
}

static struct ibv_wc completion_of_slot(
        const struct queue_pair *qp, const struct send_slot *slot, enum ibv_wc_status status)
{
	return (struct ibv_wc){
	        .wr_id = slot->wr_id,
	        .status = status,
	        .opcode = completion_opcode(slot->opcode),
	        .byte_len = opcode_is_local(slot->opcode) ? 0 : slot->length,
	        .qp_num = queue_pair_number(qp),
	};
}

/* The application sees it; @device_tells: completion_arm.h. Room is reserved. */
static void deliver(struct completion_queue *cq, const struct ibv_wc *wc, bool device_tells)
{
	completion_ring_push(&cq->ring, wc);
	if (cq->stamps)
		completion_stamps_mark(cq, device_tells);
	completion_arm_arrived(cq, wc, device_tells);
}

/*
 * A READ that was to be done again has failed: what was executed behind it is flushed with it. That
 * the queue pair is in ERR is no reason: what the device did before may still complete behind it.
 */
static void make_up(struct queue_pair *qp, bool device_tells)
{
	struct send_log *log = &qp->sends;
	enum ibv_wc_status status = log->has_failed ? IBV_WC_WR_FLUSH_ERR : IBV_WC_SUCCESS;
	struct completion_ring *ring = &qp->send_cq->ring;

	while (log->executed && send_log_at(log, log->tail)->fate == FATE_EXECUTED) {
		struct send_slot *slot = send_log_at(log, log->tail);

		/* Without memory it stays due and is tried at the next poll. */
		if (completion_ring_reserve(ring, 1))
			break;
		if (slot->flags & IBV_SEND_SIGNALED) {
			struct ibv_wc wc = completion_of_slot(qp, slot, status);

			deliver(qp->send_cq, &wc, device_tells);
		}
		slot->fate = FATE_OPEN;
		log->executed--;
		send_log_retire(log, log->tail);
	}
	made_up_due(qp, log->executed > 0);
	qp->send_cq->detour = true;
}

void queue_pair_make_up(struct queue_pair *qp)
{
	make_up(qp, false);
}

static void take_one(struct completion_queue *cq, struct ibv_wc *wc)
{
	struct queue_pair *qp = completion_owner(cq, wc);

	if (completion_pass(cq, qp, wc))
		deliver(cq, wc, true);
	if (qp && qp->made_up_due && qp->send_cq == cq)
		make_up(qp, true);
}

static int read_batch(struct completion_queue *cq, struct ibv_wc batch[HARVEST_BATCH])
{
	if (cq->stamps)
		return completion_stamps_read(cq, HARVEST_BATCH, batch);
	return cq->real->context->ops.poll_cq(cq->real, HARVEST_BATCH, batch);
}

void completion_queue_harvest(struct completion_queue *cq)
{
	struct ibv_wc batch[HARVEST_BATCH];
	int got = 0;

	do {
		if (!cq->real || completion_ring_reserve(&cq->ring, HARVEST_BATCH))
			break;
		got = read_batch(cq, batch);
		for (int i = 0; i < got; i++) {
			if (cq->stamps)
				completion_stamps_take(cq, i);
			/* What is made up in between takes room, too. */
			if (completion_ring_reserve(&cq->ring, (uint32_t)(got - i)))
				log_error("completion", "out of memory: completions are lost");
			else
				take_one(cq, &batch[i]);
		}
	} while (got == HARVEST_BATCH);
	cq->detour = true;
}

void queue_pair_harvest(struct queue_pair *qp)
{
	completion_queue_harvest(qp->send_cq);
	completion_queue_harvest(qp->recv_cq);
	if (qp->xrc_domain)
		xrc_harvest(qp->xrc_domain);
}

void queue_pair_want_completions(struct queue_pair *qp)
{
	qp->send_cq->wanted = qp->recv_cq->wanted = true;
	if (qp->xrc_domain)
		xrc_want_completions(qp->xrc_domain);
}

static int take(struct completion_queue *cq, int count, struct ibv_wc *wc)
{
	int taken = completion_ring_take(&cq->ring, count, wc);

	cq->detour = !cq->real || cq->made_up_due || completion_ring_count(&cq->ring) ||
	             cq->arm.kind != ARM_NONE;
	return taken;
}

int completion_queue_poll_detour(struct completion_queue *cq, int count, struct ibv_wc *wc)
{
	completion_queue_harvest(cq);
	return take(cq, count, wc);
}

int completion_queue_poll_stamped(
        struct completion_queue *cq, struct ibv_wc *wc, struct completion_stamp *stamp)
{
	/* Where nobody waits for an event, a batch is served before the device is asked again. */
	if (!completion_ring_count(&cq->ring) || cq->arm.kind != ARM_NONE)
		completion_queue_harvest(cq);
	if (completion_ring_count(&cq->ring))
		*stamp = completion_stamps_next(cq);
	return take(cq, 1, wc);
}

/* ---- completions with errors ---- */

static bool status_is_of_a_move(enum ibv_wc_status status)
{
	return status == IBV_WC_WR_FLUSH_ERR || status == IBV_WC_RETRY_EXC_ERR ||
	       status == IBV_WC_RNR_RETRY_EXC_ERR || doubted_errors_have(status);
}

static bool hides_errors(const struct queue_pair *qp)
{
	return qp->held || queue_pair_awaits(qp);
}

/* See queue_pair_break. */
static bool device_was_there(const struct queue_pair *qp, enum ibv_wc_status status)
{
	return qp->migration.broken && status == IBV_WC_LOC_QP_OP_ERR;
}

static bool hides(const struct queue_pair *qp, enum ibv_wc_status status)
{
	if (device_was_there(qp, status))
		return false;
	if (qp->held || lost_peer_is_missed(qp))
		return status_is_of_a_move(status);
	return error_is_doubted(qp) && doubted_errors_have(status);
}

/*
 * A shared queue goes on while its queue pairs begin anew, so the tags of its buffers do not tell
 * for which incarnation one was taken. A queue pair that is not in ERR has flushed nothing: what
 * comes then was flushed by the stop, and comes late.
 */
static bool receive_flush_is_late(const struct queue_pair *qp, const struct ibv_wc *wc)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	if (!(qp->srq || qp->xrc_domain) || !tag_is_receive(wc->wr_id) ||
	        wc->status != IBV_WC_WR_FLUSH_ERR)
		return false;
	if (!qp->real || qp->held || qp->application_error || !receive_log_has_past(&qp->receives))
		return false;
	return !below.ibv_query_qp(qp->real, &attr, IBV_QP_STATE, &init) &&
	       attr.qp_state != IBV_QPS_ERR;
}

bool completion_is_of_a_move(struct queue_pair *qp, const struct ibv_wc *wc)
{
	if (receive_flush_is_late(qp, wc))
		return true;
	if (wc->status == IBV_WC_RETRY_EXC_ERR)
		lost_peer_is_noticed(qp);
	else if (doubted_errors_have(wc->status))
		doubted_error_is_seen(qp);
	return !qp->application_error && hides(qp, wc->status);
}

/* Work before the one that failed was done: each that was not has a completion of its own. */
static void retire_before(struct send_log *log, uint32_t sequence)
{
	if (log->tail != sequence)
		send_log_retire(log, sequence - 1);
}

static bool send_failed(struct queue_pair *qp, struct ibv_wc *wc, bool of_the_move)
{
	uint32_t sequence = tag_sequence(wc->wr_id);
	struct send_slot *slot = send_log_at(&qp->sends, sequence);

	if (!qp->flushed)
		retire_before(&qp->sends, sequence);
	if (of_the_move && !qp->flushed && wc->status != IBV_WC_WR_FLUSH_ERR)
		qp->given_up = wc->status;
	if (of_the_move)
		qp->flushed = true;
	/* Behind what was taken for the move's own it is flushed with that, in order. Nor is the
	 * marker the application's that SETTLE posts behind all work. */
	if (of_the_move || (hides_errors(qp) && qp->flushed) ||
	        (qp->held && sequence == qp->sends.posted))
		return false;
	wc->wr_id = slot->wr_id;
	send_log_retire_failed(&qp->sends, sequence);
	return true;
}

static bool shared_receive_failed(struct queue_pair *qp, struct ibv_wc *wc, bool of_the_move)
{
	uint32_t index = tag_sequence(wc->wr_id);

	if (of_the_move) {
		shared_receive_queue_take_back(qp->srq, index, !qp->held);
		return false;
	}
	wc->wr_id = shared_log_give_back(&qp->srq->log, index);
	return true;
}

static bool receive_failed(struct queue_pair *qp, struct ibv_wc *wc, bool of_the_move)
{
	uint32_t sequence = tag_sequence(wc->wr_id);

	if (qp->srq)
		return shared_receive_failed(qp, wc, of_the_move);
	/* What was flushed before it and taken for the move's own is given back with it, in order.
	 */
	if (of_the_move || (hides_errors(qp) && sequence != qp->receives.tail)) {
		qp->receives_flushed = true;
		return false;
	}
	wc->wr_id = receive_log_at(&qp->receives, sequence)->wr_id;
	receive_log_retire(&qp->receives, sequence);
	return true;
}

static bool is_of_an_earlier_incarnation(const struct queue_pair *qp, uint64_t tag)
{
	if (!tag_is_receive(tag))
		return tag_incarnation_beside_marks(tag) != qp->sends.incarnation;
	return tag_incarnation(tag) !=
	       (qp->srq ? qp->srq->log.incarnation : qp->receives.incarnation);
}

bool completion_failed(struct queue_pair *qp, struct ibv_wc *wc)
{
	bool of_the_move;

	if (is_of_an_earlier_incarnation(qp, wc->wr_id))
		return false;
	of_the_move = completion_is_of_a_move(qp, wc);
	if (!tag_is_receive(wc->wr_id) && wc->wr_id & TAG_REBINDING) {
		window_binding_failed(qp);
		return false;
	}
	if (!of_the_move) {
		qp->application_error = true;
		if (queue_pair_awaits(qp))
			lost_devices_look_soon();
	}
	wc->qp_num = queue_pair_number(qp);
	return tag_is_receive(wc->wr_id) ? receive_failed(qp, wc, of_the_move)
	                                 : send_failed(qp, wc, of_the_move);
}

void queue_pair_flush_sends(struct queue_pair *qp, enum ibv_wc_status first)
{
	struct send_log *log = &qp->sends;
	enum ibv_wc_status status = first;

	queue_pair_make_up(qp);
	for (uint32_t i = log->tail; i != log->head; i++) {
		struct ibv_wc wc = completion_of_slot(qp, send_log_at(log, i), status);

		if (completion_ring_reserve(&qp->send_cq->ring, 1))
			break;
		deliver(qp->send_cq, &wc, false);
		status = IBV_WC_WR_FLUSH_ERR;
	}
	send_log_forget_failed(log);
	made_up_due(qp, false);
	qp->send_cq->detour = true;
}

void queue_pair_flush_receives(struct queue_pair *qp)
{
	struct receive_log *log = &qp->receives;

	if (qp->srq)
		return;
	for (uint32_t i = log->tail; i != log->head; i++) {
		struct ibv_wc wc = {
		        .wr_id = receive_log_at(log, i)->wr_id,
		        .status = IBV_WC_WR_FLUSH_ERR,
		        .opcode = IBV_WC_RECV,
		        .qp_num = queue_pair_number(qp),
		};

		if (completion_ring_reserve(&qp->recv_cq->ring, 1))
			break;
		deliver(qp->recv_cq, &wc, false);
	}
	receive_log_clear(log);
	qp->recv_cq->detour = true;
}

/* All of them: it gives them back itself in ERR, behind those that it has completed, which may be
 * late. */
static bool device_has_receives(const struct queue_pair *qp)
{
	const struct queue_pair_migration *m = &qp->migration;

	return qp->real && !qp->receives_held && !m->broken && !qp->receives_flushed &&
	       qp->receives.posted == qp->receives.head;
}

void queue_pair_flush(struct queue_pair *qp, enum ibv_wc_status first)
{
	queue_pair_flush_sends(qp, first);
	if (!device_has_receives(qp))
		queue_pair_flush_receives(qp);
	async_events_raise_last_wqe(qp);
	kept_error_is_over(qp);
	qp->application_error = true;
	qp->shown.qp_base.state = IBV_QPS_ERR;
}
