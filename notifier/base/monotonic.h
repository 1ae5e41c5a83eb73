/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Time that only goes forward, for deadlines and durations. */
#ifndef TETHER_BASE_MONOTONIC_H
#define TETHER_BASE_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

/* Of two waits the shorter: @wait_ms, negative for ever, and one that is over when @due_ms is. */
static inline int sooner_ms(int wait_ms, int64_t due_ms)
{
	if (due_ms < 0)
		due_ms = 0;
	return wait_ms < 0 || due_ms < wait_ms ? (int)due_ms : wait_ms;
}

#endif
