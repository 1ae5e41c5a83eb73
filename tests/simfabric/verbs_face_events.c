/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Events: an eventfd that counts like a semaphore stands for each context's async_fd and each
 * channel's fd, so that programs poll it and set O_NONBLOCK on it; what happened stands in a list
 * behind it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "simfabric/verbs_face.h"
#include "simfabric/verbs_face_acks.h"

struct face_event {
	struct face_event *next;
	struct ibv_async_event async;
	struct face_cq *cq; /* of a completion event */
};

static void append(struct face_event ***end, int fd, const struct face_event *what)
{
	struct face_event *event = malloc(sizeof(*event));
	uint64_t one = 1;

	if (!event)
		return;
	*event = *what;
	event->next = NULL;
	**end = event;
	*end = &event->next;
	/* The count cannot overflow: as many events do not fit into memory. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* The list's owner is locked; the eventfd has been read, or is not to count this one. */
static struct face_event *take_first(struct face_event **list, struct face_event ***end)
{
	struct face_event *event = *list;

	if (!event)
		return NULL;
	*list = event->next;
	if (!*list)
		*end = list;
	return event;
}

/* Without blocking, whatever O_NONBLOCK says: the count may have been read by another thread. */
static void uncount(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	uint64_t one;

	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (read(fd, &one, sizeof(one)) < 0)
		errno = 0;
	fcntl(fd, F_SETFL, flags);
}

static bool is_about(const struct face_event *event, const void *element)
{
	/* The members of the union are pointers, or a port's number, which is none. */
	return !element || event->async.element.qp == element || event->cq == element;
}

static void drop(struct face_event **list, struct face_event ***end, int fd, const void *element)
{
	struct face_event **at = list;

	while (*at) {
		struct face_event *event = *at;

		if (!is_about(event, element)) {
			at = &event->next;
			continue;
		}
		*at = event->next;
		free(event);
		uncount(fd);
	}
	*end = at;
}

/* ---- asynchronous events ---- */

void face_raise(struct face_context *context, const struct ibv_async_event *event)
{
	struct face_event what = {.async = *event};

	append(&context->events_end, context->verbs.context.async_fd, &what);
}

void face_unraise(struct face_context *context, const void *element)
{
	drop(&context->events, &context->events_end, context->verbs.context.async_fd, element);
}

static void count_got(const struct ibv_async_event *event)
{
	switch (async_event_owner(event)) {
	case OWNER_IS_CQ:
		((struct face_cq *)(void *)event->element.cq)->async_events_got++;
		break;
	case OWNER_IS_QP:
		((struct face_qp *)(void *)event->element.qp)->events_got++;
		break;
	case OWNER_IS_SRQ:
		((struct face_srq *)(void *)event->element.srq)->events_got++;
		break;
	case OWNER_IS_DEVICE:
		break;
	}
}

ENTRY int ibv_get_async_event(struct ibv_context *public, struct ibv_async_event *event)
{
	struct face_context *context = face_context(public);
	struct face_event *first = NULL;
	uint64_t one;

	while (!first) {
		if (read(public->async_fd, &one, sizeof(one)) != sizeof(one))
			return -1;
		if (!face_lock_anyhow(public)) {
			errno = EIO;
			return -1;
		}
		first = take_first(&context->events, &context->events_end);
		if (first)
			count_got(&first->async);
		hca_unlock();
	}
	*event = first->async;
	free(first);
	return 0;
}

ENTRY void ibv_ack_async_event(struct ibv_async_event *event)
{
	async_event_acknowledge(event);
}

/* ---- completion channels ---- */

static struct face_channel *channel_of(struct ibv_comp_channel *channel)
{
	return (struct face_channel *)(void *)channel;
}

ENTRY struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context)
{
	struct face_channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return NULL;
	channel->channel.context = context;
	channel->channel.fd = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	if (channel->channel.fd < 0) {
		free(channel);
		return NULL;
	}
	channel->events_end = &channel->events;
	return &channel->channel;
}

ENTRY int ibv_destroy_comp_channel(struct ibv_comp_channel *public)
{
	struct face_channel *channel = channel_of(public);

	if (face_lock_anyhow(public->context)) {
		bool is_used = public->refcnt;

		if (!is_used)
			drop(&channel->events, &channel->events_end, public->fd, NULL);
		hca_unlock();
		if (is_used)
			return EBUSY;
	}
	close(public->fd);
	free(channel);
	return 0;
}

void face_raise_completion(struct completion_queue *queue)
{
	struct face_cq *cq =
	        (struct face_cq *)(void *)((char *)queue - offsetof(struct face_cq, hca.queue));
	struct face_event what = {.cq = cq};

	if (cq->cq.channel)
		append(&channel_of(cq->cq.channel)->events_end, cq->cq.channel->fd, &what);
}

void face_unraise_completions(struct face_cq *cq)
{
	struct face_channel *channel = channel_of(cq->cq.channel);

	if (channel)
		drop(&channel->events, &channel->events_end, channel->channel.fd, cq);
}

ENTRY int ibv_get_cq_event(struct ibv_comp_channel *public, struct ibv_cq **cq, void **cq_context)
{
	struct face_channel *channel = channel_of(public);
	struct face_event *first = NULL;
	uint64_t one;

	while (!first) {
		if (read(public->fd, &one, sizeof(one)) != sizeof(one))
			return -1;
		if (!face_lock_anyhow(public->context)) {
			errno = EIO;
			return -1;
		}
		first = take_first(&channel->events, &channel->events_end);
		if (first)
			first->cq->completion_events_got++;
		hca_unlock();
	}
	*cq = &first->cq->cq;
	*cq_context = first->cq->cq.cq_context;
	free(first);
	return 0;
}

ENTRY void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int nevents)
{
	if (nevents)
		events_acknowledge(&cq->mutex, &cq->cond, &cq->comp_events_completed, nevents);
}

void face_wait_acknowledged(
        pthread_mutex_t *mutex, pthread_cond_t *cond, const uint32_t *completed, unsigned got)
{
	pthread_mutex_lock(mutex);
	while (*completed != got)
		pthread_cond_wait(cond, mutex);
	pthread_mutex_unlock(mutex);
}
