/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Two ends of a link that loses frames, in a time of its own. */
#ifndef TEST_NOTIFIER_LOSSY_WIRE_H
#define TEST_NOTIFIER_LOSSY_WIRE_H

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

static inline struct end *other(const struct end *end)
{
	return end == &wire.a ? &wire.b : &wire.a;
}

static inline uint32_t chance(uint32_t below)
{
	wire.chance = wire.chance * 1664525 + 1013904223;
	return (wire.chance >> 8) % below;
}

static inline void post(struct end *to, uint8_t *bytes, size_t length)
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

static inline void say(struct end *end, Tether__Frame *frame)
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

static inline void beat(struct end *end, bool asks)
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

static inline void give(struct end *end)
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

static inline void say_again(struct end *end)
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

static inline void hear(struct end *end, const Tether__Frame *frame)
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

static inline void deliver(void)
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

static inline void end_turn(struct end *end)
{
	if (end->beat_ms && wire.now_ms >= end->next_beat_ms) {
		end->next_beat_ms = wire.now_ms + end->beat_ms;
		beat(end, false);
	}
	if (!end->counts_not && !repeats_wait(&end->repeats, wire.now_ms, end->ask_ms))
		beat(end, true);
}

/* A millisecond; what is said in it is heard in it, and what is said back. */
static inline void turn(void)
{
	while (wire.count)
		deliver();
	wire.now_ms++;
	end_turn(&wire.a);
	end_turn(&wire.b);
}

static inline bool all_are_heard(void)
{
	return wire.a.passed == wire.b.given && wire.b.passed == wire.a.given;
}

/* In so many ms. */
static inline uint64_t until_all_are_heard(void)
{
	uint64_t began_ms = wire.now_ms;

	do
		turn();
	while (!all_are_heard() && wire.now_ms - began_ms < LONG_MS);
	assert_true(all_are_heard());
	return wire.now_ms - began_ms;
}

static inline void wire_make(unsigned beat_ms, unsigned lost, uint32_t seed)
{
	unsigned ask_ms = beat_ms ? 0 : ASK_MS;

	memset(&wire, 0, sizeof(wire));
	wire.a = (struct end){.beat_ms = beat_ms, .ask_ms = ask_ms};
	wire.b = wire.a;
	wire.now_ms = 1000;
	wire.lost = lost;
	wire.chance = seed;
}

static inline void wire_end(void)
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
static inline void exchange(void)
{
	give(&wire.a);
	until_all_are_heard();
	give(&wire.b);
	until_all_are_heard();
}

#endif
