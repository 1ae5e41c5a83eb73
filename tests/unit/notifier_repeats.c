/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two ends of a link that loses frames, in a time of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "notifier/wire/repeats.h"
#include "notifier/wire/versions.h"

enum { ASK_MS = 500, BEAT_MS = 100, LETTERS_MAX = 4096, LONG_MS = 60000 };

struct end {
	struct repeats repeats;
	unsigned beat_ms, ask_ms; /* one of them */
	uint64_t next_beat_ms;
	uint32_t passed; /* the last that was handed up */
	uint32_t given;  /* the last of ours */
	unsigned said;   /* frames and heartbeats, in all */
	unsigned asked;  /* of these, which ask */
	bool counts_not;
};

struct letter {
	struct end *to;
	uint8_t *bytes;
	size_t length;
};

/* In order, as a stream is; @lost of a hundred come not. */
static struct {
	struct end a, b;
	struct letter letters[LETTERS_MAX];
	size_t first, count;
	unsigned lost, lose_next; /* of all, and the next so many for certain */
	unsigned losses;
	uint64_t now_ms;
	uint32_t chance;
} wire;

static struct end *other(const struct end *end)
{
	return end == &wire.a ? &wire.b : &wire.a;
}

static uint32_t chance(uint32_t below)
{
	wire.chance = wire.chance * 1664525 + 1013904223;
	return (wire.chance >> 8) % below;
}

static void post(struct end *to, uint8_t *bytes, size_t length)
{
	if (wire.lose_next || chance(100) < wire.lost) {
		wire.lose_next -= wire.lose_next > 0;
		wire.losses++;
		free(bytes);
		return;
	}
	assert_true(wire.count < LETTERS_MAX);
	wire.letters[(wire.first + wire.count++) % LETTERS_MAX] =
	        (struct letter){to, bytes, length};
}

static void say(struct end *end, Tether__Frame *frame)
{
	uint8_t *bytes;
	size_t length;

	end->said++;
	if (!end->counts_not)
		repeats_number(&end->repeats, frame);
	assert_int_equal(frame_encode(frame, &bytes, &length), 0);
	assert_int_equal(
	        repeats_said(&end->repeats, frame, bytes, length, wire.now_ms, end->ask_ms), 0);
	post(other(end), bytes, length);
}

static void beat(struct end *end, bool asks)
{
	Tether__Heartbeat heartbeat = TETHER__HEARTBEAT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame.heartbeat = &heartbeat;
	if (!end->counts_not)
		repeats_beat(&end->repeats, &heartbeat, asks);
	if (asks)
		repeats_asked(&end->repeats, wire.now_ms, end->ask_ms);
	end->asked += asks;
	say(end, &frame);
}

static void give(struct end *end)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;

	interest.request = ++end->given;
	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	say(end, &frame);
	if (repeats_is_much(&end->repeats))
		beat(end, true);
}

static void say_again(struct end *end)
{
	const uint8_t *bytes;
	size_t length;

	repeats_again(&end->repeats, &bytes, &length);
	for (size_t at = 0, one; at < length; at += one) {
		uint8_t *copy;

		one = 4 + (size_t)bytes[at + 2] * 256 + bytes[at + 3];
		copy = malloc(one);
		assert_non_null(copy);
		memcpy(copy, bytes + at, one);
		end->said++;
		post(other(end), copy, one);
	}
	beat(end, true);
}

static void hear(struct end *end, const Tether__Frame *frame)
{
	unsigned then = repeats_heard(&end->repeats, frame, wire.now_ms, end->ask_ms);

	if (end->counts_not)
		then = frame->body_case == TETHER__FRAME__BODY_HEARTBEAT ? 0 : REPEATS_PASS;
	if (then & REPEATS_AGAIN)
		say_again(end);
	else if (then & REPEATS_SPEAK)
		beat(end, false);
	if (!(then & REPEATS_PASS))
		return;
	assert_int_equal(frame->interest->request, end->passed + 1); /* in order, and once */
	end->passed++;
}

static void deliver(void)
{
	struct frame_reader reader = {0};
	struct letter letter = wire.letters[wire.first];
	Tether__Frame *frame;
	uint8_t *at;
	size_t room;

	wire.first = (wire.first + 1) % LETTERS_MAX;
	wire.count--;
	for (size_t done = 0; done < letter.length; done += room) {
		assert_int_equal(frame_reader_room(&reader, &at, &room), 0);
		if (room > letter.length - done)
			room = letter.length - done;
		memcpy(at, letter.bytes + done, room);
		frame_reader_received(&reader, room);
	}
	assert_int_equal(frame_reader_next(&reader, &frame), 1);
	hear(letter.to, frame);
	frame_free(frame);
	frame_reader_clear(&reader);
	free(letter.bytes);
}

static void end_turn(struct end *end)
{
	if (end->beat_ms && wire.now_ms >= end->next_beat_ms) {
		end->next_beat_ms = wire.now_ms + end->beat_ms;
		beat(end, false);
	}
	if (!end->counts_not && !repeats_wait(&end->repeats, wire.now_ms, end->ask_ms))
		beat(end, true);
}

/* A millisecond; what is said in it is heard in it, and what is said back. */
static void turn(void)
{
	while (wire.count)
		deliver();
	wire.now_ms++;
	end_turn(&wire.a);
	end_turn(&wire.b);
}

static bool all_are_heard(void)
{
	return wire.a.passed == wire.b.given && wire.b.passed == wire.a.given;
}

/* In so many ms. */
static uint64_t until_all_are_heard(void)
{
	uint64_t began_ms = wire.now_ms;

	do
		turn();
	while (!all_are_heard() && wire.now_ms - began_ms < LONG_MS);
	assert_true(all_are_heard());
	return wire.now_ms - began_ms;
}

static void wire_make(unsigned beat_ms, unsigned lost, uint32_t seed)
{
	unsigned ask_ms = beat_ms ? 0 : ASK_MS;

	memset(&wire, 0, sizeof(wire));
	wire.a = (struct end){.beat_ms = beat_ms, .ask_ms = ask_ms};
	wire.b = wire.a;
	wire.now_ms = 1000;
	wire.lost = lost;
	wire.chance = seed;
}

static void wire_end(void)
{
	while (wire.count) {
		free(wire.letters[wire.first].bytes);
		wire.first = (wire.first + 1) % LETTERS_MAX;
		wire.count--;
	}
	repeats_clear(&wire.a.repeats);
	repeats_clear(&wire.b.repeats);
}

/* Question and answer. */
static void exchange(void)
{
	give(&wire.a);
	until_all_are_heard();
	give(&wire.b);
	until_all_are_heard();
}

static void nothing_is_said_beside_while_nothing_is_lost(void **state)
{
	wire_make(0, 0, 1);
	for (int i = 0; i < 1000; i++)
		exchange();
	assert_int_equal(wire.a.said, 1000);
	assert_int_equal(wire.b.said, 1000);
	wire_end();
}

/* Of the last frame nobody else speaks: one question, one answer, and silence. */
static void last_word_is_asked_about_once(void **state)
{
	wire_make(0, 0, 1);
	exchange();
	for (int i = 0; i < LONG_MS; i++)
		turn();
	assert_int_equal(wire.b.said, 2);
	assert_int_equal(wire.b.asked, 1);
	assert_int_equal(wire.a.said, 2);
	wire_end();
}

static void every_frame_is_heard_in_order_and_once(void **state)
{
	static const unsigned losses[] = {10, 30, 50};
	static const unsigned beats[] = {0, BEAT_MS};

	for (size_t i = 0; i < ARRAY_SIZE(losses) * ARRAY_SIZE(beats) * 20; i++) {
		wire_make(beats[i % 2], losses[i / 2 % 3], (uint32_t)i);
		for (int round = 0; round < 50; round++) {
			for (uint32_t burst = chance(20); burst; burst--)
				give(&wire.a);
			for (uint32_t burst = chance(20); burst; burst--)
				give(&wire.b);
			if (chance(2))
				until_all_are_heard();
		}
		until_all_are_heard();
		assert_true(wire.losses > 50);
		wire_end();
	}
}

/* Each of a long row, and the deadlines of the steps leave time for it. */
static void a_tenth_is_made_good_within_a_steps_deadline(void **state)
{
	uint64_t longest_ms = 0;

	for (uint32_t seed = 1; seed <= 3000; seed++) {
		uint64_t took_ms;

		wire_make(seed % 2 ? 0 : BEAT_MS, 10, seed);
		give(&wire.a);
		took_ms = until_all_are_heard();
		give(&wire.b);
		took_ms += until_all_are_heard();
		longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
		wire_end();
	}
	print_message("# the longest: %u ms\n", (unsigned)longest_ms);
	assert_true(longest_ms > BEAT_MS);
	assert_true(longest_ms < 2500);
}

static void a_gap_is_named_at_once(void **state)
{
	wire_make(0, 0, 1);
	exchange();
	wire.lose_next = 1;
	for (int i = 0; i < 10; i++)
		give(&wire.a);
	assert_true(until_all_are_heard() <= 2);
	assert_int_equal(wire.b.said, 3); /* one word for the ten, and one that it has them */
	wire_end();
}

static void first_frame_is_missed_too(void **state)
{
	wire_make(0, 0, 1);
	wire.lose_next = 1;
	give(&wire.a);
	assert_in_range(until_all_are_heard(), ASK_MS, ASK_MS + 5);
	wire_end();
}

static void who_is_silent_is_asked_less_and_less(void **state)
{
	wire_make(0, 100, 1);
	give(&wire.a);
	for (int i = 0; i < LONG_MS; i++)
		turn();
	assert_in_range(wire.a.asked, REPEATS_HURRIES, REPEATS_HURRIES + LONG_MS / REPEATS_REST_MS);
	wire.lost = 0;
	assert_in_range(until_all_are_heard(), 0, REPEATS_REST_MS + 5);
	wire_end();
}

static void who_does_not_count_gets_nothing_twice(void **state)
{
	wire_make(0, 0, 1);
	wire.b.counts_not = true;
	for (int i = 0; i < 10; i++)
		exchange();
	for (int i = 0; i < LONG_MS; i++)
		turn();
	assert_int_equal(wire.a.said, 10);
	assert_int_equal(wire.a.repeats.kept.size, 0);
	wire_end();
}

/* What is kept goes when the other end has it, and much is asked about before it is too much. */
static void little_is_kept(void **state)
{
	size_t most = 0;

	wire_make(BEAT_MS, 0, 1);
	for (int i = 0; i < 100000; i++) {
		struct byte_queue *kept = &wire.a.repeats.kept;

		give(&wire.a);
		while (wire.count)
			deliver();
		most = kept->end - kept->start > most ? kept->end - kept->start : most;
	}
	assert_in_range(most, REPEATS_ASK_BYTES, REPEATS_ASK_BYTES + 1000);
	wire_end();
}

static Tether__Frame *lie(uint64_t number, uint64_t heard, uint64_t said, bool missing)
{
	static Tether__Heartbeat beat;
	static Tether__Interest interest;
	static Tether__Frame frame;

	tether__heartbeat__init(&beat);
	tether__interest__init(&interest);
	tether__frame__init(&frame);
	frame.number = number;
	frame.heard = heard;
	frame.body_case = number ? TETHER__FRAME__BODY_INTEREST : TETHER__FRAME__BODY_HEARTBEAT;
	if (number)
		frame.interest = &interest;
	else
		frame.heartbeat = &beat;
	beat.said = said;
	beat.missing = missing;
	return &frame;
}

static void lies_cost_who_tells_them(void **state)
{
	struct repeats *repeats = &wire.a.repeats;
	unsigned again = 0;

	wire_make(0, 0, 1);
	for (int i = 0; i < 5; i++)
		give(&wire.a);
	/* It has what was never said: that says nothing. */
	assert_int_equal(repeats_heard(repeats, lie(0, UINT64_MAX, 0, false), 1000, ASK_MS), 0);
	assert_int_equal(repeats->had, 0);
	/* It does not count, and has counted. */
	assert_int_equal(repeats_heard(repeats, lie(0, 0, 0, false), 1000, ASK_MS), 0);
	assert_int_equal(repeats->had, 0);
	/* All of it again, a thousand times in a second. */
	for (uint64_t ms = 0; ms < 1000; ms++)
		again += !!(repeats_heard(repeats, lie(0, 1, 0, true), 2000 + ms, ASK_MS) &
		            REPEATS_AGAIN);
	assert_in_range(again, 2, 1000 / REPEATS_AGAIN_MS);
	/* It has said what nobody has heard: it is told so, now and then, and what is next counts.
	 */
	assert_int_equal(
	        repeats_heard(repeats, lie(UINT64_MAX, 1, 0, false), 3000, ASK_MS), REPEATS_SPEAK);
	assert_int_equal(repeats_heard(repeats, lie(UINT64_MAX, 1, 0, false), 3001, ASK_MS), 0);
	assert_int_equal(repeats_heard(repeats, lie(1, 1, 0, false), 3002, ASK_MS), REPEATS_PASS);
	/* Who did not count at first does not begin to. */
	repeats_clear(repeats);
	assert_int_equal(repeats_heard(repeats, lie(0, 0, 0, false), 4000, ASK_MS), 0);
	give(&wire.a);
	assert_int_equal(repeats_heard(repeats, lie(0, 2, 0, true), 4000, ASK_MS), 0);
	assert_int_equal(repeats_heard(repeats, lie(9, 2, 0, false), 4000, ASK_MS), REPEATS_PASS);
	wire_end();
}

/* All that is behind, for each frame that it takes in the same moment. */
static void who_takes_one_at_a_time_is_given_few(void **state)
{
	enum { KEPT = 1000 };
	struct repeats *repeats = &wire.a.repeats;
	size_t all = 0, length;
	const uint8_t *bytes;
	size_t whole;

	wire_make(0, 0, 1);
	for (int i = 0; i < KEPT; i++)
		give(&wire.a);
	whole = repeats->kept.end - repeats->kept.start;
	for (uint64_t heard = 1; heard <= KEPT; heard++) {
		if (!(repeats_heard(repeats, lie(0, heard, 0, true), 5000, ASK_MS) & REPEATS_AGAIN))
			continue;
		repeats_again(repeats, &bytes, &length);
		all += length;
	}
	/* Once all, and twice each. */
	assert_in_range(all, whole, 3 * whole + 1000);
	wire_end();
}

/* It says nothing that the version before does not know, whoever is there. */
static void a_build_from_before_does_not_count(void **state)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Heartbeat beat = TETHER__HEARTBEAT__INIT;
	struct repeats repeats;

	versions_pretend("5");
	repeats_begin(&repeats);
	frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame.heartbeat = &beat;
	assert_int_equal(repeats_heard(&repeats, lie(2, 1, 0, false), 0, ASK_MS), REPEATS_PASS);
	assert_int_equal(repeats_heard(&repeats, lie(0, 1, 7, true), 0, ASK_MS), 0);
	repeats_number(&repeats, &frame);
	repeats_beat(&repeats, &beat, true);
	assert_int_equal(frame.number + frame.heard + beat.said + beat.missing + beat.asks, 0);
	frame.body_case = TETHER__FRAME__BODY__NOT_SET;
	repeats_number(&repeats, &frame);
	assert_int_equal(frame.number + frame.heard, 0);
	versions_pretend("6");
}

/* Who is far behind gets some at once, whole frames, and the rest as he goes on. */
static void much_is_said_again_in_parts(void **state)
{
	Tether__Hello hello = TETHER__HELLO__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;
	struct repeats repeats;
	const uint8_t *first, *next;
	size_t length;
	char *name = malloc(REPEATS_AT_ONCE);

	assert_non_null(name);
	repeats_begin(&repeats);
	memset(name, 'x', REPEATS_AT_ONCE - 1);
	name[REPEATS_AT_ONCE - 1] = '\0';
	hello.name = name;
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	for (int i = 0; i < 3; i++) {
		uint8_t *bytes;

		repeats_number(&repeats, &frame);
		assert_int_equal(frame_encode(&frame, &bytes, &length), 0);
		assert_int_equal(repeats_said(&repeats, &frame, bytes, length, 0, ASK_MS), 0);
		free(bytes);
	}
	repeats_again(&repeats, &first, &length);
	assert_in_range(length, REPEATS_AT_ONCE, REPEATS_AT_ONCE + 100);
	repeats_heard(&repeats, lie(0, 2, 0, true), 0, ASK_MS);
	repeats_again(&repeats, &next, &length);
	assert_in_range(length, REPEATS_AT_ONCE, REPEATS_AT_ONCE + 100);
	repeats_heard(&repeats, lie(0, 4, 0, false), 0, ASK_MS);
	repeats_again(&repeats, &next, &length);
	assert_int_equal(length, 0);
	repeats_clear(&repeats);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_is_said_beside_while_nothing_is_lost),
	        cmocka_unit_test(last_word_is_asked_about_once),
	        cmocka_unit_test(every_frame_is_heard_in_order_and_once),
	        cmocka_unit_test(a_tenth_is_made_good_within_a_steps_deadline),
	        cmocka_unit_test(a_gap_is_named_at_once),
	        cmocka_unit_test(first_frame_is_missed_too),
	        cmocka_unit_test(who_is_silent_is_asked_less_and_less),
	        cmocka_unit_test(who_does_not_count_gets_nothing_twice),
	        cmocka_unit_test(little_is_kept),
	        cmocka_unit_test(lies_cost_who_tells_them),
	        cmocka_unit_test(who_takes_one_at_a_time_is_given_few),
	        cmocka_unit_test(a_build_from_before_does_not_count),
	        cmocka_unit_test(much_is_said_again_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
