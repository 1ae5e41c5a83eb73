/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/byte_queue.h"

enum {
	HEARTBEATS_MISSED = 3,
	READS_AT_ONCE = 16, /* then the loop's other descriptors have their turn */
	DOUBLINGS_MOST = 16,
};

enum link_state {
	LINK_DOWN,
	LINK_CONNECTING,
	LINK_OPEN,
};

enum later { /* callbacks that are due, from the loop */
	LATER_OPENED = 1,
	LATER_CLOSED = 2,
};

struct connection {
	struct event_base *base;
	struct connection_settings settings;
	const struct connection_callbacks *callbacks;
	void *owner;

	enum link_state state;
	struct channel channel;
	struct frame_reader reader;
	struct byte_queue queue;
	struct event *readable, *writable;
	struct event *beat; /* every heartbeat_ms: send one if silent, count the peer's */
	struct event
	        *overdue; /* a partial frame, a connection attempt or a last word took too long */
	struct event *again; /* connect again */
	struct event *later;
	unsigned due;        /* of enum later */
	bool sent, received; /* since the last beat */
	unsigned missed;
	uint64_t beats;

	char *address; /* of the connecting side, else NULL */
	unsigned attempts;
	bool finishing;

	int reason;
	char text[96];
	unsigned in_callbacks;
	bool destroyed;
};

const struct connection_settings connection_settings_default = {
        .heartbeat_ms = 100,
        .reconnect_ms = 20,
        .reconnect_max_ms = 2000,
        .frame_ms = 2000,
        .queue_max_bytes = 8 << 20,
};

static void link_connect(struct connection *connection);

static struct timeval timeval_ms(unsigned ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void timer_set(struct event *timer, unsigned ms)
{
	struct timeval wait = timeval_ms(ms);

	evtimer_add(timer, &wait);
}

static void later(struct connection *connection, enum later what)
{
	connection->due |= what;
	event_active(connection->later, EV_TIMEOUT, 0);
}

static void link_down(struct connection *connection)
{
	struct event **events[] = {&connection->readable, &connection->writable, &connection->beat};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
	evtimer_del(connection->overdue);
	connection->channel.ops->close(&connection->channel);
	frame_reader_clear(&connection->reader);
	byte_queue_clear(&connection->queue);
	connection->state = LINK_DOWN;
}

/* Half of the doubled pause is chance, so that a thousand agents do not come back in step. */
static void connect_later(struct connection *connection)
{
	const struct connection_settings *settings = &connection->settings;
	uint64_t pause = (uint64_t)settings->reconnect_ms << connection->attempts;
	uint32_t chance;

	if (connection->attempts < DOUBLINGS_MOST)
		connection->attempts++;
	if (pause > settings->reconnect_max_ms)
		pause = settings->reconnect_max_ms;
	evutil_secure_rng_get_bytes(&chance, sizeof(chance));
	timer_set(connection->again, pause / 2 + chance % (pause / 2 + 1));
}

static void link_fail(struct connection *connection, int reason, const char *text)
{
	bool was_open = connection->state == LINK_OPEN;

	if (connection->state == LINK_DOWN)
		return;
	link_down(connection);
	if (was_open) {
		connection->reason = reason;
		if (text != connection->text)
			snprintf(connection->text, sizeof(connection->text), "%s",
			        text ? text : strerror(-reason));
		later(connection, LATER_CLOSED);
	} else {
		connect_later(connection);
	}
}

static void on_beat(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	Tether__Heartbeat heartbeat = TETHER__HEARTBEAT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	/*
	 * Beats are counted, not time: where this process itself got no CPU for a while the timer
	 * fires once for all of it, and what the peer sent meanwhile is read before the next one.
	 */
	connection->missed = connection->received ? 0 : connection->missed + 1;
	connection->received = false;
	/* A link that is refused at once does not get here: it keeps its pause. */
	connection->attempts = 0;
	if (connection->missed >= HEARTBEATS_MISSED) {
		link_fail(connection, -ETIMEDOUT, "no heartbeat");
		return;
	}
	if (!connection->sent) {
		heartbeat.count = ++connection->beats;
		frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
		frame.heartbeat = &heartbeat;
		connection_send(connection, &frame);
	}
	connection->sent = false;
}

static void beat_set(struct connection *connection)
{
	struct timeval period = timeval_ms(connection->settings.heartbeat_ms);

	event_del(connection->beat);
	if (connection->settings.heartbeat_ms)
		event_add(connection->beat, &period);
}

static void link_open(struct connection *connection)
{
	connection->state = LINK_OPEN;
	connection->sent = connection->received = true;
	connection->missed = 0;
	evtimer_del(connection->overdue);
	event_add(connection->readable, NULL);
	beat_set(connection);
	later(connection, LATER_OPENED);
}

/* Between these two a connection_destroy leaves the memory for callback_end to free. */
static void callback_begin(struct connection *connection)
{
	connection->in_callbacks++;
}

static void callback_end(struct connection *connection)
{
	if (--connection->in_callbacks || !connection->destroyed)
		return;
	free(connection->address);
	free(connection);
}

static void frame_in(struct connection *connection, Tether__Frame *frame)
{
	if (!connection->settings.heartbeat_ms)
		connection->attempts = 0;
	if (frame->body_case != TETHER__FRAME__BODY_HEARTBEAT && !connection->finishing)
		connection->callbacks->frame(connection, frame, connection->owner);
	frame_free(frame);
}

/* All whole frames that are there; true if there was any. */
static bool frames_in(struct connection *connection)
{
	Tether__Frame *frame;
	bool any = false;
	int got;

	while (connection->state == LINK_OPEN && !connection->destroyed) {
		got = frame_reader_next(&connection->reader, &frame);
		if (got < 0)
			link_fail(connection, got,
			        got == -EMSGSIZE ? "frame too large" : "not a frame");
		if (got <= 0)
			return any;
		any = true;
		frame_in(connection, frame);
	}
	return any;
}

/* A frame that has begun must end in time: half a message and silence holds nothing for ever. */
static void partial_watch(struct connection *connection, bool is_another)
{
	if (connection->finishing)
		return; /* its last word has a deadline already */
	if (!frame_reader_is_partial(&connection->reader)) {
		evtimer_del(connection->overdue);
	} else if (is_another || !evtimer_pending(connection->overdue, NULL)) {
		timer_set(connection->overdue, connection->settings.frame_ms);
	}
}

/* One receive: 1 when there may be more at once, else 0; the link may have failed. */
static int bytes_in(struct connection *connection)
{
	uint8_t *at;
	size_t room;
	int err = frame_reader_room(&connection->reader, &at, &room);
	ssize_t count;

	if (err) {
		link_fail(connection, err, NULL);
		return 0;
	}
	count = connection->channel.ops->receive(&connection->channel, at, room);
	if (count == -EAGAIN)
		return 0;
	if (count <= 0) {
		link_fail(connection, count ? (int)count : -EPIPE, count ? NULL : "end of stream");
		return 0;
	}
	connection->received = true;
	frame_reader_received(&connection->reader, count);
	return (size_t)count == room;
}

static void on_readable(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	bool any_frame = false;
	int more = 1;

	callback_begin(connection);
	for (int i = 0; more && i < READS_AT_ONCE; i++) {
		more = bytes_in(connection);
		if (connection->state == LINK_OPEN && frames_in(connection))
			any_frame = true;
		if (connection->state != LINK_OPEN || connection->destroyed)
			break;
	}
	if (connection->state == LINK_OPEN && !connection->destroyed)
		partial_watch(connection, any_frame);
	callback_end(connection);
}

static void bytes_out(struct connection *connection)
{
	struct byte_queue *queue = &connection->queue;
	ssize_t count;

	while (!byte_queue_is_empty(queue)) {
		count = connection->channel.ops->send(&connection->channel,
		        queue->bytes + queue->start, queue->end - queue->start);
		if (count == -EAGAIN) {
			event_add(connection->writable, NULL);
			return;
		}
		if (count < 0) {
			/* The peer's last words may be there still; reading ends the link. */
			byte_queue_clear(queue);
			break;
		}
		byte_queue_taken(queue, count);
	}
	if (connection->finishing)
		link_fail(connection, -ESHUTDOWN, connection->text);
}

static void on_writable(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	int err;

	if (connection->state == LINK_OPEN) {
		bytes_out(connection);
		return;
	}
	err = connection->channel.ops->connected(&connection->channel);
	if (!err)
		link_open(connection);
	else if (err == -EAGAIN)
		event_add(connection->writable, NULL);
	else
		link_fail(connection, err, NULL);
}

int connection_send(struct connection *connection, const Tether__Frame *frame)
{
	struct byte_queue *queue = &connection->queue;
	size_t length;
	int err = frame_size(frame, &length);

	if (connection->state != LINK_OPEN || connection->finishing)
		return -ENOTCONN;
	if (err)
		return err;
	if (queue->end - queue->start + length > connection->settings.queue_max_bytes) {
		link_fail(connection, -ENOBUFS, "does not take what is sent");
		return -ENOBUFS;
	}
	err = byte_queue_reserve(queue, length);
	if (err)
		return err;
	frame_write(frame, queue->bytes + queue->end, length);
	queue->end += length;
	connection->sent = true;
	/* Once the loop is back: all that is said in one go leaves in one write. */
	if (!event_pending(connection->writable, EV_WRITE, NULL))
		event_active(connection->writable, EV_WRITE, 0);
	return 0;
}

static void on_overdue(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;

	link_fail(connection, -ETIMEDOUT,
	        connection->finishing ? connection->text : "frame not completed in time");
}

static void on_again(evutil_socket_t fd, short what, void *at)
{
	link_connect(at);
}

static void on_later(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	unsigned due = connection->due;

	connection->due = 0;
	callback_begin(connection);
	if (due & LATER_OPENED && connection->callbacks->opened)
		connection->callbacks->opened(connection, connection->owner);
	if (due & LATER_CLOSED && !connection->destroyed) {
		if (connection->address && !connection->finishing)
			connect_later(connection);
		connection->callbacks->closed(
		        connection, connection->reason, connection->text, connection->owner);
	}
	callback_end(connection);
}

static struct connection *connection_create(struct event_base *base,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->base = base;
	connection->settings = *settings;
	connection->callbacks = callbacks;
	connection->owner = owner;
	connection->channel.fd = -1;
	connection->overdue = evtimer_new(base, on_overdue, connection);
	connection->again = evtimer_new(base, on_again, connection);
	connection->later = event_new(base, -1, 0, on_later, connection);
	if (connection->overdue && connection->again && connection->later)
		return connection;
	connection_destroy(connection);
	return NULL;
}

/* The events that live as long as the link's descriptor. */
static int link_watch(struct connection *connection)
{
	int fd = connection->channel.fd;

	connection->readable =
	        event_new(connection->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
	connection->writable = event_new(connection->base, fd, EV_WRITE, on_writable, connection);
	connection->beat = event_new(connection->base, -1, EV_PERSIST, on_beat, connection);
	return connection->readable && connection->writable && connection->beat ? 0 : -ENOMEM;
}

struct connection *connection_accept(struct event_base *base, struct channel *channel,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner)
{
	struct connection *connection = connection_create(base, settings, callbacks, owner);

	if (!connection) {
		channel->ops->close(channel);
		return NULL;
	}
	connection->channel = *channel;
	channel->fd = -1;
	if (link_watch(connection)) {
		connection_destroy(connection);
		return NULL;
	}
	link_open(connection);
	return connection;
}

static void link_connect(struct connection *connection)
{
	const char *rest;
	int err = channel_address(connection->address, &connection->channel.ops, &rest);

	if (!err)
		err = connection->channel.ops->connect(&connection->channel, rest);
	if (err && err != -EINPROGRESS) {
		connect_later(connection);
		return;
	}
	connection->state = LINK_CONNECTING;
	if (link_watch(connection)) {
		link_fail(connection, -ENOMEM, NULL);
	} else if (!err) {
		link_open(connection);
	} else {
		event_add(connection->writable, NULL);
		timer_set(connection->overdue, connection->settings.frame_ms);
	}
}

struct connection *connection_connect(struct event_base *base, const char *address,
        const struct connection_settings *settings, const struct connection_callbacks *callbacks,
        void *owner)
{
	const struct channel_ops *ops;
	const char *rest;
	struct connection *connection;

	if (channel_address(address, &ops, &rest)) {
		errno = EPROTONOSUPPORT;
		return NULL;
	}
	connection = connection_create(base, settings, callbacks, owner);
	if (connection)
		connection->address = strdup(address);
	if (!connection || !connection->address) {
		connection_destroy(connection);
		errno = ENOMEM;
		return NULL;
	}
	event_active(connection->again, EV_TIMEOUT, 0);
	return connection;
}

bool connection_is_open(const struct connection *connection)
{
	return connection->state == LINK_OPEN && !connection->finishing;
}

bool connection_peer_hung_up(const struct connection *connection)
{
	struct pollfd link = {.fd = connection->channel.fd, .events = POLLRDHUP};

	if (connection->state != LINK_OPEN)
		return true;
	return poll(&link, 1, 0) == 1 && link.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

void connection_finish(struct connection *connection, const char *why)
{
	evtimer_del(connection->again);
	if (connection->finishing)
		return;
	connection->finishing = true;
	if (connection->state != LINK_OPEN) {
		link_fail(connection, -ESHUTDOWN, why);
		evtimer_del(connection->again);
		return;
	}
	snprintf(connection->text, sizeof(connection->text), "%s", why);
	timer_set(connection->overdue, connection->settings.frame_ms);
	if (!event_pending(connection->writable, EV_WRITE, NULL))
		event_active(connection->writable, EV_WRITE, 0);
}

void connection_drop(struct connection *connection, const char *why)
{
	link_fail(connection, -ECONNABORTED, why);
}

void connection_destroy(struct connection *connection)
{
	struct event *timers[3];

	if (!connection || connection->destroyed)
		return;
	timers[0] = connection->overdue;
	timers[1] = connection->again;
	timers[2] = connection->later;
	if (connection->channel.ops)
		link_down(connection);
	for (size_t i = 0; i < ARRAY_SIZE(timers); i++)
		if (timers[i])
			event_free(timers[i]);
	callback_begin(connection);
	connection->destroyed = true;
	callback_end(connection);
}

void connection_settings_set(
        struct connection *connection, const struct connection_settings *settings)
{
	bool beat_changed = settings->heartbeat_ms != connection->settings.heartbeat_ms;

	connection->settings = *settings;
	if (connection->state == LINK_OPEN && beat_changed)
		beat_set(connection);
}
