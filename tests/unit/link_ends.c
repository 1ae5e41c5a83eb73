/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/link_ends.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/channel/channel_unix.h"
#include "notifier/wire/frame.h"
#include "tests/unit/large_hello.h"

const struct connection_settings link_quick = {
        .heartbeat_ms = 20,
        .reconnect_ms = 1,
        .reconnect_max_ms = 20,
        .frame_ms = 50,
        .queue_max_bytes = 100000,
};

static void leave_if_done(struct link_end *end)
{
	if ((end->wanted_frames && end->frames >= end->wanted_frames) ||
	        (end->wanted_closed && end->closed >= end->wanted_closed) ||
	        (end->wanted_opened && end->opened >= end->wanted_opened))
		event_base_loopbreak(end->base);
}

static void on_opened(struct connection *connection, void *owner)
{
	struct link_end *end = owner;

	end->opened++;
	leave_if_done(end);
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct link_end *end = owner;

	end->frames++;
	if (frame->body_case == TETHER__FRAME__BODY_INTEREST)
		end->last = frame->interest->request;
	if (end->destroy_at_frame == end->frames) {
		connection_destroy(end->connection);
		end->connection = NULL;
	}
	if (end->finish_at_frame == end->frames) {
		assert_int_equal(large_send(end, FRAME_MAX_BYTES / 2), 0);
		connection_finish(connection, "said enough");
	}
	leave_if_done(end);
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct link_end *end = owner;

	end->closed++;
	end->reason = reason;
	leave_if_done(end);
}

const struct connection_callbacks link_end_callbacks = {
        .opened = on_opened,
        .frame = on_frame,
        .closed = on_closed,
};

void link_end_open(struct link_end *end, struct event_base *base, int fd,
        const struct connection_settings *settings)
{
	struct channel channel = {.ops = &channel_unix_ops, .fd = fd};

	*end = (struct link_end){.base = base};
	fcntl(fd, F_SETFL, O_NONBLOCK);
	end->connection = connection_accept(base, &channel, settings, &link_end_callbacks, end);
	assert_non_null(end->connection);
}

void link_pair_open_in(struct event_base *base, struct link_end *a, struct link_end *b,
        const struct connection_settings *settings)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	link_end_open(a, base, fds[0], settings);
	link_end_open(b, base, fds[1], settings);
}

void link_pair_open(
        struct link_end *a, struct link_end *b, const struct connection_settings *settings)
{
	link_pair_open_in(event_base_new(), a, b, settings);
}

int link_half_open(struct link_end *a, const struct connection_settings *settings)
{
	struct event_base *base = event_base_new();
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	link_end_open(a, base, fds[0], settings);
	return fds[1];
}

void link_ends_clear(struct link_end *a, struct link_end *b)
{
	connection_destroy(a->connection);
	if (b)
		connection_destroy(b->connection);
	event_base_free(a->base);
}

void link_run(struct event_base *base)
{
	struct timeval patience = {.tv_sec = 20};

	event_base_loopexit(base, &patience);
	event_base_dispatch(base);
	assert_true(event_base_got_break(base));
}

int interest_send(struct link_end *end, uint32_t request)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;

	interest.request = request;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	return connection_send(end->connection, &frame);
}

void interest_write(int fd)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;
	uint8_t bytes[64];
	size_t length;

	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	assert_int_equal(frame_size(&frame, &length), 0);
	assert_true(length <= sizeof(bytes));
	frame_write(&frame, bytes, length);
	assert_int_equal(write(fd, bytes, length), length);
}

int large_send(struct link_end *end, size_t size)
{
	return large_hello_send(end->connection, size);
}

void link_loop_goes_on(struct event_base *base)
{
	struct link_end a, b;

	link_pair_open_in(base, &a, &b, &link_quick);
	for (uint32_t i = 1; i <= 10; i++) {
		assert_int_equal(interest_send(&a, i), 0);
		b.wanted_frames = i;
		link_run(base);
	}
	connection_destroy(a.connection);
	connection_destroy(b.connection);
}
