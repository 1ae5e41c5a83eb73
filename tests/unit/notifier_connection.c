/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A link's life, over socket pairs and a unix socket. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/monotonic.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/link/connection.h"
#include "notifier/link/shared_rates.h"
#include "notifier/wire/frame.h"
#include "tests/unit/socket_place.h"

/* One end and what it has heard. */
struct end {
	struct event_base *base;
	struct connection *connection;
	unsigned opened, frames, closed;
	uint64_t last;
	int reason;
	unsigned wanted_frames, wanted_closed, wanted_opened; /* leave the loop then */
	unsigned destroy_at_frame, finish_at_frame;
};

static const struct connection_settings quick = {
        .heartbeat_ms = 20,
        .reconnect_ms = 1,
        .reconnect_max_ms = 20,
        .frame_ms = 50,
        .queue_max_bytes = 100000,
};

static void leave_if_done(struct end *end)
{
	if ((end->wanted_frames && end->frames >= end->wanted_frames) ||
	        (end->wanted_closed && end->closed >= end->wanted_closed) ||
	        (end->wanted_opened && end->opened >= end->wanted_opened))
		event_base_loopbreak(end->base);
}

static void on_opened(struct connection *connection, void *owner)
{
	struct end *end = owner;

	end->opened++;
	leave_if_done(end);
}

static int large_send(struct end *end, size_t size);

static void on_frame(struct connection *connection, Tether__Frame *frame, void *owner)
{
	struct end *end = owner;

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
	struct end *end = owner;

	end->closed++;
	end->reason = reason;
	leave_if_done(end);
}

static const struct connection_callbacks callbacks = {
        .opened = on_opened,
        .frame = on_frame,
        .closed = on_closed,
};

static void end_open(struct end *end, struct event_base *base, int fd,
        const struct connection_settings *settings)
{
	struct channel channel = {.ops = &channel_unix_ops, .fd = fd};

	*end = (struct end){.base = base};
	fcntl(fd, F_SETFL, O_NONBLOCK);
	end->connection = connection_accept(base, &channel, settings, &callbacks, end);
	assert_non_null(end->connection);
}

static void pair_open(struct end *a, struct end *b, const struct connection_settings *settings)
{
	struct event_base *base = event_base_new();
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open(a, base, fds[0], settings);
	end_open(b, base, fds[1], settings);
}

/* One end, and the bare descriptor of the other. */
static int half_open(struct end *a, const struct connection_settings *settings)
{
	struct event_base *base = event_base_new();
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open(a, base, fds[0], settings);
	return fds[1];
}

static void end_clear(struct end *a, struct end *b)
{
	connection_destroy(a->connection);
	if (b)
		connection_destroy(b->connection);
	event_base_free(a->base);
}

/* The loop, until an end has what it wants; a link that fails to give it ends the test. */
static void run(struct event_base *base)
{
	struct timeval patience = {.tv_sec = 20};

	event_base_loopexit(base, &patience);
	event_base_dispatch(base);
	assert_true(event_base_got_break(base));
}

static int interest_send(struct end *end, uint32_t request)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;

	interest.request = request;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	return connection_send(end->connection, &frame);
}

static void interest_write(int fd)
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

static int large_send(struct end *end, size_t size)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;
	CLEANUP_FREE char *name = malloc(size + 1);

	memset(name, 'n', size);
	name[size] = 0;
	hello.name = name;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	return connection_send(end->connection, &frame);
}

static void frames_arrive_in_order(void **state)
{
	struct end a, b;

	pair_open(&a, &b, &quick);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(interest_send(&a, i), 0);
	b.wanted_frames = 1000;
	run(b.base);
	assert_int_equal(b.frames, 1000);
	assert_int_equal(b.last, 1000);
	end_clear(&a, &b);
}

static void frame_larger_than_any_buffer_arrives(void **state)
{
	struct connection_settings settings = quick;
	struct end a, b;

	settings.queue_max_bytes = 4 << 20;
	settings.frame_ms = 10000;
	pair_open(&a, &b, &settings);
	assert_int_equal(large_send(&a, FRAME_MAX_BYTES - 100), 0);
	assert_int_equal(large_send(&a, FRAME_MAX_BYTES), -EMSGSIZE);
	assert_int_equal(interest_send(&a, 7), 0); /* the refused one has left nothing behind */
	b.wanted_frames = 2;
	run(b.base);
	assert_int_equal(b.last, 7);
	end_clear(&a, &b);
}

static void peer_that_does_not_read_loses_its_link(void **state)
{
	struct end a;
	int other = half_open(&a, &quick);
	int err = 0;

	a.wanted_closed = 1;
	for (int i = 0; !err && i < 1000; i++) {
		err = large_send(&a, 10000);
		event_base_loop(a.base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(interest_send(&a, 1), -ENOTCONN);
	if (!a.closed)
		run(a.base);
	assert_int_equal(a.reason, -ENOBUFS);
	close(other);
	end_clear(&a, NULL);
}

static void silent_peer_is_dead_after_three_heartbeats(void **state)
{
	struct end a;
	int other = half_open(&a, &quick);

	a.wanted_closed = 1;
	run(a.base);
	assert_int_equal(a.reason, -ETIMEDOUT);
	close(other);
	end_clear(&a, NULL);
}

static void idle_link_lives_by_heartbeats(void **state)
{
	struct timeval ten_beats = {.tv_usec = 10 * 20 * 1000};
	struct end a, b;

	pair_open(&a, &b, &quick);
	event_base_loopexit(a.base, &ten_beats);
	event_base_dispatch(a.base);
	assert_int_equal(a.closed + b.closed, 0);
	assert_int_equal(a.frames + b.frames, 0); /* they are not passed on */
	assert_true(connection_is_open(a.connection));
	end_clear(&a, &b);
}

static void half_a_frame_must_be_completed_in_time(void **state)
{
	struct connection_settings settings = quick;
	struct end a;
	int other;

	settings.heartbeat_ms = 0;
	other = half_open(&a, &settings);
	assert_int_equal(write(other, "\0\0\0\x08half", 8), 8);
	a.wanted_closed = 1;
	run(a.base);
	assert_int_equal(a.reason, -ETIME);
	close(other);
	end_clear(&a, NULL);
}

/* One byte now and then is no progress: the deadline is the frame's. */
static void trickled_frame_must_be_completed_in_time(void **state)
{
	struct timeval pause = {.tv_usec = 10000};
	struct connection_settings settings = quick;
	struct end a;
	int other;

	settings.heartbeat_ms = 0;
	other = half_open(&a, &settings);
	assert_int_equal(write(other, "\0\0\1\0", 4), 4);
	for (int i = 0; i < 100 && !a.closed; i++) {
		send(other, "x", 1, MSG_NOSIGNAL);
		event_base_loopexit(a.base, &pause);
		event_base_dispatch(a.base);
	}
	assert_int_equal(a.reason, -ETIME);
	close(other);
	end_clear(&a, NULL);
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
		struct end a;
		int other = half_open(&a, &quick);

		assert_int_equal(write(other, rows[i].bytes, rows[i].length), rows[i].length);
		a.wanted_closed = 1;
		run(a.base);
		assert_int_equal(a.reason, rows[i].reason);
		close(other);
		end_clear(&a, NULL);
	}
}

static void end_of_stream_is_told_after_the_last_frame(void **state)
{
	struct end a, b;

	pair_open(&a, &b, &quick);
	interest_send(&a, 3);
	connection_finish(a.connection, "done");
	assert_int_equal(interest_send(&a, 4), -ENOTCONN);
	b.wanted_closed = 1;
	run(b.base);
	assert_int_equal(b.frames, 1);
	assert_int_equal(b.reason, -EPIPE);
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.reason, -ESHUTDOWN);
	end_clear(&a, &b);
}

static void last_word_is_heard_by_one_who_is_speaking(void **state)
{
	struct event_base *base;
	struct end a, b;

	pair_open(&a, &b, &quick);
	base = a.base;
	a.wanted_closed = 1;
	interest_send(&b, 9);
	connection_finish(b.connection, "refused");
	b.wanted_closed = 1;
	run(base); /* b has gone, its word waits in a's socket */
	connection_destroy(b.connection);
	b.connection = NULL;
	if (!a.closed) {
		interest_send(&a, 1);
		run(base);
	}
	assert_int_equal(a.frames, 1);
	assert_int_equal(a.last, 9);
	end_clear(&a, &b);
}

static void connection_may_be_destroyed_from_its_callback(void **state)
{
	struct end a, b;

	pair_open(&a, &b, &quick);
	for (uint32_t i = 1; i <= 5; i++)
		interest_send(&a, i);
	b.destroy_at_frame = 2;
	a.wanted_closed = 1;
	run(a.base);
	assert_int_equal(b.frames, 2);
	end_clear(&a, &b);
}

static void accepted(evutil_socket_t listener, short what, void *at)
{
	struct end *end = at;
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
	end->connection = connection_accept(end->base, &channel, &quick, &callbacks, end);
}

static void connecting_side_comes_again_and_again(void **state)
{
	struct event_base *base = event_base_new();
	struct end client = {.base = base}, server = {.base = base};
	struct place place;
	struct event *listening;
	int listener;

	place_make(&place);
	client.connection = connection_connect(base, place.address, &quick, &callbacks, &client);
	assert_non_null(client.connection);
	for (unsigned round = 1; round <= 3; round++) {
		assert_int_equal(channel_unix_listen(place.path, 0600, &listener), 0);
		listening = event_new(base, listener, EV_READ | EV_PERSIST, accepted, &server);
		event_add(listening, NULL);
		client.wanted_closed = 0;
		server.wanted_opened = round;
		run(base);
		connection_drop(server.connection, "the test wants it");
		event_free(listening);
		close(listener);
		unlink(place.path);
		server.wanted_opened = 0;
		client.wanted_closed = round;
		run(base);
	}
	assert_int_equal(client.opened, 3);
	connection_finish(client.connection, "enough");
	end_clear(&client, &server);
	place_remove(&place);
}

static void who_says_too_much_is_read_later_and_loses_nothing(void **state)
{
	struct connection_settings slow = quick;
	struct end a, b;

	slow.frames_per_s = 2000;
	slow.frames_at_once = 10;
	pair_open(&a, &b, &slow);
	for (uint32_t round = 1; round <= 5; round++) {
		for (uint32_t i = 1; i <= 50; i++)
			assert_int_equal(interest_send(&a, 50 * (round - 1) + i), 0);
		b.wanted_frames = 50 * round;
		run(b.base);
	}
	assert_int_equal(b.last, 250);
	assert_int_equal(b.closed, 0);
	end_clear(&a, &b);
}

/* What it owes would take a quarter of an hour. */
static void who_says_too_much_holds_nobody_else_up(void **state)
{
	struct connection_settings slow = quick;
	struct end a, b, other_a, other_b;
	int fds[2];

	slow.frames_per_s = 1;
	slow.frames_at_once = 10;
	pair_open(&a, &b, &slow);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open(&other_a, a.base, fds[0], &quick);
	end_open(&other_b, a.base, fds[1], &quick);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(interest_send(&a, i), 0);
	b.wanted_frames = 1000;
	run(b.base);
	assert_int_equal(interest_send(&a, 1001), 0);
	b.wanted_frames = 0;
	for (uint32_t i = 1; i <= 10; i++) {
		assert_int_equal(interest_send(&other_a, i), 0);
		other_b.wanted_frames = i;
		run(b.base);
	}
	assert_int_equal(b.frames, 1000);
	assert_int_equal(b.closed, 0);
	connection_destroy(other_a.connection);
	connection_destroy(other_b.connection);
	end_clear(&a, &b);
}

/* Ten rounds of others': whatever is ready meanwhile has had its turn. */
static void loop_goes_on(struct event_base *base)
{
	struct end a, b;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open(&a, base, fds[0], &quick);
	end_open(&b, base, fds[1], &quick);
	for (uint32_t i = 1; i <= 10; i++) {
		assert_int_equal(interest_send(&a, i), 0);
		b.wanted_frames = i;
		run(base);
	}
	connection_destroy(a.connection);
	connection_destroy(b.connection);
}

/* Another link of vm1 than the one that has said too much, be it there before or new, which would
 * take a quarter of an hour to pay: nothing is read of it. */
static void nothing_is_read_of(struct shared_rates *rates, struct event_base *base)
{
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct end a, b;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open(&a, base, fds[0], &quick);
	end_open(&b, base, fds[1], &quick);
	connection_rate_share(b.connection, rates, rate);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(interest_send(&a, i), 0);
	loop_goes_on(base);
	assert_int_equal(b.frames, 0);
	assert_int_equal(b.closed, 0);
	connection_destroy(a.connection);
	connection_destroy(b.connection);
	shared_rate_release(rate);
}

static void links_of_a_vm_have_one_rate_and_coming_anew_wins_nothing(void **state)
{
	struct shared_rates *rates = shared_rates_create(1, 10);
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct event_base *base;
	struct end a, b;

	pair_open(&a, &b, &quick);
	base = b.base;
	connection_rate_share(b.connection, rates, rate);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(interest_send(&a, i), 0);
	b.wanted_frames = 1000;
	run(base);
	b.wanted_frames = 0;
	nothing_is_read_of(rates, base);
	connection_destroy(a.connection);
	connection_destroy(b.connection);
	shared_rate_release(rate);
	nothing_is_read_of(rates, base);
	event_base_free(base);
	shared_rates_destroy(rates);
}

enum { HELD_MOST = 4 << 20, HALF_SAID = 64 };

static size_t heap_bytes(void)
{
	struct mallinfo2 heap = mallinfo2();

	return heap.uordblks + heap.hblkhd;
}

/* The links of @rate's VM, and the other ends. */
static void half_links_open(struct event_base *base, struct shared_rates *rates,
        struct shared_rate *rate, struct end *ends, int *others)
{
	struct connection_settings settings = quick;
	int fds[2];

	settings.frame_ms = 60000;
	settings.heartbeat_ms = 0;
	for (size_t i = 0; i < HALF_SAID; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		end_open(&ends[i], base, fds[0], &settings);
		connection_rate_share(ends[i].connection, rates, rate);
		others[i] = fds[1];
	}
}

/* Each says that a frame as large as one may be comes, and its first byte. */
static void memory_for_all_links_of_a_vm_is_limited(void **state)
{
	static const uint8_t said[] = {0, 0x0f, 0xff, 0xff, 0};
	static struct end ends[HALF_SAID];
	struct shared_rates *rates = shared_rates_create(0, 0);
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct event_base *base = event_base_new();
	int others[HALF_SAID];
	unsigned closed = 0;
	size_t before;

	rates->held_most = HELD_MOST;
	half_links_open(base, rates, rate, ends, others);
	loop_goes_on(base);
	before = heap_bytes();
	for (size_t i = 0; i < HALF_SAID; i++) {
		assert_int_equal(write(others[i], said, 4), 4);
		loop_goes_on(base);
		assert_int_equal(write(others[i], said + 4, 1), 1);
		loop_goes_on(base);
		assert_in_range(heap_bytes(), 0, before + HELD_MOST + FRAME_MAX_BYTES);
		assert_int_equal(rates->held, rate->held);
		closed += ends[i].closed;
		assert_true(!ends[i].closed || ends[i].reason == -EDQUOT);
	}
	print_message("# %zd bytes of the heap, %u of %d links have ended\n",
	        (ssize_t)(heap_bytes() - before), closed, HALF_SAID);
	assert_in_range(closed, HALF_SAID - HELD_MOST / FRAME_MAX_BYTES, HALF_SAID - 1);
	for (size_t i = 0; i < HALF_SAID; i++) {
		connection_destroy(ends[i].connection);
		close(others[i]);
	}
	assert_int_equal(rate->held, 0);
	assert_int_equal(rates->held, 0);
	assert_int_equal(rate->unread, 0);
	shared_rate_release(rate);
	shared_rates_destroy(rates);
	event_base_free(base);
}

/* Else whoever asks and takes no answer would fill the queue with them. */
static void who_takes_nothing_is_not_listened_to(void **state)
{
	struct shared_rates *rates = shared_rates_create(0, 0);
	struct shared_rate *rate = shared_rate_hold(rates, "vm1", monotonic_ms());
	struct connection_settings settings = quick;
	struct end end;
	int other;

	settings.queue_max_bytes = 4 << 20;
	settings.heartbeat_ms = 0;
	rates->unread_most = 1000;
	other = half_open(&end, &settings);
	connection_rate_share(end.connection, rates, rate);
	interest_write(other);
	end.wanted_frames = 1;
	run(end.base);
	assert_int_equal(large_send(&end, FRAME_MAX_BYTES / 2), 0);
	loop_goes_on(end.base);
	interest_write(other);
	loop_goes_on(end.base);
	assert_int_equal(end.frames, 1);
	for (size_t taken = 0; taken < FRAME_MAX_BYTES / 2;) {
		uint8_t bytes[4096];
		ssize_t count = read(other, bytes, sizeof(bytes));

		assert_true(count > 0);
		taken += count;
		event_base_loop(end.base, EVLOOP_NONBLOCK);
	}
	end.wanted_frames = 2;
	run(end.base);
	assert_int_equal(end.closed, 0);
	end_clear(&end, NULL);
	close(other);
	shared_rate_release(rate);
	shared_rates_destroy(rates);
}

/* Few frames, but as large as they may be. */
static void large_frames_count_by_their_size(void **state)
{
	struct connection_settings slow = quick;
	struct end a, b;

	slow.frames_per_s = 1;
	slow.frames_at_once = 10;
	slow.queue_max_bytes = 4 << 20;
	pair_open(&a, &b, &slow);
	assert_int_equal(large_send(&a, FRAME_MAX_BYTES / 2), 0);
	assert_int_equal(interest_send(&a, 1), 0);
	loop_goes_on(a.base);
	loop_goes_on(a.base);
	assert_in_range(b.frames, 0, 1);
	assert_int_equal(b.closed, 0);
	end_clear(&a, &b);
}

/* It does not read its last word either, and no heartbeat misses it. */
static void who_says_too_much_is_not_waited_for_at_the_end(void **state)
{
	struct connection_settings slow = quick;
	struct end a;
	int other;

	slow.heartbeat_ms = 0;
	slow.frames_per_s = 1;
	slow.frames_at_once = 10;
	slow.queue_max_bytes = FRAME_MAX_BYTES;
	other = half_open(&a, &slow);
	for (unsigned i = 1; i <= 20; i++)
		interest_write(other);
	a.finish_at_frame = 15;
	a.wanted_closed = 1;
	run(a.base);
	assert_int_equal(a.frames, 15);
	assert_int_equal(a.reason, -ETIMEDOUT);
	close(other);
	end_clear(&a, NULL);
}

static void address_without_a_known_scheme_is_refused(void **state)
{
	struct event_base *base = event_base_new();

	errno = 0;
	assert_null(connection_connect(base, "tcp:1.2.3.4", &quick, &callbacks, NULL));
	assert_int_equal(errno, EPROTONOSUPPORT);
	assert_null(connection_connect(base, "unix:", &quick, &callbacks, NULL));
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
	        cmocka_unit_test(who_says_too_much_is_read_later_and_loses_nothing),
	        cmocka_unit_test(who_says_too_much_holds_nobody_else_up),
	        cmocka_unit_test(links_of_a_vm_have_one_rate_and_coming_anew_wins_nothing),
	        cmocka_unit_test(memory_for_all_links_of_a_vm_is_limited),
	        cmocka_unit_test(who_takes_nothing_is_not_listened_to),
	        cmocka_unit_test(large_frames_count_by_their_size),
	        cmocka_unit_test(who_says_too_much_is_not_waited_for_at_the_end),
	        cmocka_unit_test(address_without_a_known_scheme_is_refused),
	};

	return cmocka_run_group_tests_name("notifier_connection", tests, NULL, NULL);
}
