/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The fake librdmacm's channels, and what its kernel tells there. */
#include "tests/unit/shim_fake_cm_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct event {
	struct rdma_cm_event shown;
	struct fake_cm_id *of; /* whose reports it counts among */
	TAILQ_ENTRY(event) link;
};

static TAILQ_HEAD(, event) pending = TAILQ_HEAD_INITIALIZER(pending);

/* ---- channels ---- */

struct rdma_event_channel *fake_cm_create_channel(void)
{
	struct rdma_event_channel *channel = malloc(sizeof(*channel));

	channel->fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
	fake_rdmacm.channels++;
	return channel;
}

void fake_cm_destroy_channel(struct rdma_event_channel *channel)
{
	const struct fake_cm_id *id;

	TAILQ_FOREACH(id, &fake_cm_ids, link)
	assert_ptr_not_equal(id->kernel, channel);
	close(channel->fd);
	free(channel);
	fake_rdmacm.channels--;
}

static void signal_one(const struct rdma_event_channel *channel)
{
	assert_int_equal(eventfd_write(channel->fd, 1), 0);
}

static void take_one(const struct rdma_event_channel *channel)
{
	eventfd_t one;

	assert_int_equal(eventfd_read(channel->fd, &one), 0);
}

bool fake_rdmacm_is_readable(const struct rdma_event_channel *channel)
{
	struct pollfd fd = {.fd = channel->fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

/* ---- events ---- */

static void raise_event(struct fake_cm_id *of, struct rdma_cm_event shown)
{
	struct event *event = calloc(1, sizeof(*event));

	event->shown = shown;
	event->of = of;
	TAILQ_INSERT_TAIL(&pending, event, link);
	signal_one(of->kernel);
}

void fake_cm_events_drop(const struct fake_cm_id *id)
{
	struct event *event, *next;

	for (event = TAILQ_FIRST(&pending); event; event = next) {
		next = TAILQ_NEXT(event, link);
		if (event->of != id)
			continue;
		TAILQ_REMOVE(&pending, event, link);
		take_one(id->kernel);
		free(event);
	}
}

void fake_cm_events_move(const struct fake_cm_id *id, const struct rdma_event_channel *to)
{
	struct event *event;

	TAILQ_FOREACH(event, &pending, link)
	{
		if (event->of != id)
			continue;
		take_one(id->kernel);
		signal_one(to);
	}
}

void fake_rdmacm_tell(struct rdma_cm_id *shown, enum rdma_cm_event_type what)
{
	raise_event((struct fake_cm_id *)shown, (struct rdma_cm_event){.id = shown, .event = what});
}

bool fake_rdmacm_ask(uint16_t port)
{
	struct fake_cm_id *id;

	TAILQ_FOREACH(id, &fake_cm_ids, link)
	{
		if (!id->listens || id->is_gone ||
		        id->shown.route.addr.src_sin.sin_port != htons(port))
			continue;
		raise_event(id, (struct rdma_cm_event){.listen_id = &id->shown,
		                        .event = RDMA_CM_EVENT_CONNECT_REQUEST});
		return true;
	}
	return false;
}

void fake_rdmacm_remove(const struct ibv_context *verbs)
{
	struct fake_cm_id *id;

	TAILQ_FOREACH(id, &fake_cm_ids, link)
	{
		if (id->is_gone || id->shown.verbs != verbs)
			continue;
		fake_rdmacm_tell(&id->shown, RDMA_CM_EVENT_DEVICE_REMOVAL);
		id->is_gone = true;
	}
}

bool fake_rdmacm_is_gone(const struct rdma_cm_id *id)
{
	return ((const struct fake_cm_id *)id)->is_gone;
}

/* The id of who asks; of a listener whose calls wait it has a channel of its own. */
static void request_come(struct event *event)
{
	struct fake_cm_id *listener = event->of;
	struct fake_cm_id *id = fake_cm_id_make(listener->kernel, listener->shown.context);

	event->shown.id = &id->shown;
	assert_int_equal(fake_cm_attach(id, &listener->shown.route.addr.src_addr), 0);
	if (listener->is_sync)
		assert_int_equal(rdma_migrate_id(&id->shown, NULL), 0);
}

int fake_cm_get_event(struct rdma_event_channel *channel, struct rdma_cm_event **shown)
{
	struct event *event;

	TAILQ_FOREACH(event, &pending, link)
	{
		if (event->of->kernel != channel)
			continue;
		TAILQ_REMOVE(&pending, event, link);
		take_one(channel);
		event->of->reported++;
		if (event->shown.event == RDMA_CM_EVENT_CONNECT_REQUEST)
			request_come(event);
		*shown = &event->shown;
		return 0;
	}
	return errno = EAGAIN, -1;
}

int fake_cm_ack_event(struct rdma_cm_event *shown)
{
	struct event *event = (struct event *)shown;

	event->of->completed++;
	free(event);
	return 0;
}
