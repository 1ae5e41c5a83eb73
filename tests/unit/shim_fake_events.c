/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_fake_events.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "tests/simfabric/verbs_face_acks.h"
#include "tests/unit/shim_fake_completions.h"
#include "tests/unit/shim_fake_hca.h"

pthread_mutex_t fake_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

struct event {
	const void *reader; /* the channel or context that it is read from */
	int fd;             /* whose is this */
	struct ibv_async_event async;
	struct ibv_cq *cq; /* of a completion event */
	bool is_delayed;
	TAILQ_ENTRY(event) link;
};
static TAILQ_HEAD(, event) unread = TAILQ_HEAD_INITIALIZER(unread);

/* What was got, by object. */
enum { OBJECTS = 256 };
static struct got {
	const void *object;
	uint32_t count;
} gots[OBJECTS];

static struct got *got_of(const void *object)
{
	struct got *unused = NULL;

	for (struct got *got = gots; got < gots + OBJECTS; got++) {
		if (got->object == object)
			return got;
		if (!got->object)
			unused = got;
	}
	if (!unused)
		abort();
	*unused = (struct got){.object = object};
	return unused;
}

/* NULL: the device. */
static const void *about(const struct event *event)
{
	/* The members of the union are pointers, or a port's number, which is small. */
	if (event->cq)
		return event->cq;
	return (uintptr_t)event->async.element.qp > UINT8_MAX ? event->async.element.qp : NULL;
}

static void raise_event(const struct event *what)
{
	struct event *event = malloc(sizeof(*event));

	*event = *what;
	TAILQ_INSERT_TAIL(&unread, event, link);
	if (!event->is_delayed)
		eventfd_write(event->fd, 1);
}

/* The eventfd counts as a semaphore: who has read it has one event to come, unless it is dropped.
 */
static int read_event(const void *reader, int fd, struct event *event)
{
	struct event *first;
	eventfd_t one;

	for (;;) {
		if (eventfd_read(fd, &one))
			return -1;
		LOCK_GUARD(&fake_lock);
		TAILQ_FOREACH(first, &unread, link)
		{
			if (first->reader == reader && !first->is_delayed)
				break;
		}
		if (!first)
			continue;
		*event = *first;
		TAILQ_REMOVE(&unread, first, link);
		free(first);
		if (about(event))
			got_of(about(event))->count++;
		return 0;
	}
}

void fake_forget_events(const void *object, pthread_mutex_t *mutex, pthread_cond_t *changed,
        const uint32_t *completed, const uint32_t *other)
{
	struct event *event, *next;
	uint32_t got;

	pthread_mutex_lock(&fake_lock);
	for (event = TAILQ_FIRST(&unread); event; event = next) {
		eventfd_t one;

		next = TAILQ_NEXT(event, link);
		if (about(event) != object)
			continue;
		TAILQ_REMOVE(&unread, event, link);
		/* Somebody may have read it already, and finds nothing then. */
		if (!event->is_delayed)
			eventfd_read(event->fd, &one);
		free(event);
	}
	got = got_of(object)->count;
	got_of(object)->object = NULL;
	pthread_mutex_unlock(&fake_lock);
	pthread_mutex_lock(mutex);
	while (*completed + (other ? *other : 0) != got)
		pthread_cond_wait(changed, mutex);
	pthread_mutex_unlock(mutex);
}

void fake_forget_reader(const void *reader)
{
	struct event *event, *next;

	LOCK_GUARD(&fake_lock);
	for (event = TAILQ_FIRST(&unread); event; event = next) {
		next = TAILQ_NEXT(event, link);
		if (event->reader != reader)
			continue;
		TAILQ_REMOVE(&unread, event, link);
		free(event);
	}
}

unsigned fake_unread_events(void)
{
	struct event *event;
	unsigned count = 0;

	LOCK_GUARD(&fake_lock);
	TAILQ_FOREACH(event, &unread, link)
	count++;
	return count;
}

/* ---- completions ---- */

struct ibv_comp_channel *fake_create_comp_channel(struct ibv_context *context)
{
	struct ibv_comp_channel *channel = calloc(1, sizeof(*channel));

	channel->context = context;
	channel->fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	fake.live_objects++;
	return channel;
}

int fake_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	if (channel->refcnt)
		return EBUSY;
	fake_forget_reader(channel);
	close(channel->fd);
	free(channel);
	fake.live_objects--;
	return 0;
}

void fake_completion_event(struct ibv_cq *cq, enum fake_arm *arm, bool solicited)
{
	struct event what = {.cq = cq};

	if (*arm == FAKE_NOT_ARMED || (*arm == FAKE_ARMED_SOLICITED && !solicited))
		return;
	*arm = FAKE_NOT_ARMED;
	if (!cq->channel || fake.keeps_events)
		return;
	what.is_delayed = fake.delays_events;
	what.reader = cq->channel;
	what.fd = cq->channel->fd;
	raise_event(&what);
}

void fake_delayed_events(void)
{
	struct event *event;

	LOCK_GUARD(&fake_lock);
	TAILQ_FOREACH(event, &unread, link)
	{
		if (event->is_delayed)
			eventfd_write(event->fd, 1);
		event->is_delayed = false;
	}
}

int fake_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context)
{
	struct event event;

	if (read_event(channel, channel->fd, &event))
		return -1;
	*cq = event.cq;
	*cq_context = event.cq->cq_context;
	return 0;
}

void fake_ack_cq_events(struct ibv_cq *cq, unsigned count)
{
	events_acknowledge(&cq->mutex, &cq->cond, &cq->comp_events_completed, count);
}

/* ---- the rest ---- */

void fake_async_event(struct ibv_context *context, struct ibv_async_event event)
{
	struct event what = {.reader = context, .fd = context->async_fd, .async = event};

	LOCK_GUARD(&fake_lock);
	raise_event(&what);
}

int fake_get_async_event(struct ibv_context *context, struct ibv_async_event *async)
{
	struct event event;

	if (read_event(context, context->async_fd, &event))
		return -1;
	*async = event.async;
	fake_inside();
	return 0;
}

void fake_ack_async_event(struct ibv_async_event *event)
{
	async_event_acknowledge(event);
}
