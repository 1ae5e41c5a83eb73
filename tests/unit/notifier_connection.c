/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A link's life, over socket pairs and a unix socket. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/wire/frame.h"
#include "tests/unit/link_ends.h"
#include "tests/unit/socket_place.h"

static void frames_arrive_in_order(void **state)
{
	struct link_end a, b;

	link_pair_open(&a, &b, &link_quick);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(interest_send(&a, i), 0);
	b.wanted_frames = 1000;
	link_run(b.base);
	assert_int_equal(b.frames, 1000);
	assert_int_equal(b.last, 1000);
	link_ends_clear(&a, &b);
}

static void frame_larger_than_any_buffer_arrives(void **state)
{
	struct connection_settings settings = link_quick;
	struct link_end a, b;

	settings.queue_max_bytes = 4 << 20;
	settings.frame_ms = 10000;
	link_pair_open(&a, &b, &settings);
	assert_int_equal(large_send(&a, FRAME_MAX_BYTES - 100), 0);
	assert_int_equal(large_send(&a, FRAME_MAX_BYTES), -EMSGSIZE);
	assert_int_equal(interest_send(&a, 7), 0); /* the refused one has left nothing behind */
	b.wanted_frames = 2;
	link_run(b.base);
	assert_int_equal(b.last, 7);
	link_ends_clear(&a, &b);
}

static void peer_that_does_not_read_loses_its_link(void **state)
{
	struct link_end a;
	int other = link_half_open(&a, &link_quick);
	int err = 0;

	a.wanted_closed = 1;
	for (int i = 0; !err && i < 1000; i++) {
		err = large_send(&a, 10000);
		event_base_loop(a.base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(interest_send(&a, 1), -ENOTCONN);
	if (!a.closed)
		link_run(a.base);
	assert_int_equal(a.reason, -ENOBUFS);
	close(other);
	link_ends_clear(&a, NULL);
}

static void silent_peer_is_dead_after_three_heartbeats(void **state)
{
	struct link_end a;
	int other = link_half_open(&a, &link_quick);

	a.wanted_closed = 1;
	link_run(a.base);
	assert_int_equal(a.reason, -ETIMEDOUT);
	close(other);
	link_ends_clear(&a, NULL);
}

static void idle_link_lives_by_heartbeats(void **state)
{
	struct timeval ten_beats = {.tv_usec = 10 * 20 * 1000};
	struct link_end a, b;

	link_pair_open(&a, &b, &link_quick);
	event_base_loopexit(a.base, &ten_beats);
	event_base_dispatch(a.base);
	assert_int_equal(a.closed + b.closed, 0);
	assert_int_equal(a.frames + b.frames, 0); /* they are not passed on */
	assert_true(connection_is_open(a.connection));
	link_ends_clear(&a, &b);
}

static void half_a_frame_must_be_completed_in_time(void **state)
{
	struct connection_settings settings = link_quick;
	struct link_end a;
	int other;

	settings.heartbeat_ms = 0;
	other = link_half_open(&a, &settings);
	assert_int_equal(write(other, "\0\0\0\x08half", 8), 8);
	a.wanted_closed = 1;
	link_run(a.base);
	assert_int_equal(a.reason, -ETIME);
	close(other);
	link_ends_clear(&a, NULL);
}

/* One byte now and then is no progress: the deadline is the frame's. */
static void trickled_frame_must_be_completed_in_time(void **state)
{
	struct timeval pause = {.tv_usec = 10000};
	struct connection_settings settings = link_quick;
	struct link_end a;
	int other;

	settings.heartbeat_ms = 0;
	other = link_half_open(&a, &settings);
	assert_int_equal(write(other, "\0\0\1\0", 4), 4);
	for (int i = 0; i < 100 && !a.closed; i++) {
		send(other, "x", 1, MSG_NOSIGNAL);
		event_base_loopexit(a.base, &pause);
		event_base_dispatch(a.base);
	}
	assert_int_equal(a.reason, -ETIME);
	close(other);
	link_ends_clear(&a, NULL);
}

static void garbage_ends_the_link(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		int reason;
	} rows[] = {
	        {"\0\0\0\2\xff\xff", 6, -EBADMSG},
	        {"\xff\xff\xff\xff", 4, -EMSGSIZE},
	        {"\0\0\0\0", 4, -EMSGSIZE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct link_end a;
		int other = link_half_open(&a, &link_quick);

		assert_int_equal(write(other, rows[i].bytes, rows[i].length), rows[i].length);
		a.wanted_closed = 1;
		link_run(a.base);
		assert_int_equal(a.reason, rows[i].reason);
		close(other);
		link_ends_clear(&a, NULL);
	}
}

static void end_of_stream_is_told_after_the_last_frame(void **state)
{
	struct link_end a, b;

	link_pair_open(&a, &b, &link_quick);
	interest_send(&a, 3);
	connection_finish(a.connection, "done");
	assert_int_equal(interest_send(&a, 4), -ENOTCONN);
	b.wanted_closed = 1;
	link_run(b.base);
	assert_int_equal(b.frames, 1);
	assert_int_equal(b.reason, -EPIPE);
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.reason, -ESHUTDOWN);
	link_ends_clear(&a, &b);
}

static void last_word_is_heard_by_one_who_is_speaking(void **state)
{
	struct event_base *base;
	struct link_end a, b;

	link_pair_open(&a, &b, &link_quick);
	base = a.base;
	a.wanted_closed = 1;
	interest_send(&b, 9);
	connection_finish(b.connection, "refused");
	b.wanted_closed = 1;
	link_run(base); /* b has gone, its word waits in a's socket */
	connection_destroy(b.connection);
	b.connection = NULL;
	if (!a.closed) {
		interest_send(&a, 1);
		link_run(base);
	}
	assert_int_equal(a.frames, 1);
	assert_int_equal(a.last, 9);
	link_ends_clear(&a, &b);
}

static void connection_may_be_destroyed_from_its_callback(void **state)
{
	struct link_end a, b;

	link_pair_open(&a, &b, &link_quick);
	for (uint32_t i = 1; i <= 5; i++)
		interest_send(&a, i);
	b.destroy_at_frame = 2;
	a.wanted_closed = 1;
	link_run(a.base);
	assert_int_equal(b.frames, 2);
	link_ends_clear(&a, &b);
}

static void accepted(evutil_socket_t listener, short what, void *at)
{
	struct link_end *end = at;
	struct channel_unix_peer peer;
	struct channel channel;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(channel_unix_accepted(fd, &channel, &peer), 0);
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, getuid());
	assert_false(channel_unix_peer_ended(&peer));
	close(peer.pidfd);
	connection_destroy(end->connection);
	end->connection =
	        connection_accept(end->base, &channel, &link_quick, &link_end_callbacks, end);
}

static void connecting_side_comes_again_and_again(void **state)
{
	struct event_base *base = event_base_new();
	struct link_end client = {.base = base}, server = {.base = base};
	struct place place;
	struct event *listening;
	int listener;

	place_make(&place);
	client.connection =
	        connection_connect(base, place.address, &link_quick, &link_end_callbacks, &client);
	assert_non_null(client.connection);
	for (unsigned round = 1; round <= 3; round++) {
		assert_int_equal(channel_unix_listen(place.path, 0600, &listener), 0);
		listening = event_new(base, listener, EV_READ | EV_PERSIST, accepted, &server);
		event_add(listening, NULL);
		client.wanted_closed = 0;
		server.wanted_opened = round;
		link_run(base);
		connection_drop(server.connection, "the test wants it");
		event_free(listening);
		close(listener);
		unlink(place.path);
		server.wanted_opened = 0;
		client.wanted_closed = round;
		link_run(base);
	}
	assert_int_equal(client.opened, 3);
	connection_finish(client.connection, "enough");
	link_ends_clear(&client, &server);
	place_remove(&place);
}

static void address_without_a_known_scheme_is_refused(void **state)
{
	struct event_base *base = event_base_new();

	errno = 0;
	assert_null(
	        connection_connect(base, "tcp:1.2.3.4", &link_quick, &link_end_callbacks, NULL));
	assert_int_equal(errno, EPROTONOSUPPORT);
	assert_null(connection_connect(base, "unix:", &link_quick, &link_end_callbacks, NULL));
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(frames_arrive_in_order),
	        cmocka_unit_test(frame_larger_than_any_buffer_arrives),
	        cmocka_unit_test(peer_that_does_not_read_loses_its_link),
	        cmocka_unit_test(silent_peer_is_dead_after_three_heartbeats),
	        cmocka_unit_test(idle_link_lives_by_heartbeats),
	        cmocka_unit_test(half_a_frame_must_be_completed_in_time),
	        cmocka_unit_test(trickled_frame_must_be_completed_in_time),
	        cmocka_unit_test(garbage_ends_the_link),
	        cmocka_unit_test(end_of_stream_is_told_after_the_last_frame),
	        cmocka_unit_test(last_word_is_heard_by_one_who_is_speaking),
	        cmocka_unit_test(connection_may_be_destroyed_from_its_callback),
	        cmocka_unit_test(connecting_side_comes_again_and_again),
	        cmocka_unit_test(address_without_a_known_scheme_is_refused),
	};

	return cmocka_run_group_tests_name("notifier_connection", tests, NULL, NULL);
}
