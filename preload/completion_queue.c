/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "preload/async_events.h"
#include "preload/completion_arm.h"
#include "preload/completion_channel.h"
#include "preload/completion_moderation.h"
#include "preload/completion_stamps.h"
#include "preload/completions.h"
#include "preload/control.h"
#include "preload/datagram_headers.h"
#include "preload/xrc.h"

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
	if (cq->stamps)
		return completion_stamps_create_real(cq, entries);
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

/* Inside control, where the clock stays. */
static int stamp(struct completion_queue *cq, uint64_t wc_flags)
{
	if (!wc_flags)
		return 0;
	cq->stamps = completion_stamps_create(cq, wc_flags);
	cq->ring.is_stamped = true;
	return cq->stamps ? 0 : -ENOMEM;
}

static int make(struct completion_queue *cq, const struct ibv_cq_init_attr_ex *attr)
{
	int err = stamp(cq, attr->wc_flags & COMPLETION_STAMPS);

	if (err)
		return err;
	cq->channel = completion_channel_of(attr->channel);
	cq->vector = (int)attr->comp_vector;
	cq->real_cqe = real_entries(cq->context, (int)attr->cqe);
	cq->real = create_real(cq, cq->real_cqe);
	if (!cq->real)
		return below_error();
	completion_queue_show(cq, (int)attr->cqe, attr->cq_context);
	completion_channel_join(cq);
	OBJECT_ADD(cq->context, cqs, cq);
	return 0;
}

struct completion_queue *completion_queue_create(
        struct context *context, const struct ibv_cq_init_attr_ex *attr)
{
	struct completion_queue *cq;
	int err;

	if (attr->cqe < 1 || attr->cqe > INT32_MAX) {
		errno = EINVAL;
		return NULL;
	}
	cq = calloc(1, sizeof(*cq));
	if (!cq)
		return NULL;
	cq->context = context;
	err = -control_enter(context, NEEDS_DEVICE);
	if (!err) {
		err = make(cq, attr);
		control_leave();
	}
	if (!err)
		return cq;
	free(cq->stamps);
	free(cq);
	errno = -err;
	return NULL;
}

WRAPPER struct ibv_cq *ibv_create_cq(struct ibv_context *shown, int cqe, void *cq_context,
        struct ibv_comp_channel *channel, int vector)
{
	/* What is negative is too much when it is taken for unsigned. */
	const struct ibv_cq_init_attr_ex attr = {.cqe = (uint32_t)cqe,
	        .cq_context = cq_context,
	        .channel = channel,
	        .comp_vector = (uint32_t)vector};
	struct context *context = context_of(shown);
	struct completion_queue *cq;

	if (!context)
		return below.ibv_create_cq(shown, cqe, cq_context, channel, vector);
	cq = completion_queue_create(context, &attr);
	return cq ? &cq->shown : NULL;
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
	kept_headers_fini(&cq->kept_headers);
	number_table_clear(&cq->qps);
	number_table_clear(&cq->xrc_srqs);
	free(cq->stamps);
	pthread_mutex_destroy(&cq->shown.mutex);
	pthread_cond_destroy(&cq->shown.cond);
	free(cq);
}

/* Who judges one of its events comes before or after. Gate closed. */
static int destroy_real(struct completion_queue *cq)
{
	int err = cq->real ? below.ibv_destroy_cq(cq->real) : 0;

	err = unless_gone(cq->context, err);
	if (!err)
		cq->real = NULL;
	return err;
}

static int destroy(struct completion_queue *cq)
{
	GATE_CLOSED(&cq->gate);
	return destroy_real(cq);
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

	GATE_CLOSED(&cq->gate);
	/* From here on polling goes by way of the ring: it does not see the queue without its
	 * device. */
	completion_queue_harvest(cq);
	err = -destroy_real(cq);
	if (!err)
		completion_arm_uproot(cq);
	if (!err && cq->stamps)
		completion_stamps_follow(cq);
	return err;
}

int completion_queue_rebuild(struct completion_queue *cq)
{
	int err;

	cq->real = create_real(cq, cq->real_cqe);
	if (!cq->real)
		return below_error();
	completion_moderation_repeat(cq);
	err = completion_arm_plant(cq);
	if (err && !below.ibv_destroy_cq(cq->real))
		cq->real = NULL;
	return err;
}
