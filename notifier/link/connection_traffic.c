/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/connection_state.h"

#include <errno.h>
#include <event2/event.h>

#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"

enum {
	HEARTBEATS_MISSED = 3,
	NOBODY_MS = 50,      /* then a channel at whose other end nobody was is asked again */
	UNREAD_MS = 100,     /* so long who does not take what he is told is not listened to */
	BYTES_OF_ONE = 4096, /* a larger frame counts as so many more */
	READS_AT_ONCE = 16,  /* then the loop's other descriptors have their turn */
};

static bool is_resting(const struct connection *connection)
{
	return connection->resting && evtimer_pending(connection->resting, NULL);
}

static void on_beat(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;

	/*
	 * Beats are counted, not time: where this process itself got no CPU for a while the timer
	 * fires once for all of it, and what the peer sent meanwhile is read before the next one.
	 */
	connection->received |= is_resting(connection);
	connection->missed = connection->received ? 0 : connection->missed + 1;
	connection->received = false;
	/* A link that is refused at once does not get here: it keeps its pause. */
	connection->attempts = 0;
	if (connection->missed >= HEARTBEATS_MISSED) {
		link_fail(connection, -ETIMEDOUT, "no heartbeat");
		return;
	}
	if (!connection->sent)
		beat_say(connection, false);
	connection->sent = false;
}

void beat_set(struct connection *connection)
{
	struct timeval period = timeval_ms(connection->settings.heartbeat_ms);

	event_del(connection->beat);
	if (connection->settings.heartbeat_ms)
		event_add(connection->beat, &period);
}

static bool has_pending(const struct connection *connection)
{
	const struct channel *channel = &connection->channel;

	return channel->ops->pending && channel->ops->pending(channel);
}

void link_open(struct connection *connection)
{
	connection->state = LINK_OPEN;
	repeats_begin(&connection->repeats);
	connection->sent = connection->received = true;
	connection->missed = 0;
	evtimer_del(connection->overdue);
	event_add(connection->readable, NULL);
	beat_set(connection);
	link_later(connection, LATER_OPENED);
	if (has_pending(connection))
		event_active(connection->readable, EV_READ, 0);
}

/* Who need not be there yet may come at any time. */
static void nobody_await(struct connection *connection, bool is_told)
{
	evtimer_del(connection->overdue);
	if (is_told) {
		event_add(connection->readable, NULL);
	} else {
		event_del(connection->readable);
		timer_set(connection->again, NOBODY_MS);
	}
}

void link_ask(struct connection *connection)
{
	int err = connection->channel.ops->connected(&connection->channel);

	switch (err) {
	case 0:
		link_open(connection);
		return;
	case -EINPROGRESS:
		event_del(connection->readable);
		event_add(connection->writable, NULL);
		return;
	case -EAGAIN:
		event_add(connection->readable, NULL);
		return;
	case -ENOLINK:
	case -EHOSTDOWN:
		nobody_await(connection, err == -ENOLINK);
		return;
	default:
		link_fail(connection, err, NULL);
	}
}

static void frame_in(struct connection *connection, Tether__Frame *frame)
{
	if (!connection->settings.heartbeat_ms)
		connection->attempts = 0;
	if (frame_is_next(connection, frame) && !connection->finishing)
		connection->callbacks->frame(connection, frame, connection->owner);
	frame_free(frame);
}

static unsigned pause_owed(struct connection *connection, unsigned said)
{
	const struct connection_settings *settings = &connection->settings;
	const struct shared_rates *rates = connection->rates;
	uint64_t now_ms = monotonic_ms();
	unsigned own_ms = rate_take(
	        &connection->rate, settings->frames_per_s, settings->frames_at_once, said, now_ms);
	unsigned shared_ms = 0;

	if (connection->shared)
		shared_ms = rate_take(
		        &connection->shared->rate, rates->per_s, rates->at_once, said, now_ms);
	if (connection->shared && connection->shared->unread > rates->unread_most &&
	        shared_ms < UNREAD_MS)
		shared_ms = UNREAD_MS;
	return own_ms > shared_ms ? own_ms : shared_ms;
}

static void on_rested(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	unsigned pause_ms = pause_owed(connection, 0);

	if (pause_ms) {
		timer_set(connection->resting, pause_ms);
		return;
	}
	event_add(connection->readable, NULL);
	/* Some of it is here already. */
	event_active(connection->readable, EV_READ, 0);
}

/* The peer has @said more. Where that is too much the rest is read later, and it waits in the
 * peer's own memory. */
static bool rest_if_flooded(struct connection *connection, unsigned said)
{
	unsigned pause_ms = pause_owed(connection, said);

	if (!pause_ms)
		return false;
	if (!connection->resting)
		connection->resting = evtimer_new(connection->base, on_rested, connection);
	if (!connection->resting)
		return false;
	event_del(connection->readable);
	if (!connection->finishing) /* its last word keeps its deadline */
		evtimer_del(connection->overdue);
	timer_set(connection->resting, pause_ms);
	return true;
}

/* All whole frames that are there; how many. */
static unsigned frames_in(struct connection *connection)
{
	Tether__Frame *frame;
	unsigned count = 0;
	int got;

	while (connection->state == LINK_OPEN && !connection->destroyed) {
		got = frame_reader_next(&connection->reader, &frame);
		if (got < 0)
			link_fail(connection, got,
			        got == -EMSGSIZE ? "frame too large" : "not a frame");
		if (got <= 0)
			return count;
		count++;
		frame_in(connection, frame);
	}
	return count;
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

void held_note(struct connection *connection)
{
	struct shared_rate *shared = connection->shared;
	size_t unread = connection->queue.end - connection->queue.start;
	size_t held =
	        connection->queue.size + connection->reader.size + connection->repeats.kept.size;

	if (!shared)
		return;
	shared->unread += unread - connection->unread;
	shared_rate_held(connection->rates, shared, connection->held, held);
	connection->unread = unread;
	connection->held = held;
}

/* There is no room for @more; the link has failed. */
static bool is_overfull(struct connection *connection, size_t more)
{
	held_note(connection);
	if (!connection->shared ||
	        shared_rate_has_room(connection->rates, connection->shared, more))
		return false;
	link_fail(connection, -EDQUOT, "too much is held for all of its VM or certificate");
	return true;
}

/* One receive, *@received more: 1 when there may be more at once, else 0; the link may have failed.
 */
static int bytes_in(struct connection *connection, size_t *received)
{
	uint8_t *at;
	size_t room;
	int err = frame_reader_room(&connection->reader, &at, &room);
	ssize_t count;

	if (err) {
		link_fail(connection, err, NULL);
		return 0;
	}
	if (is_overfull(connection, 0))
		return 0;
	count = connection->channel.ops->receive(&connection->channel, at, room);
	if (count == -EAGAIN)
		return 0;
	if (count <= 0) {
		link_fail(connection, count ? (int)count : -EPIPE, count ? NULL : "end of stream");
		return 0;
	}
	connection->received = true;
	*received += count;
	frame_reader_received(&connection->reader, count);
	return (size_t)count == room || has_pending(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	unsigned frames = 0;
	size_t bytes = 0;
	int more = 1;

	if (connection->state == LINK_CONNECTING) {
		link_ask(connection);
		return;
	}
	/* Others with whom it shares may have said too much. */
	if (connection->shared && rest_if_flooded(connection, 0))
		return;
	callback_begin(connection);
	for (int i = 0; more && i < READS_AT_ONCE; i++) {
		more = bytes_in(connection, &bytes);
		if (connection->state == LINK_OPEN)
			frames += frames_in(connection);
		if (connection->state != LINK_OPEN || connection->destroyed)
			break;
	}
	if (connection->state == LINK_OPEN && !connection->destroyed) {
		held_note(connection);
		partial_watch(connection, frames);
		rest_if_flooded(connection, frames + bytes / BYTES_OF_ONE);
		if (more && !is_resting(connection) && has_pending(connection))
			event_active(connection->readable, EV_READ, 0);
	}
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
			held_note(connection);
			return;
		}
		if (count < 0) {
			/* The peer's last words may be there still; reading ends the link. */
			byte_queue_clear(queue);
			break;
		}
		byte_queue_taken(queue, count);
	}
	held_note(connection);
	if (connection->finishing)
		link_fail(connection, -ESHUTDOWN, connection->text);
}

static void on_writable(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;

	if (connection->state == LINK_OPEN)
		bytes_out(connection);
	else
		link_ask(connection);
}

int link_watch(struct connection *connection)
{
	int fd = connection->channel.fd;

	connection->readable =
	        event_new(connection->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
	connection->writable = event_new(connection->base, fd, EV_WRITE, on_writable, connection);
	connection->beat = event_new(connection->base, -1, EV_PERSIST, on_beat, connection);
	return connection->readable && connection->writable && connection->beat ? 0 : -ENOMEM;
}

int connection_send(struct connection *connection, const Tether__Frame *said)
{
	struct byte_queue *queue = &connection->queue;
	Tether__Frame numbered = *said, *frame = &numbered;
	size_t length;
	int err;

	if (connection->state != LINK_OPEN || connection->finishing)
		return -ENOTCONN;
	repeats_number(&connection->repeats, frame);
	err = frame_size(frame, &length);
	if (err)
		return err;
	if (queue->end - queue->start + length > connection->settings.queue_max_bytes ||
	        !repeats_have_room(connection, length)) {
		link_fail(connection, -ENOBUFS, "does not take what is sent");
		return -ENOBUFS;
	}
	if (is_overfull(connection, length))
		return -ENOBUFS;
	err = byte_queue_reserve(queue, length);
	if (err)
		return err;
	frame_write(frame, queue->bytes + queue->end, length);
	queue->end += length;
	frame_said(connection, frame, queue->bytes + queue->end - length, length);
	return 0;
}
