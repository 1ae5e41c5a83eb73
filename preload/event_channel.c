/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/event_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "preload/control.h"
#include "preload/objects.h"

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

int event_channel_attach(struct context *context)
{
	struct epoll_event wanted = {.events = EPOLLIN};
	int err;

	if (!context->async_outer)
		context->async_outer = epoll_create1(EPOLL_CLOEXEC);
	if (context->async_outer < 0)
		return -errno;
	err = make_nonblocking(context->real->async_fd);
	if (!err &&
	        epoll_ctl(context->async_outer, EPOLL_CTL_ADD, context->real->async_fd, &wanted))
		err = -errno;
	return err;
}

void event_channel_detach(struct context *context)
{
	epoll_ctl(context->async_outer, EPOLL_CTL_DEL, context->real->async_fd, NULL);
}

/* ---- asynchronous events ---- */

static void cq_event(struct ibv_async_event *event)
{
	struct completion_queue *cq = event->element.cq->cq_context;

	pthread_mutex_lock(&cq->shown.mutex);
	cq->async_events_shown++;
	pthread_mutex_unlock(&cq->shown.mutex);
	event->element.cq = &cq->shown;
}

static void qp_event(struct ibv_async_event *event)
{
	struct queue_pair *qp = event->element.qp->qp_context;

	pthread_mutex_lock(&qp->shown.qp_base.mutex);
	qp->events_shown++;
	pthread_mutex_unlock(&qp->shown.qp_base.mutex);
	event->element.qp = &qp->shown.qp_base;
}

static void srq_event(struct ibv_async_event *event)
{
	struct shared_receive_queue *srq = event->element.srq->srq_context;

	pthread_mutex_lock(&srq->shown.mutex);
	srq->events_shown++;
	pthread_mutex_unlock(&srq->shown.mutex);
	event->element.srq = &srq->shown;
}

/* Show the event as the application knows its object. False: a move caused it. */
static bool event_show(struct context *context, struct ibv_async_event *event)
{
	if (context->hides_events)
		return false;
	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		cq_event(event);
		return true;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		if (((struct queue_pair *)event->element.qp->qp_context)->held)
			return false;
		qp_event(event);
		return true;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		srq_event(event);
		return true;
	default:
		return true;
	}
}

/* 1: *event is the application's; 0: look again; -1: errno. */
static int event_take(struct context *context, struct ibv_async_event *event)
{
	struct ibv_async_event taken;
	int got;

	control_enter(context, NEEDS_NOTHING);
	got = context->real ? below.ibv_get_async_event(context->real, &taken) : -1;
	if (!got) {
		*event = taken;
		got = event_show(context, event);
		below.ibv_ack_async_event(&taken);
	} else if (!context->real || errno == EAGAIN || errno == EWOULDBLOCK) {
		got = 0;
	}
	control_leave();
	return got;
}

/* Sleep as read(2) of the application's descriptor would. -1: errno. */
static int await_readable(int outer)
{
	struct epoll_event ready;
	int wait = fcntl(outer, F_GETFL) & O_NONBLOCK ? 0 : -1;
	int count = epoll_wait(outer, &ready, 1, wait);

	if (!count)
		errno = EAGAIN;
	return count > 0 ? 0 : -1;
}

WRAPPER int ibv_get_async_event(struct ibv_context *shown, struct ibv_async_event *event)
{
	struct context *context = context_of(shown);
	int got;

	if (!context)
		return below.ibv_get_async_event(shown, event);
	do {
		if (await_readable(context->async_outer))
			return -1;
		got = event_take(context, event);
	} while (!got);
	return got < 0 ? -1 : 0;
}

static void acknowledge(
        pthread_mutex_t *lock, pthread_cond_t *changed, uint32_t *count, unsigned more)
{
	pthread_mutex_lock(lock);
	*count += more;
	pthread_cond_broadcast(changed);
	pthread_mutex_unlock(lock);
}

WRAPPER void ibv_ack_async_event(struct ibv_async_event *event)
{
	struct ibv_cq *cq = event->element.cq;
	struct ibv_qp *qp = event->element.qp;
	struct ibv_srq *srq = event->element.srq;

	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		if (!completion_queue_of(cq))
			break;
		acknowledge(&cq->mutex, &cq->cond, &cq->async_events_completed, 1);
		return;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_COMM_EST:
	case IBV_EVENT_SQ_DRAINED:
	case IBV_EVENT_PATH_MIG:
	case IBV_EVENT_PATH_MIG_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		if (!queue_pair_of(qp))
			break;
		acknowledge(&qp->mutex, &qp->cond, &qp->events_completed, 1);
		return;
	case IBV_EVENT_SRQ_ERR:
	case IBV_EVENT_SRQ_LIMIT_REACHED:
		if (!shared_receive_queue_of(srq))
			break;
		acknowledge(&srq->mutex, &srq->cond, &srq->events_completed, 1);
		return;
	default:
		break;
	}
	below.ibv_ack_async_event(event);
}

/* ---- completion channels ---- */

WRAPPER struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *shown)
{
	struct context *context = context_of(shown);
	struct completion_channel *channel;

	if (!context)
		return below.ibv_create_comp_channel(shown);
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	if (control_enter(context, NEEDS_CONNECTION)) {
		errno = ENODEV;
		free(channel);
		return NULL;
	}
	channel->real = below.ibv_create_comp_channel(context->real);
	if (channel->real) {
		channel->shown = *channel->real;
		channel->shown.context = shown;
		OBJECT_ADD(context, channels, channel);
	}
	control_leave();
	if (channel->real)
		return &channel->shown;
	free(channel);
	return NULL;
}

WRAPPER int ibv_destroy_comp_channel(struct ibv_comp_channel *shown)
{
	struct completion_channel *channel = completion_channel_of(shown);
	struct context *context;
	int err;

	if (!channel)
		return below.ibv_destroy_comp_channel(shown);
	context = context_of(shown->context);
	err = control_enter(context, NEEDS_DEVICE);
	if (err)
		return err;
	err = shown->refcnt ? EBUSY : below.ibv_destroy_comp_channel(channel->real);
	if (!err)
		OBJECT_REMOVE(context, channels, channel);
	control_leave();
	if (!err)
		free(channel);
	return err;
}

/* A process with a completion channel is not moved yet (veto-completion-channel): no lock needed.
 */
WRAPPER int ibv_get_cq_event(
        struct ibv_comp_channel *shown, struct ibv_cq **shown_cq, void **cq_context)
{
	struct completion_channel *channel = completion_channel_of(shown);
	struct completion_queue *cq;
	struct ibv_cq *got;
	void *back;

	if (!channel)
		return below.ibv_get_cq_event(shown, shown_cq, cq_context);
	if (below.ibv_get_cq_event(channel->real, &got, &back))
		return -1;
	cq = back;
	below.ibv_ack_cq_events(got, 1);
	pthread_mutex_lock(&cq->shown.mutex);
	cq->events_shown++;
	pthread_mutex_unlock(&cq->shown.mutex);
	*shown_cq = &cq->shown;
	*cq_context = cq->shown.cq_context;
	return 0;
}

WRAPPER void ibv_ack_cq_events(struct ibv_cq *shown, unsigned count)
{
	if (!completion_queue_of(shown))
		below.ibv_ack_cq_events(shown, count);
	else
		acknowledge(&shown->mutex, &shown->cond, &shown->comp_events_completed, count);
}

/* ---- before an object goes ---- */

void event_channel_await_cq(struct completion_queue *cq)
{
	pthread_mutex_lock(&cq->shown.mutex);
	while (cq->shown.async_events_completed != cq->async_events_shown ||
	        cq->shown.comp_events_completed != cq->events_shown)
		pthread_cond_wait(&cq->shown.cond, &cq->shown.mutex);
	pthread_mutex_unlock(&cq->shown.mutex);
}

void event_channel_await_qp(struct queue_pair *qp)
{
	struct ibv_qp *shown = &qp->shown.qp_base;

	pthread_mutex_lock(&shown->mutex);
	while (shown->events_completed != qp->events_shown)
		pthread_cond_wait(&shown->cond, &shown->mutex);
	pthread_mutex_unlock(&shown->mutex);
}

void event_channel_await_srq(struct shared_receive_queue *srq)
{
	pthread_mutex_lock(&srq->shown.mutex);
	while (srq->shown.events_completed != srq->events_shown)
		pthread_cond_wait(&srq->shown.cond, &srq->shown.mutex);
	pthread_mutex_unlock(&srq->shown.mutex);
}
