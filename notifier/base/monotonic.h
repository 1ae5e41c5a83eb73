/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Time that only goes forward, for deadlines and durations. */
#ifndef TETHER_BASE_MONOTONIC_H
#define TETHER_BASE_MONOTONIC_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t monotonic_us(void)
{
	return monotonic_ns() / 1000;
}

static inline uint64_t monotonic_ms(void)
{
	return monotonic_ns() / NS_PER_MS;
}

static inline struct timespec monotonic_timespec(uint64_t ns)
{
	return (struct timespec){
	        .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/*
 * Pause before looking again at something that offers no way to wait for it: 20 us at first, twice
 * as long each time, at most 1 ms. Start with *@pause_ns = 0.
 */
static inline void monotonic_back_off(uint64_t *pause_ns)
{
	struct timespec pause;

	*pause_ns = *pause_ns ? *pause_ns * 2 : 20000;
	if (*pause_ns > NS_PER_MS)
		*pause_ns = NS_PER_MS;
	pause = monotonic_timespec(*pause_ns);
	nanosleep(&pause, NULL);
}

/* Of two waits the shorter: @wait_ms, negative for ever, and one that is over when @due_ms is. */
static inline int64_t sooner_ms(int64_t wait_ms, int64_t due_ms)
{
	if (due_ms < 0)
		due_ms = 0;
	return wait_ms < 0 || due_ms < wait_ms ? due_ms : wait_ms;
}

#endif
