/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What of a link's frames has been lost on the way, at either end: each is counted, kept until the
 * other end says that it has it, and said again where that one misses it. So frames are handed up
 * in order and once, as if none had been lost. Nothing is said twice without a word of the other
 * end, and nothing is said beside the frames themselves while they come.
 *
 * Who misses something says so at once when he sees the gap, and again with each heartbeat and when
 * something else comes behind the gap, though not more often than REPEATS_AGAIN_MS. Whose last
 * frame it was sees it by the other end's silence: heartbeats say how far they have come, and where
 * they are rare, or none, what is not heard for ask_ms is asked about.
 *
 * Pure; time is passed in. One for each link and one thread. Nothing of the other end's is trusted:
 * what it says that it has cannot be more than was said, and who asks for everything again and
 * again gets it so often and no more. An end that does not count is as it always was.
 */
#ifndef TETHER_REPEATS_H
#define TETHER_REPEATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "notifier/wire/byte_queue.h"
#include "tether.pb-c.h"

enum {
	REPEATS_AGAIN_MS = 50,
	REPEATS_AT_ONCE = 256 << 10,  /* bytes, but one frame at least */
	REPEATS_ASK_BYTES = 64 << 10, /* kept since something was asked: time to ask */
	REPEATS_HURRY = 5,            /* who was asked in vain is asked so much sooner again */
	REPEATS_HURRIES = 50,         /* so often; then each REPEATS_REST_MS */
	REPEATS_REST_MS = 1000,
};

/* repeats_begin at the link's beginning, repeats_clear at its end. */
struct repeats {
	uint64_t said;          /* number of the last frame of ours */
	uint64_t had;           /* the other end has those up to here */
	struct byte_queue kept; /* those behind, as they were written */
	uint64_t heard;         /* of the other end's, in order */
	uint64_t beyond;        /* the highest of which it has spoken */
	bool counts;            /* the other end does, */
	bool counts_not;        /* or one of both does not; neither: it has said nothing yet */
	uint64_t missed_ms;     /* when we said that some are missing; 0: not of these */
	uint64_t again_ms;      /* when we said ours again, */
	uint64_t again_from;    /* and which, */
	uint64_t again_most;    /* and how many at most */
	uint64_t due_ms;        /* when silence is asked about; 0: nothing is kept */
	unsigned asked;         /* so often in vain */
	size_t unasked;         /* bytes that were kept since */
};

/* What is to be done with a frame that has come. */
enum {
	REPEATS_PASS = 1,  /* hand it up */
	REPEATS_SPEAK = 2, /* say a heartbeat now */
	REPEATS_AGAIN = 4, /* say repeats_again, and a heartbeat that asks */
};

/* For tests: "off" has this end not count, and so repeat nothing. */
void repeats_pretend(const char *wish);

void repeats_begin(struct repeats *repeats);

/* Before @frame is written. */
void repeats_number(const struct repeats *repeats, Tether__Frame *frame);
/* It has been, as @length bytes: queued for the other end; @ask_ms: repeats_wait's. -ENOMEM: it
 * cannot be kept, the link has to end. */
int repeats_said(struct repeats *repeats, const Tether__Frame *frame, const uint8_t *bytes,
        size_t length, uint64_t now_ms, unsigned ask_ms);
/* So much has been kept that a heartbeat which asks is to follow. */
bool repeats_is_much(const struct repeats *repeats);
/* What @beat, to be said next, says of this; it is numbered and
 * said as well. */
void repeats_beat(const struct repeats *repeats, Tether__Heartbeat *beat, bool asks);

/* A frame has come: REPEATS_*, 0: it is dropped. */
unsigned repeats_heard(
        struct repeats *repeats, const Tether__Frame *frame, uint64_t now_ms, unsigned ask_ms);
/* Whole frames that the other end misses, at *@bytes until the next call; *@length may be 0. */
void repeats_again(struct repeats *repeats, const uint8_t **bytes, size_t *length);

/*
 * When to say a heartbeat that asks, with repeats_asked: in so many ms, negative: when something is
 * said. A frame of which nothing is heard for @ask_ms, 0: no matter for how long.
 */
int64_t repeats_wait(const struct repeats *repeats, uint64_t now_ms, unsigned ask_ms);
void repeats_asked(struct repeats *repeats, uint64_t now_ms, unsigned ask_ms);

void repeats_clear(struct repeats *repeats);

#endif
