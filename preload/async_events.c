/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/async_events.h"

#include <errno.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "preload/control.h"
#include "preload/event_count.h"
#include "preload/lost_devices.h"
#include "preload/uncancelled.h"

struct kept_event {
	struct ibv_async_event event; /* of the application's objects */
	TAILQ_ENTRY(kept_event) link;
};

int async_events_open(struct context *context)
{
	int err = outer_fd_open(&context->async);

	if (err)
		return err;
	TAILQ_INIT(&context->kept_events);
	pthread_mutex_init(&context->read_lock, NULL);
	pthread_mutex_init(&context->async_lock, NULL);
	err = inner_fd_prepare(context->real->async_fd);
	if (!err)
		err = async_events_attach(context);
	if (err)
		async_events_close(context);
	return err;
}

int async_events_attach(struct context *context)
{
	return outer_fd_add(&context->async, context->real->async_fd);
}

void async_events_detach(struct context *context)
{
	outer_fd_remove(&context->async, context->real->async_fd);
}

void async_events_inherit(struct context *context)
{
	pthread_mutex_init(&context->read_lock, NULL);
	pthread_mutex_init(&context->async_lock, NULL);
	outer_fd_inherit(&context->async);
	if (context->real)
		async_events_attach(context);
	if (!TAILQ_EMPTY(&context->kept_events))
		outer_fd_ring(&context->async);
}

/* ---- what an event is about ---- */

enum about { ABOUT_DEVICE, ABOUT_QP, ABOUT_CQ, ABOUT_SRQ };

static enum about event_is_about(const struct ibv_async_event *event)
{
	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		return ABOUT_CQ;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return ABOUT_QP;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		return ABOUT_SRQ;
	default:
		return ABOUT_DEVICE;
	}
}

/* A real event in the application's terms. */
static struct ibv_async_event event_shown(const struct ibv_async_event *real)
{
	struct ibv_async_event event = *real;

	switch (event_is_about(real)) {
	case ABOUT_QP:
		event.element.qp =
		        &((struct queue_pair *)real->element.qp->qp_context)->shown.qp_base;
		break;
	case ABOUT_CQ:
		event.element.cq =
		        &((struct completion_queue *)real->element.cq->cq_context)->shown;
		break;
	case ABOUT_SRQ:
		event.element.srq =
		        &((struct shared_receive_queue *)real->element.srq->srq_context)->shown;
		break;
	case ABOUT_DEVICE:
		break;
	}
	return event;
}

/*
 * Taken to ERR by this library, connected anew, about to be either: its events are not the
 * application's, unless it knows the queue pair to be in error.
 */
static bool qp_event_is_of_a_move(const struct queue_pair *qp, enum ibv_event_type type)
{
	bool is_broken = qp->migration.move && qp->migration.broken;

	switch (type) {
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		return (is_broken || qp->held || qp->context->hides_events) &&
		       !qp->application_error;
	case IBV_EVENT_SQ_DRAINED:
		return is_broken || qp->held || qp->context->hides_events;
	default:
		return is_broken || qp->context->hides_events;
	}
}

static bool event_is_of_a_move(const struct context *context, const struct ibv_async_event *event)
{
	switch (event_is_about(event)) {
	case ABOUT_QP:
		return qp_event_is_of_a_move(queue_pair_of(event->element.qp), event->event_type);
	case ABOUT_DEVICE:
		return context->hides_events;
	default:
		return false;
	}
}

/* ---- counts of what the application has got ---- */

static struct event_count count_of_qp(struct queue_pair *qp)
{
	struct ibv_qp *shown = &qp->shown.qp_base;

	return (struct event_count){
	        &shown->mutex, &shown->cond, &shown->events_completed, &qp->events_shown};
}

static struct event_count count_of_cq(struct completion_queue *cq)
{
	struct ibv_cq *shown = &cq->shown;

	return (struct event_count){&shown->mutex, &shown->cond, &shown->async_events_completed,
	        &cq->async_events_shown};
}

static struct event_count count_of_srq(struct shared_receive_queue *srq)
{
	struct ibv_srq *shown = &srq->shown;

	return (struct event_count){
	        &shown->mutex, &shown->cond, &shown->events_completed, &srq->events_shown};
}

/* False: not about an object, or about none of ours. */
static bool find_count(const struct ibv_async_event *event, struct event_count *count)
{
	struct shared_receive_queue *srq;
	struct completion_queue *cq;
	struct queue_pair *qp;

	switch (event_is_about(event)) {
	case ABOUT_QP:
		qp = queue_pair_of(event->element.qp);
		if (qp)
			*count = count_of_qp(qp);
		return qp;
	case ABOUT_CQ:
		cq = completion_queue_of(event->element.cq);
		if (cq)
			*count = count_of_cq(cq);
		return cq;
	case ABOUT_SRQ:
		srq = shared_receive_queue_of(event->element.srq);
		if (srq)
			*count = count_of_srq(srq);
		return srq;
	case ABOUT_DEVICE:
		break;
	}
	return false;
}

/* From here on its object is not freed. */
static void event_is_got(const struct ibv_async_event *event)
{
	struct event_count count;

	if (find_count(event, &count))
		event_got(count);
}

WRAPPER void ibv_ack_async_event(struct ibv_async_event *event)
{
	struct event_count count;

	if (find_count(event, &count))
		events_acknowledged(count, 1);
	else
		below.ibv_ack_async_event(event);
}

/* ---- reading the device's ---- */

/* Once, whoever has taken the queue pair to ERR how often. */
static bool tells_last_wqe(struct queue_pair *qp)
{
	return !__atomic_exchange_n(&qp->last_wqe_told, true, __ATOMIC_RELAXED);
}

/* Its object knows. False: it was told already. */
static bool object_learns(const struct ibv_async_event *event)
{
	if (event->event_type == IBV_EVENT_QP_LAST_WQE_REACHED)
		return tells_last_wqe(queue_pair_of(event->element.qp));
	if (event->event_type == IBV_EVENT_SRQ_LIMIT_REACHED)
		__atomic_store_n(
		        &shared_receive_queue_of(event->element.srq)->limit, 0, __ATOMIC_RELAXED);
	return true;
}

/*
 * 1: *@event is the application's, and @note has been told before the object can be destroyed. 0: a
 * move's own. -1: errno.
 */
static int read_real(struct context *context, struct ibv_async_event *event,
        void (*note)(struct context *context, const struct ibv_async_event *event))
{
	struct ibv_async_event real;
	int taken;

	if (!context->real) {
		errno = EAGAIN;
		return -1;
	}
	LOCK_GUARD(&context->read_lock);
	if (below.ibv_get_async_event(context->real, &real))
		return -1;
	*event = event_shown(&real);
	taken = !event_is_of_a_move(context, event) && object_learns(event);
	if (event_is_about(&real) == ABOUT_DEVICE)
		taken &= !lost_device_says(context, real.event_type);
	if (taken)
		note(context, event);
	below.ibv_ack_async_event(&real);
	return taken;
}

void async_events_raise(struct context *context, const struct ibv_async_event *event)
{
	struct kept_event *kept = malloc(sizeof(*kept));

	if (!kept) {
		log_error("async", "out of memory: an event is lost");
		return;
	}
	kept->event = *event;
	LOCK_GUARD(&context->async_lock);
	TAILQ_INSERT_TAIL(&context->kept_events, kept, link);
	outer_fd_ring(&context->async);
}

void async_events_collect(struct context *context)
{
	struct ibv_async_event event;

	while (read_real(context, &event, async_events_raise) >= 0)
		;
}

void async_events_look(struct context *context)
{
	outer_fd_transit_begin(&context->async);
	async_events_collect(context);
	outer_fd_transit_end(&context->async);
}

void async_events_raise_last_wqe(struct queue_pair *qp)
{
	if (!qp->srq)
		return;
	/* What the device tells of it is of the move still, and need not wake anybody. */
	async_events_collect(qp->context);
	if (tells_last_wqe(qp))
		async_events_raise(
		        qp->context, &(struct ibv_async_event){.element.qp = &qp->shown.qp_base,
		                             .event_type = IBV_EVENT_QP_LAST_WQE_REACHED});
}

void async_events_take_over(struct context *context)
{
	if (!context->real)
		return;
	outer_fd_transit_begin(&context->async);
	async_events_detach(context);
	async_events_collect(context);
	outer_fd_transit_end(&context->async);
}

/* ---- getting them ---- */

/* Under the lock. */
static void unkeep(struct context *context, struct kept_event *kept)
{
	TAILQ_REMOVE(&context->kept_events, kept, link);
	free(kept);
	if (TAILQ_EMPTY(&context->kept_events))
		outer_fd_hush(&context->async);
}

static bool take_kept(struct context *context, struct ibv_async_event *event)
{
	struct kept_event *kept;

	LOCK_GUARD(&context->async_lock);
	kept = TAILQ_FIRST(&context->kept_events);
	if (!kept)
		return false;
	*event = kept->event;
	event_is_got(event);
	unkeep(context, kept);
	return true;
}

static void is_got(struct context *context, const struct ibv_async_event *event)
{
	event_is_got(event);
}

/* 1: *@event is the application's; 0: look again; -1: errno. Not to be cancelled in the middle. */
static int take(struct context *context, struct ibv_async_event *event)
{
	int taken;

	if (take_kept(context, event))
		return 1;
	UNCANCELLED();
	control_enter(context, NEEDS_NOTHING);
	taken = read_real(context, event, is_got);
	if (taken < 0 && errno == EAGAIN)
		taken = 0;
	control_leave();
	return taken;
}

WRAPPER int ibv_get_async_event(struct ibv_context *shown, struct ibv_async_event *event)
{
	struct context *context = context_of(shown);
	struct ibv_async_event got;
	int taken;

	if (!context)
		return below.ibv_get_async_event(shown, event);
	do {
		if (outer_fd_await(&context->async))
			return -1;
		taken = take(context, &got);
	} while (!taken);
	if (taken < 0)
		return -1;
	*event = got;
	return 0;
}

/* ---- before an object goes ---- */

static void drop_kept(struct context *context, enum about about, const void *element)
{
	struct kept_event *kept, *next;

	LOCK_GUARD(&context->async_lock);
	for (kept = TAILQ_FIRST(&context->kept_events); kept; kept = next) {
		next = TAILQ_NEXT(kept, link);
		if (event_is_about(&kept->event) == about && kept->event.element.qp == element)
			unkeep(context, kept);
	}
}

void async_events_await_cq(struct completion_queue *cq)
{
	drop_kept(cq->context, ABOUT_CQ, &cq->shown);
	events_await(count_of_cq(cq));
}

void async_events_await_qp(struct queue_pair *qp)
{
	drop_kept(qp->context, ABOUT_QP, &qp->shown.qp_base);
	events_await(count_of_qp(qp));
}

void async_events_await_srq(struct shared_receive_queue *srq)
{
	drop_kept(srq->context, ABOUT_SRQ, &srq->shown);
	events_await(count_of_srq(srq));
}

void async_events_close(struct context *context)
{
	while (!TAILQ_EMPTY(&context->kept_events))
		unkeep(context, TAILQ_FIRST(&context->kept_events));
	outer_fd_close(&context->async);
	pthread_mutex_destroy(&context->async_lock);
	pthread_mutex_destroy(&context->read_lock);
}
