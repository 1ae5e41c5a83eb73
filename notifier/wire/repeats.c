/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/repeats.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "notifier/wire/frame.h"

static bool are_off;

void repeats_pretend(const char *wish)
{
	are_off = wish && !strcmp(wish, "off");
}

static bool is_beat(const Tether__Frame *frame)
{
	return frame->body_case == TETHER__FRAME__BODY_HEARTBEAT;
}

static bool is_missing(const struct repeats *repeats)
{
	return repeats->beyond > repeats->heard;
}

/* ---- ours ---- */

void repeats_begin(struct repeats *repeats)
{
	*repeats = (struct repeats){.counts_not = are_off, .again_most = UINT64_MAX};
}

void repeats_number(const struct repeats *repeats, Tether__Frame *frame)
{
	if (repeats->counts_not)
		return;
	frame->number = is_beat(frame) ? 0 : repeats->said + 1;
	frame->heard = repeats->heard + 1;
}

void repeats_beat(const struct repeats *repeats, Tether__Heartbeat *beat, bool asks)
{
	if (repeats->counts_not)
		return;
	beat->said = repeats->said;
	beat->missing = is_missing(repeats);
	beat->asks = asks;
}

int repeats_said(struct repeats *repeats, const Tether__Frame *frame, const uint8_t *bytes,
        size_t length, uint64_t now_ms, unsigned ask_ms)
{
	struct byte_queue *kept = &repeats->kept;

	if (!frame->number)
		return 0;
	if (byte_queue_reserve(kept, length))
		return -ENOMEM;
	if (byte_queue_is_empty(kept))
		repeats->due_ms = now_ms + ask_ms;
	memcpy(kept->bytes + kept->end, bytes, length);
	kept->end += length;
	repeats->said = frame->number;
	repeats->unasked += length;
	return 0;
}

bool repeats_is_much(const struct repeats *repeats)
{
	return repeats->unasked > REPEATS_ASK_BYTES;
}

/* With its header. */
static size_t first_length(const uint8_t *bytes)
{
	uint32_t header;

	memcpy(&header, bytes, sizeof(header));
	return FRAME_HEADER_BYTES + (size_t)be32toh(header);
}

void repeats_again(struct repeats *repeats, const uint8_t **bytes, size_t *length)
{
	const struct byte_queue *kept = &repeats->kept;
	size_t left = kept->end - kept->start;
	size_t taken = 0;
	uint64_t frames = 0;

	*bytes = left ? kept->bytes + kept->start : NULL;
	while (taken < left && frames < repeats->again_most) {
		size_t more = first_length(*bytes + taken);

		if (taken && taken + more > REPEATS_AT_ONCE)
			break;
		taken += more;
		frames++;
	}
	*length = taken;
}

static void kept_forget(struct repeats *repeats)
{
	byte_queue_clear(&repeats->kept);
	repeats->had = repeats->said;
	repeats->due_ms = 0;
	repeats->unasked = 0;
}

/* The other end has ours up to @number. */
static void had_note(struct repeats *repeats, uint64_t number, uint64_t now_ms, unsigned ask_ms)
{
	struct byte_queue *kept = &repeats->kept;

	if (number <= repeats->had || number > repeats->said)
		return;
	for (; repeats->had < number; repeats->had++)
		byte_queue_taken(kept, first_length(kept->bytes + kept->start));
	repeats->asked = 0;
	repeats->due_ms = byte_queue_is_empty(kept) ? 0 : now_ms + ask_ms;
	if (!repeats->due_ms)
		repeats->unasked = 0;
}

/*
 * It wants them from where it has them. Sooner than the pause it gets twice as many as it has taken
 * since: who takes them one by one does not get all of them for each.
 */
static unsigned again_if_in_time(struct repeats *repeats, uint64_t now_ms)
{
	uint64_t taken = repeats->had + 1 - repeats->again_from;
	bool is_soon = repeats->again_from && now_ms - repeats->again_ms < REPEATS_AGAIN_MS;

	if (byte_queue_is_empty(&repeats->kept) || (is_soon && !taken))
		return 0;
	repeats->again_most = is_soon ? 2 * taken : UINT64_MAX;
	repeats->again_from = repeats->had + 1;
	repeats->again_ms = now_ms;
	return REPEATS_AGAIN;
}

/* ---- the other end's ---- */

/* There may be a gap, of which it hears now and then. */
static unsigned missing_note(struct repeats *repeats, uint64_t now_ms)
{
	if (!is_missing(repeats))
		return 0;
	if (repeats->missed_ms && now_ms - repeats->missed_ms < REPEATS_AGAIN_MS)
		return 0;
	repeats->missed_ms = now_ms;
	return REPEATS_SPEAK;
}

static unsigned beat_heard(struct repeats *repeats, const Tether__Heartbeat *beat, uint64_t now_ms)
{
	unsigned then = 0;

	if (beat->said > repeats->beyond)
		repeats->beyond = beat->said;
	if (beat->missing)
		then |= again_if_in_time(repeats, now_ms);
	then |= missing_note(repeats, now_ms);
	return beat->asks ? then | REPEATS_SPEAK : then;
}

static unsigned frame_heard(struct repeats *repeats, uint64_t number, uint64_t now_ms)
{
	if (!number)
		return REPEATS_PASS;
	if (number > repeats->beyond)
		repeats->beyond = number;
	if (number <= repeats->heard)
		return 0;
	if (number > repeats->heard + 1)
		return missing_note(repeats, now_ms);
	repeats->heard = number;
	repeats->missed_ms = 0;
	return REPEATS_PASS;
}

unsigned repeats_heard(
        struct repeats *repeats, const Tether__Frame *frame, uint64_t now_ms, unsigned ask_ms)
{
	if (!repeats->counts && !frame->heard) {
		repeats->counts_not = true;
		kept_forget(repeats);
	}
	if (repeats->counts_not)
		return is_beat(frame) ? 0 : REPEATS_PASS;
	repeats->counts = true;
	if (frame->heard)
		had_note(repeats, frame->heard - 1, now_ms, ask_ms);
	return is_beat(frame) ? beat_heard(repeats, frame->heartbeat, now_ms)
	                      : frame_heard(repeats, frame->number, now_ms);
}

/* ---- silence ---- */

int64_t repeats_wait(const struct repeats *repeats, uint64_t now_ms, unsigned ask_ms)
{
	if (!ask_ms || !repeats->due_ms)
		return -1;
	return repeats->due_ms > now_ms ? (int64_t)(repeats->due_ms - now_ms) : 0;
}

void repeats_asked(struct repeats *repeats, uint64_t now_ms, unsigned ask_ms)
{
	unsigned pause_ms =
	        repeats->asked < REPEATS_HURRIES ? ask_ms / REPEATS_HURRY + 1 : REPEATS_REST_MS;

	repeats->unasked = 0;
	if (byte_queue_is_empty(&repeats->kept))
		return;
	repeats->due_ms = now_ms + pause_ms;
	repeats->asked++;
}

void repeats_clear(struct repeats *repeats)
{
	byte_queue_clear(&repeats->kept);
	repeats_begin(repeats);
}
