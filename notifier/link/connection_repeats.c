/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/connection_state.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"

enum {
	KEPT_TIMES = 2, /* what waits for the peer, and what it has and has not said so */
};

/* Once the loop is back: all that is said in one go leaves in one write. */
static void write_later(struct connection *connection)
{
	held_note(connection);
	connection->sent = true;
	if (!event_pending(connection->writable, EV_WRITE, NULL))
		event_active(connection->writable, EV_WRITE, 0);
}

/* Who does not take what waits for it is not asked. */
static void on_asking(evutil_socket_t fd, short what, void *at)
{
	struct connection *connection = at;
	unsigned ask_ms = connection->settings.ask_ms;
	int64_t wait_ms = repeats_wait(&connection->repeats, monotonic_ms(), ask_ms);

	if (wait_ms < 0)
		return;
	if (wait_ms)
		timer_set(connection->asking, (uint64_t)wait_ms);
	else if (!byte_queue_is_empty(&connection->queue))
		timer_set(connection->asking, ask_ms);
	else
		beat_say(connection, true);
}

/* It goes off when there is something to be asked about, and not else. */
static void asking_set(struct connection *connection)
{
	int64_t wait_ms =
	        repeats_wait(&connection->repeats, monotonic_ms(), connection->settings.ask_ms);

	if (wait_ms < 0) {
		if (connection->asking)
			evtimer_del(connection->asking);
		return;
	}
	if (!connection->asking)
		connection->asking = evtimer_new(connection->base, on_asking, connection);
	if (connection->asking && !evtimer_pending(connection->asking, NULL))
		timer_set(connection->asking, (uint64_t)wait_ms);
}

bool repeats_have_room(const struct connection *connection, size_t length)
{
	const struct byte_queue *kept = &connection->repeats.kept;

	return kept->end - kept->start + length <=
	       KEPT_TIMES * connection->settings.queue_max_bytes;
}

void beat_say(struct connection *connection, bool asks)
{
	struct repeats *repeats = &connection->repeats;
	Tether__Heartbeat heartbeat = TETHER__HEARTBEAT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	heartbeat.count = ++connection->beats;
	frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame.heartbeat = &heartbeat;
	repeats_beat(repeats, &heartbeat, asks);
	if (asks)
		repeats_asked(repeats, monotonic_ms(), connection->settings.ask_ms);
	connection_send(connection, &frame);
}

void frame_said(struct connection *connection, const Tether__Frame *frame, const uint8_t *bytes,
        size_t length)
{
	struct repeats *repeats = &connection->repeats;

	if (repeats_said(
	            repeats, frame, bytes, length, monotonic_ms(), connection->settings.ask_ms)) {
		link_fail(connection, -ENOMEM, NULL);
		return;
	}
	write_later(connection);
	if (repeats_is_much(repeats))
		beat_say(connection, true);
	asking_set(connection);
}

/* What it misses, if it has taken all that it was told. */
static void say_again(struct connection *connection)
{
	struct byte_queue *queue = &connection->queue;
	const uint8_t *bytes;
	size_t length;

	repeats_again(&connection->repeats, &bytes, &length);
	if (!byte_queue_is_empty(queue) || !length || byte_queue_reserve(queue, length))
		return;
	memcpy(queue->bytes + queue->end, bytes, length);
	queue->end += length;
	write_later(connection);
	beat_say(connection, true);
}

bool frame_is_next(struct connection *connection, const Tether__Frame *frame)
{
	unsigned then = repeats_heard(
	        &connection->repeats, frame, monotonic_ms(), connection->settings.ask_ms);

	if (then & REPEATS_AGAIN)
		say_again(connection);
	else if (then & REPEATS_SPEAK)
		beat_say(connection, false);
	asking_set(connection);
	return then & REPEATS_PASS && connection->state == LINK_OPEN;
}
