/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/connection_state.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/timer.h"

enum { DOUBLINGS_MOST = 16, PATIENCE_DOUBLINGS = 3 };

const struct connection_settings connection_settings_default = {
        .heartbeat_ms = 100,
        .reconnect_ms = 20,
        .reconnect_max_ms = 2000,
        .frame_ms = 2000,
        .queue_max_bytes = 8 << 20,
};

static void link_connect(struct connection *connection);

void link_later(struct connection *connection, enum later what)
{
	connection->due |= what;
	event_active(connection->later, EV_TIMEOUT, 0);
}

static void link_down(struct connection *connection)
{
	struct event **events[] = {&connection->readable, &connection->writable, &connection->beat,
	        &connection->resting, &connection->asking};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
	connection->rate = (struct rate){0};
	evtimer_del(connection->overdue);
	connection->channel.ops->close(&connection->channel);
	frame_reader_clear(&connection->reader);
	byte_queue_clear(&connection->queue);
	repeats_clear(&connection->repeats);
	held_note(connection);
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

/* What the owner hears; the channel knows more than a number. */
static void reason_note(struct connection *connection, int reason, const char *text)
{
	const struct channel *channel = &connection->channel;

	if (!text && channel->ops->why)
		text = channel->ops->why(channel);
	connection->reason = reason;
	if (text != connection->text)
		snprintf(connection->text, sizeof(connection->text), "%s",
		        text ? text : strerror(-reason));
}

static void attempt_failed(struct connection *connection)
{
	link_later(connection, LATER_FAILED);
	connect_later(connection);
}

void link_fail(struct connection *connection, int reason, const char *text)
{
	bool was_open = connection->state == LINK_OPEN;

	if (connection->state == LINK_DOWN)
		return;
	reason_note(connection, reason, text);
	link_down(connection);
	if (was_open || !connection->address)
		link_later(connection, LATER_CLOSED);
	else
		attempt_failed(connection);
}

void callback_begin(struct connection *connection)
{
	connection->in_callbacks++;
}

void callback_end(struct connection *connection)
{
	if (--connection->in_callbacks || !connection->destroyed)
		return;
	free(connection->address);
	free(connection);
}

static void on_overdue(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	const char *text = "frame not completed in time";
	int reason = -ETIME;

	if (connection->state == LINK_CONNECTING) {
		text = "handshake not completed in time";
		reason = -ETIMEDOUT;
	}
	if (connection->finishing) {
		text = connection->text;
		reason = -ETIMEDOUT;
	}
	link_fail(connection, reason, text);
}

static void on_again(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;

	if (connection->state == LINK_CONNECTING)
		link_ask(connection);
	else if (connection->state == LINK_DOWN)
		link_connect(connection);
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
	if (due & LATER_FAILED && connection->callbacks->failed && !connection->destroyed)
		connection->callbacks->failed(connection, connection->text, connection->owner);
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
	connection->state = LINK_CONNECTING;
	if (link_watch(connection)) {
		connection_destroy(connection);
		return NULL;
	}
	timer_set(connection->overdue, connection->settings.frame_ms);
	link_ask(connection);
	return connection;
}

/* Whoever accepts may have a thousand before this one: then each attempt that is given up has cost
 * it a handshake for nothing. */
static unsigned patience_ms(const struct connection *connection)
{
	unsigned doublings = connection->attempts < PATIENCE_DOUBLINGS ? connection->attempts
	                                                               : PATIENCE_DOUBLINGS;

	return connection->settings.frame_ms << doublings;
}

static void link_connect(struct connection *connection)
{
	const char *rest;
	int err = channel_address(connection->address, &connection->channel.ops, &rest);

	connection->channel.credentials = connection->settings.credentials;
	if (!err)
		err = connection->channel.ops->connect(&connection->channel, rest);
	if (err && err != -EINPROGRESS) {
		reason_note(connection, err, NULL);
		attempt_failed(connection);
		return;
	}
	connection->state = LINK_CONNECTING;
	if (link_watch(connection)) {
		link_fail(connection, -ENOMEM, NULL);
	} else if (!err) {
		link_open(connection);
	} else {
		event_add(connection->writable, NULL);
		timer_set(connection->overdue, patience_ms(connection));
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

void connection_rate_share(
        struct connection *connection, struct shared_rates *rates, struct shared_rate *rate)
{
	connection->rates = rates;
	connection->shared = rate;
	held_note(connection);
}

const struct channel *connection_channel(const struct connection *connection)
{
	return &connection->channel;
}

void connection_recheck(struct connection *connection)
{
	const struct channel_ops *ops = connection->channel.ops;

	if (connection->state != LINK_OPEN || !ops->recheck)
		return;
	if (ops->recheck(&connection->channel))
		link_fail(connection, -EACCES, NULL);
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
