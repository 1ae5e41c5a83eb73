/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How much somebody may say: so many at once, and so many a second after that. Who says more is
 * listened to later, and loses nothing. Pure; any thread, one at a time. All zero to begin with.
 */
#ifndef TETHER_RATE_H
#define TETHER_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
	uint64_t paid_us; /* when all that was said will have been paid for */
};

/* @count more were said. 0: go on; else so many milliseconds are to pass first, RATE_PAUSE_MOST_MS
 * at most. @per_s 0: there is no limit. */
enum { RATE_PAUSE_MOST_MS = 1000 };
unsigned rate_take(
        struct rate *rate, unsigned per_s, unsigned at_once, unsigned count, uint64_t now_ms);

/* All that was said has been paid for: one that is new allows no more. */
bool rate_is_settled(const struct rate *rate, uint64_t now_ms);

#endif
