/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/completion_channel.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "preload/control.h"
#include "preload/event_count.h"
#include "preload/uncancelled.h"

/* ---- the list ---- */

static void channel_lock(struct completion_channel *channel, sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
	pthread_mutex_lock(&channel->lock);
}

/* What came and was taken in the same breath rings for nobody. */
static void ring_or_hush(struct completion_channel *channel)
{
	if (TAILQ_EMPTY(&channel->told)) {
		if (channel->rings)
			outer_fd_hush(&channel->outer);
		channel->rings = false;
	} else if (channel->has_news) {
		outer_fd_ring(&channel->outer);
		channel->rings = true;
	}
	channel->has_news = false;
}

static void channel_unlock(struct completion_channel *channel, const sigset_t *before)
{
	ring_or_hush(channel);
	pthread_mutex_unlock(&channel->lock);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static unsigned events_of(const struct completion_queue *cq)
{
	return cq->events_due + cq->events_unjudged;
}

/* Its counts have changed from @before. Under the lock. */
static void list_update(struct completion_queue *cq, unsigned before)
{
	struct completion_channel *channel = cq->channel;
	unsigned now = events_of(cq);

	if (!before && now)
		TAILQ_INSERT_TAIL(&channel->told, cq, told_link);
	else if (before && !now)
		TAILQ_REMOVE(&channel->told, cq, told_link);
	channel->has_news |= now > before;
}

static void count(struct completion_queue *cq, unsigned due, unsigned unjudged)
{
	unsigned before = events_of(cq);

	cq->events_due = due;
	cq->events_unjudged = unjudged;
	if (events_of(cq) != before)
		list_update(cq, before);
}

void completion_channel_raise(struct completion_queue *cq)
{
	sigset_t before;

	if (!cq->channel)
		return;
	channel_lock(cq->channel, &before);
	if (!cq->has_parted)
		count(cq, cq->events_due + 1, cq->events_unjudged);
	channel_unlock(cq->channel, &before);
}

/* Under the lock. 0; -1 with errno: EAGAIN if there is none. */
static int read_one(struct completion_channel *channel)
{
	struct ibv_cq *got;
	void *back;

	if (!channel->real) {
		errno = EAGAIN;
		return -1;
	}
	if (below.ibv_get_cq_event(channel->real, &got, &back))
		return -1;
	count(back, ((struct completion_queue *)back)->events_due,
	        ((struct completion_queue *)back)->events_unjudged + 1);
	/* Only now may it be destroyed. */
	below.ibv_ack_cq_events(got, 1);
	return 0;
}

bool completion_channel_collect(struct completion_queue *cq)
{
	sigset_t before;
	bool found;

	if (!cq->channel || !cq->real)
		return false;
	channel_lock(cq->channel, &before);
	while (!read_one(cq->channel))
		;
	found = cq->events_unjudged;
	count(cq, events_of(cq), 0);
	channel_unlock(cq->channel, &before);
	return found;
}

bool completion_channel_forget_unjudged(struct completion_queue *cq)
{
	sigset_t before;
	bool found;

	if (!cq->channel)
		return false;
	channel_lock(cq->channel, &before);
	found = cq->events_unjudged;
	count(cq, cq->events_due, 0);
	channel_unlock(cq->channel, &before);
	return found;
}

/* ---- counts of what the application has got ---- */

static struct event_count count_of(struct completion_queue *cq)
{
	struct ibv_cq *shown = &cq->shown;

	return (struct event_count){
	        &shown->mutex, &shown->cond, &shown->comp_events_completed, &cq->events_shown};
}

WRAPPER void ibv_ack_cq_events(struct ibv_cq *shown, unsigned number)
{
	struct completion_queue *cq = completion_queue_of(shown);

	if (cq)
		events_acknowledged(count_of(cq), number);
	else
		below.ibv_ack_cq_events(shown, number);
}

/* ---- getting them ---- */

/* NULL: none is due. */
static struct completion_queue *take_due(struct completion_channel *channel)
{
	struct completion_queue *cq;
	sigset_t before;

	channel_lock(channel, &before);
	TAILQ_FOREACH(cq, &channel->told, told_link)
	{
		if (!cq->events_due)
			continue;
		/* From here on the queue is not destroyed. */
		event_got(count_of(cq));
		count(cq, cq->events_due - 1, cq->events_unjudged);
		break;
	}
	channel_unlock(channel, &before);
	return cq;
}

static struct completion_queue *first_unjudged(struct completion_channel *channel)
{
	struct completion_queue *cq;

	TAILQ_FOREACH(cq, &channel->told, told_link)
	{
		if (cq->events_unjudged)
			break;
	}
	return cq;
}

/* NULL with errno: the device has nothing to tell, EAGAIN, or fails. */
static struct completion_queue *take_unjudged(struct completion_channel *channel)
{
	struct completion_queue *cq;
	sigset_t before;
	int err;

	channel_lock(channel, &before);
	cq = first_unjudged(channel);
	if (!cq && !read_one(channel))
		cq = first_unjudged(channel);
	err = errno;
	if (cq) {
		event_got(count_of(cq));
		count(cq, cq->events_due, cq->events_unjudged - 1);
	}
	channel_unlock(channel, &before);
	errno = err;
	return cq;
}

static bool judge(struct completion_queue *cq)
{
	GATE_CLOSED(&cq->gate);
	return completion_arm_judge(cq);
}

/* 1: *@cq has an event; 0: look again; -1: errno. */
static int take_from_device(struct completion_channel *channel, struct completion_queue **cq)
{
	int taken = 0;

	*cq = take_unjudged(channel);
	if (!*cq)
		return errno == EAGAIN ? 0 : -1;
	if (judge(*cq))
		taken = 1;
	else
		event_not_got(count_of(*cq));
	return taken;
}

/*
 * What is due is there whatever a migration does. For the rest it is kept out: not for long, and
 * not by who is cancelled, or runs a handler that polls the very queue, in the middle.
 */
static int take(struct completion_channel *channel, struct completion_queue **cq)
{
	sigset_t all, before;
	int taken;

	*cq = take_due(channel);
	if (*cq)
		return 1;
	UNCANCELLED();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	control_enter(context_of(channel->shown.context), NEEDS_NOTHING);
	taken = take_from_device(channel, cq);
	control_leave();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return taken;
}

WRAPPER int ibv_get_cq_event(
        struct ibv_comp_channel *shown, struct ibv_cq **shown_cq, void **cq_context)
{
	struct completion_channel *channel = completion_channel_of(shown);
	struct completion_queue *cq;
	int taken;

	if (!channel)
		return below.ibv_get_cq_event(shown, shown_cq, cq_context);
	do {
		if (outer_fd_await(&channel->outer))
			return -1;
		taken = take(channel, &cq);
	} while (!taken);
	if (taken < 0)
		return -1;
	*shown_cq = &cq->shown;
	*cq_context = cq->shown.cq_context;
	return 0;
}

/* ---- making and destroying ---- */

static int create_real(struct completion_channel *channel)
{
	struct context *context = context_of(channel->shown.context);
	int err;

	channel->real = below.ibv_create_comp_channel(context->real);
	if (!channel->real)
		return below_error();
	err = inner_fd_prepare(channel->real->fd);
	if (!err)
		err = outer_fd_add(&channel->outer, channel->real->fd);
	if (!err)
		return 0;
	below.ibv_destroy_comp_channel(channel->real);
	channel->real = NULL;
	return err;
}

static void channel_free(struct completion_channel *channel)
{
	outer_fd_close(&channel->outer);
	pthread_mutex_destroy(&channel->lock);
	free(channel);
}

static struct completion_channel *channel_create(struct ibv_context *shown)
{
	struct completion_channel *channel = calloc(1, sizeof(*channel));
	int err;

	if (!channel)
		return NULL;
	err = outer_fd_open(&channel->outer);
	if (err) {
		free(channel);
		errno = -err;
		return NULL;
	}
	pthread_mutex_init(&channel->lock, NULL);
	TAILQ_INIT(&channel->told);
	channel->shown.context = shown;
	channel->shown.fd = channel->outer.fd;
	return channel;
}

WRAPPER struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *shown)
{
	struct context *context = context_of(shown);
	struct completion_channel *channel;
	int err;

	if (!context)
		return below.ibv_create_comp_channel(shown);
	channel = channel_create(shown);
	if (!channel)
		return NULL;
	err = -control_enter(context, NEEDS_DEVICE);
	if (!err) {
		err = create_real(channel);
		if (!err)
			OBJECT_ADD(context, channels, channel);
		control_leave();
	}
	if (!err)
		return &channel->shown;
	channel_free(channel);
	errno = -err;
	return NULL;
}

static void unwatch(struct completion_channel *channel)
{
	outer_fd_remove(&channel->outer, channel->real->fd);
}

static int destroy_real(struct completion_channel *channel)
{
	int err;

	if (!channel->real)
		return 0;
	unwatch(channel);
	err = below.ibv_destroy_comp_channel(channel->real);
	err = unless_gone(context_of(channel->shown.context), err);
	if (!err)
		channel->real = NULL;
	return -err;
}

WRAPPER int ibv_destroy_comp_channel(struct ibv_comp_channel *shown)
{
	struct completion_channel *channel = completion_channel_of(shown);
	struct context *context;
	int err;

	if (!channel)
		return below.ibv_destroy_comp_channel(shown);
	context = context_of(shown->context);
	control_enter(context, NEEDS_NOTHING);
	err = shown->refcnt ? EBUSY : -destroy_real(channel);
	if (!err)
		OBJECT_REMOVE(context, channels, channel);
	control_leave();
	if (!err)
		channel_free(channel);
	return err;
}

static void refer(struct completion_queue *cq, int by)
{
	pthread_mutex_lock(&cq->context->shown.context.mutex);
	cq->channel->shown.refcnt += by;
	pthread_mutex_unlock(&cq->context->shown.context.mutex);
}

void completion_channel_join(struct completion_queue *cq)
{
	if (cq->channel)
		refer(cq, 1);
}

void completion_channel_part(struct completion_queue *cq)
{
	sigset_t before;

	if (!cq->channel)
		return;
	channel_lock(cq->channel, &before);
	/* A move may be judging one of its events. */
	cq->has_parted = true;
	count(cq, 0, 0);
	channel_unlock(cq->channel, &before);
	events_await(count_of(cq));
	refer(cq, -1);
}

/* ---- in a move ---- */

void completion_channel_take_over(struct completion_channel *channel)
{
	struct completion_queue *cq;

	if (!channel->real)
		return;
	outer_fd_transit_begin(&channel->outer);
	unwatch(channel);
	while ((cq = take_unjudged(channel))) {
		if (judge(cq))
			completion_channel_raise(cq);
		event_not_got(count_of(cq));
	}
	outer_fd_transit_end(&channel->outer);
}

int completion_channel_give_back(struct completion_channel *channel)
{
	return channel->real ? outer_fd_add(&channel->outer, channel->real->fd) : 0;
}

int completion_channel_tear_down(struct completion_channel *channel)
{
	return destroy_real(channel);
}

int completion_channel_rebuild(struct completion_channel *channel)
{
	return create_real(channel);
}

/* Neither rings, nor is silenced by, the parent. */
static void channel_inherit(struct completion_channel *channel)
{
	pthread_mutex_init(&channel->lock, NULL);
	outer_fd_inherit(&channel->outer);
	if (channel->real)
		outer_fd_add(&channel->outer, channel->real->fd);
	if (!TAILQ_EMPTY(&channel->told))
		outer_fd_ring(&channel->outer);
}

void completion_channels_inherit(struct context *context)
{
	struct completion_channel *channel;

	TAILQ_FOREACH(channel, &context->channels, link)
	channel_inherit(channel);
}
