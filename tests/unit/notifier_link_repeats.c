/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a link says again, to a peer who reads frame by frame and says what he has. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/wire/frame.h"
#include "tests/unit/link_ends.h"

static struct link_end end;
static struct frame_reader reader;
static int peer;

static void link_make(unsigned ask_ms, size_t queue_max_bytes)
{
	struct connection_settings settings = link_quick;

	settings.heartbeat_ms = 0;
	settings.ask_ms = ask_ms;
	settings.queue_max_bytes = queue_max_bytes;
	peer = link_half_open(&end, &settings);
	fcntl(peer, F_SETFL, O_NONBLOCK);
	link_loop_goes_on(end.base);
}

static void link_end_it(void)
{
	frame_reader_clear(&reader);
	close(peer);
	link_ends_clear(&end, NULL);
}

/* NULL: nothing is there. The caller frees it. */
static Tether__Frame *frame_get(void)
{
	Tether__Frame *frame;
	uint8_t *at;
	size_t room;
	ssize_t got;

	for (;;) {
		int is_whole = frame_reader_next(&reader, &frame);

		assert_true(is_whole >= 0);
		if (is_whole)
			return frame;
		assert_int_equal(frame_reader_room(&reader, &at, &room), 0);
		got = recv(peer, at, room, 0);
		if (got <= 0)
			return NULL;
		frame_reader_received(&reader, (size_t)got);
	}
}

/* What comes next is our frame @number. */
static void is_given(uint64_t number)
{
	Tether__Frame *frame = frame_get();

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TETHER__FRAME__BODY_INTEREST);
	assert_int_equal(frame->number, number);
	frame_free(frame);
}

static void is_asked(uint64_t said)
{
	Tether__Frame *frame = frame_get();

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TETHER__FRAME__BODY_HEARTBEAT);
	assert_true(frame->heartbeat->asks);
	assert_int_equal(frame->heartbeat->said, said);
	frame_free(frame);
}

static void peer_says(const Tether__Frame *frame)
{
	uint8_t bytes[128];
	size_t length;

	assert_int_equal(frame_size(frame, &length), 0);
	assert_true(length <= sizeof(bytes));
	frame_write(frame, bytes, length);
	assert_int_equal(write(peer, bytes, length), length);
	link_loop_goes_on(end.base);
}

/* A heartbeat of the peer's. */
static void peer_has(uint64_t heard, bool missing, uint64_t said)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Heartbeat beat = TETHER__HEARTBEAT__INIT;

	frame.heard = heard + 1;
	frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame.heartbeat = &beat;
	beat.missing = missing;
	beat.said = said;
	peer_says(&frame);
}

static void peer_gives(uint64_t number)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;

	frame.number = number;
	frame.heard = 1;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	interest.request = (uint32_t)number;
	peer_says(&frame);
}

static void interests_give(uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++)
		assert_int_equal(interest_send(&end, i), 0);
	link_loop_goes_on(end.base);
}

static void nothing_is_there(void)
{
	link_loop_goes_on(end.base);
	assert_null(frame_get());
}

static void what_is_missing_is_said_again(void **state)
{
	link_make(0, 100000);
	interests_give(5);
	for (uint64_t number = 1; number <= 5; number++)
		is_given(number);
	peer_has(3, true, 0);
	is_given(4);
	is_given(5);
	is_asked(5);
	peer_has(5, false, 0);
	peer_has(3, true, 0);
	nothing_is_there();
	link_end_it();
}

/* Of the connection's. */
static int timer_count(const struct event_base *base, const struct event *event, void *count)
{
	if (event_get_callback_arg(event) == end.connection)
		*(unsigned *)count += event_pending(event, EV_TIMEOUT, NULL) != 0;
	return 0;
}

/* By the clock, but not before something was said, and not after it is there. */
static void silence_is_asked_about(void **state)
{
	Tether__Frame *frame;
	unsigned timers = 0;

	link_make(1, 100000);
	link_loop_goes_on(end.base);
	nothing_is_there();
	interests_give(1);
	while (!(frame = frame_get()))
		event_base_loop(end.base, EVLOOP_ONCE);
	assert_int_equal(frame->number, 1);
	frame_free(frame);
	for (int i = 0; i < 3; i++) {
		while (!(frame = frame_get()))
			event_base_loop(end.base, EVLOOP_ONCE);
		assert_true(frame->heartbeat->asks);
		assert_int_equal(frame->heartbeat->said, 1);
		frame_free(frame);
	}
	event_base_foreach_event(end.base, timer_count, &timers);
	assert_true(timers > 0);
	timers = 0;
	peer_has(1, false, 0);
	while ((frame = frame_get()))
		frame_free(frame);
	/* There is nothing more to go off. */
	event_base_foreach_event(end.base, timer_count, &timers);
	assert_int_equal(timers, 0);
	link_end_it();
}

static void frames_are_handed_up_in_order_and_once(void **state)
{
	Tether__Frame *frame;

	link_make(0, 100000);
	peer_gives(1);
	peer_gives(1);
	assert_int_equal(end.frames, 1);
	peer_gives(3);
	peer_gives(4);
	assert_int_equal(end.frames, 1);
	frame = frame_get(); /* one word for both */
	assert_non_null(frame);
	assert_true(frame->heartbeat->missing);
	assert_int_equal(frame->heard, 2);
	frame_free(frame);
	nothing_is_there();
	for (uint64_t number = 2; number <= 4; number++)
		peer_gives(number);
	assert_int_equal(end.frames, 4);
	assert_int_equal(end.last, 4);
	link_end_it();
}

/* The last frame of all was lost, and the peer's heartbeat says so. */
static void a_heartbeat_tells_of_the_last_frame(void **state)
{
	Tether__Frame *frame;

	link_make(0, 100000);
	peer_has(0, false, 1);
	frame = frame_get();
	assert_non_null(frame);
	assert_true(frame->heartbeat->missing);
	assert_int_equal(frame->heard, 1);
	frame_free(frame);
	link_end_it();
}

/* It reads all, counts, and never says that it has anything: memory has bounds. */
static void who_takes_and_never_says_so_loses_his_link(void **state)
{
	Tether__Frame *frame;
	size_t taken = 0;
	int err = 0;

	link_make(0, 100000);
	peer_has(0, false, 0);
	for (int i = 0; !err && i < 1000; i++) {
		err = large_send(&end, 10000);
		link_loop_goes_on(end.base);
		while (!err && (frame = frame_get())) {
			taken += 10000;
			frame_free(frame);
		}
	}
	assert_int_equal(err, -ENOBUFS);
	assert_true(taken >= 2 * 100000 - 20000);
	link_end_it();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(what_is_missing_is_said_again),
	        cmocka_unit_test(silence_is_asked_about),
	        cmocka_unit_test(frames_are_handed_up_in_order_and_once),
	        cmocka_unit_test(a_heartbeat_tells_of_the_last_frame),
	        cmocka_unit_test(who_takes_and_never_says_so_loses_his_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
