/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/log.h"
#include "preload/async_events.h"
#include "preload/completion_channel.h"
#include "preload/control.h"
#include "preload/data_path.h"
#include "preload/shared_receive_queue.h"
#include "preload/xrc.h"

enum { HARVEST_BATCH = 32 };

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
	        .byte_len = slot->length,
	        .qp_num = queue_pair_number(qp),
	};
}

/* The application sees it; @device_tells: completion_arm.h. Room is reserved. */
static void deliver(struct completion_queue *cq, const struct ibv_wc *wc, bool device_tells)
{
	completion_ring_push(&cq->ring, wc);
	completion_arm_arrived(cq, wc, device_tells);
}

static void make_up(struct queue_pair *qp, bool device_tells)
{
	struct send_log *log = &qp->sends;
	struct completion_ring *ring = &qp->send_cq->ring;

	while (log->executed && send_log_at(log, log->tail)->fate == FATE_EXECUTED) {
		struct send_slot *slot = send_log_at(log, log->tail);

		/* Without memory it stays due and is tried at the next poll. */
		if (completion_ring_reserve(ring, 1))
			break;
		if (slot->flags & IBV_SEND_SIGNALED) {
			struct ibv_wc wc = completion_of_slot(qp, slot, IBV_WC_SUCCESS);

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

void completion_queue_harvest(struct completion_queue *cq)
{
	struct ibv_wc batch[HARVEST_BATCH];
	int got = 0;

	do {
		if (!cq->real || completion_ring_reserve(&cq->ring, HARVEST_BATCH))
			break;
		got = cq->real->context->ops.poll_cq(cq->real, HARVEST_BATCH, batch);
		for (int i = 0; i < got; i++) {
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

int completion_queue_poll_detour(struct completion_queue *cq, int count, struct ibv_wc *wc)
{
	int taken;

	completion_queue_harvest(cq);
	taken = completion_ring_take(&cq->ring, count, wc);
	cq->detour = !cq->real || cq->made_up_due || completion_ring_count(&cq->ring) ||
	             cq->arm.kind != ARM_NONE;
	return taken;
}

/* ---- completions with errors ---- */

bool completion_status_is_of_a_move(enum ibv_wc_status status)
{
	return status == IBV_WC_WR_FLUSH_ERR || status == IBV_WC_RETRY_EXC_ERR ||
	       status == IBV_WC_RNR_RETRY_EXC_ERR;
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
	if (of_the_move)
		qp->flushed = true;
	/* Nor is the marker the application's that SETTLE posts behind all work. */
	if (of_the_move || (qp->held && sequence == qp->sends.posted))
		return false;
	wc->wr_id = slot->wr_id;
	send_log_retire(&qp->sends, sequence);
	return true;
}

bool receive_flush_is_late(const struct queue_pair *qp, const struct ibv_wc *wc)
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
	if (of_the_move)
		return false;
	wc->wr_id = receive_log_at(&qp->receives, sequence)->wr_id;
	receive_log_retire(&qp->receives, sequence);
	return true;
}

static bool is_of_an_earlier_incarnation(const struct queue_pair *qp, uint64_t tag)
{
	if (!tag_is_receive(tag))
		return tag_incarnation(tag) != qp->sends.incarnation;
	return tag_incarnation(tag) !=
	       (qp->srq ? qp->srq->log.incarnation : qp->receives.incarnation);
}

bool completion_failed(struct queue_pair *qp, struct ibv_wc *wc)
{
	bool of_the_move = (qp->held && !qp->application_error &&
	                           completion_status_is_of_a_move(wc->status)) ||
	                   receive_flush_is_late(qp, wc);

	if (is_of_an_earlier_incarnation(qp, wc->wr_id))
		return false;
	if (!of_the_move)
		qp->application_error = true;
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
	send_log_clear(log);
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

void queue_pair_flush(struct queue_pair *qp, enum ibv_wc_status first)
{
	queue_pair_flush_sends(qp, first);
	queue_pair_flush_receives(qp);
	async_events_raise_last_wqe(qp);
	qp->application_error = true;
	qp->shown.qp_base.state = IBV_QPS_ERR;
}

/* ---- queue pairs of a completion queue ---- */

int queue_pair_enlist(struct queue_pair *qp)
{
	int err = number_table_set(&qp->send_cq->qps, qp->real->qp_num, (uintptr_t)qp);

	if (!err)
		err = number_table_set(&qp->recv_cq->qps, qp->real->qp_num, (uintptr_t)qp);
	if (!err && qp->xrc_domain)
		err = xrc_enlist(qp);
	return err;
}

void queue_pair_delist(struct queue_pair *qp, uint32_t real_number)
{
	number_table_remove(&qp->send_cq->qps, real_number);
	number_table_remove(&qp->recv_cq->qps, real_number);
	if (qp->xrc_domain)
		xrc_delist(qp, real_number);
}

size_t queue_pair_completion_gates(struct queue_pair *qp, struct gate *gates[2])
{
	struct completion_queue *first = qp->send_cq, *second = qp->recv_cq;

	if (first > second) {
		first = qp->recv_cq;
		second = qp->send_cq;
	}
	gates[0] = &first->gate;
	gates[1] = &second->gate;
	return first == second ? 1 : 2;
}

void queue_pair_close_xrc(struct queue_pair *qp)
{
	if (qp->xrc_domain)
		xrc_close_completions(qp->xrc_domain);
}

void queue_pair_close_completions(struct queue_pair *qp)
{
	struct gate *gates[2];

	gates_close(gates, queue_pair_completion_gates(qp, gates));
	queue_pair_close_xrc(qp);
}

void queue_pair_open_completions(struct queue_pair *qp)
{
	if (qp->xrc_domain)
		xrc_open_completions(qp->xrc_domain);
	gate_open(&qp->send_cq->gate);
	if (qp->recv_cq != qp->send_cq)
		gate_open(&qp->recv_cq->gate);
}

/* ---- control verbs ---- */

/*
 * The application sizes a queue for what it asks to have signalled. Unfinished unsignalled work and
 * READs that this library has signalled complete, too: leave room for as much again. Queue pairs
 * with longer send queues make it larger (completion_queue_make_room).
 */
static int real_entries(const struct context *context, int cqe)
{
	const int most = context->attr.orig_attr.max_cqe;
	int wanted = cqe > INT32_MAX / 2 ? cqe : 2 * cqe;

	return most > 0 && wanted > most && cqe <= most ? most : wanted;
}

static struct ibv_cq *create_real(struct completion_queue *cq, int entries)
{
	return below.ibv_create_cq(
	        cq->context->real, entries, cq, cq->channel ? cq->channel->real : NULL, cq->vector);
}

static void completion_queue_show(struct completion_queue *cq, int cqe, void *cq_context)
{
	cq->shown.context = &cq->context->shown.context;
	cq->shown.channel = cq->channel ? &cq->channel->shown : NULL;
	cq->shown.cq_context = cq_context;
	cq->shown.handle = cq->real->handle;
	cq->shown.cqe = cqe;
	pthread_mutex_init(&cq->shown.mutex, NULL);
	pthread_cond_init(&cq->shown.cond, NULL);
	gate_init(&cq->gate);
	gate_init(&cq->poll_gate);
}

WRAPPER struct ibv_cq *ibv_create_cq(struct ibv_context *shown, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int vector)
{
	struct context *context = context_of(shown);
	struct completion_queue *cq;
	bool was_made;

	if (!context)
		return below.ibv_create_cq(shown, cqe, cq_context, channel, vector);
	if (cqe < 1) {
		errno = EINVAL;
		return NULL;
	}
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;
	if (control_enter(context, NEEDS_DEVICE)) {
		errno = ENODEV;
		free(cq);
		return NULL;
	}
	cq->context = context;
	cq->channel = completion_channel_of(channel);
	cq->vector = vector;
	cq->real_cqe = real_entries(context, cqe);
	cq->real = create_real(cq, cq->real_cqe);
	if (cq->real) {
		completion_queue_show(cq, cqe, cq_context);
		completion_channel_join(cq);
		OBJECT_ADD(context, cqs, cq);
	}
	was_made = cq->real;
	control_leave();
	if (was_made)
		return &cq->shown;
	free(cq);
	return NULL;
}

void completion_queue_make_room(struct completion_queue *cq, uint32_t extra)
{
	int64_t wanted;

	pthread_mutex_lock(&cq->context->lists_lock);
	cq->unasked += extra;
	wanted = (int64_t)cq->shown.cqe + cq->unasked;
	if (wanted > cq->real_cqe) {
		gate_close(&cq->gate);
		if (wanted <= INT32_MAX && !below.ibv_resize_cq(cq->real, (int)wanted))
			cq->real_cqe = (int)wanted;
		gate_open(&cq->gate);
	}
	pthread_mutex_unlock(&cq->context->lists_lock);
}

WRAPPER int ibv_resize_cq(struct ibv_cq *shown, int cqe)
{
	struct completion_queue *cq = completion_queue_of(shown);
	int err, entries;

	if (!cq)
		return below.ibv_resize_cq(shown, cqe);
	if (cqe < 1)
		return EINVAL;
	err = control_enter(cq->context, NEEDS_DEVICE);
	if (err)
		return err;
	entries = real_entries(cq->context, cqe);
	gate_close(&cq->gate);
	err = entries > cq->real_cqe ? below.ibv_resize_cq(cq->real, entries) : 0;
	gate_open(&cq->gate);
	if (!err) {
		shown->cqe = cqe;
		cq->real_cqe = entries > cq->real_cqe ? entries : cq->real_cqe;
	}
	control_leave();
	return err;
}

static void completion_queue_free(struct completion_queue *cq)
{
	gate_fini(&cq->gate);
	gate_fini(&cq->poll_gate);
	completion_ring_fini(&cq->ring);
	number_table_clear(&cq->qps);
	number_table_clear(&cq->xrc_srqs);
	pthread_mutex_destroy(&cq->shown.mutex);
	pthread_cond_destroy(&cq->shown.cond);
	free(cq);
}

/* Who judges one of its events comes before or after. Gate closed. */
static int destroy_real(struct completion_queue *cq)
{
	int err = cq->real ? below.ibv_destroy_cq(cq->real) : 0;

	if (!err)
		cq->real = NULL;
	return err;
}

static int destroy(struct completion_queue *cq)
{
	int err;

	gate_close(&cq->gate);
	err = destroy_real(cq);
	gate_open(&cq->gate);
	return err;
}

WRAPPER int ibv_destroy_cq(struct ibv_cq *shown)
{
	struct completion_queue *cq = completion_queue_of(shown);
	int err;

	if (!cq)
		return below.ibv_destroy_cq(shown);
	control_enter(cq->context, NEEDS_NOTHING);
	err = cq->users ? EBUSY : destroy(cq);
	if (!err)
		OBJECT_REMOVE(cq->context, cqs, cq);
	control_leave();
	if (err)
		return err;
	async_events_await_cq(cq);
	completion_channel_part(cq);
	completion_queue_free(cq);
	return 0;
}

int completion_queue_tear_down(struct completion_queue *cq)
{
	int err;

	gate_close(&cq->gate);
	/* From here on polling goes by way of the ring: it does not see the queue without its
	 * device. */
	completion_queue_harvest(cq);
	err = -destroy_real(cq);
	if (!err)
		completion_arm_uproot(cq);
	gate_open(&cq->gate);
	return err;
}

int completion_queue_rebuild(struct completion_queue *cq)
{
	int err;

	cq->real = create_real(cq, cq->real_cqe);
	if (!cq->real)
		return errno ? -errno : -ENOMEM;
	err = completion_arm_plant(cq);
	if (err && !below.ibv_destroy_cq(cq->real))
		cq->real = NULL;
	return err;
}
