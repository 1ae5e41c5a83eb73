/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * The one clock that the application sees while devices with clocks of their own come and go: the
 * first device's rate and width for ever, counted on at each device from a reading of its clock,
 * and in between from the host's, so that it never goes back and time without a device counts.
 *
 * Pure. A context has one, and each of its queues that stamps completions a copy, which is replaced
 * inside the queue's gate when the real queue is. What it counts does not wrap within centuries, so
 * that times can be compared; shown_clock_show makes of it what the application reads. host_ns is
 * CLOCK_MONOTONIC_RAW.
 */
#ifndef TETHER_SHOWN_CLOCK_H
#define TETHER_SHOWN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* A device's: ibv_device_attr_ex's completion_timestamp_mask and hca_core_clock. */
struct clock_rate {
	uint64_t mask; /* 2^n - 1 */
	uint64_t khz;
};

struct shown_clock {
	struct clock_rate shown;  /* mask 0: there is no clock */
	struct clock_rate device; /* mask 0: away */
	/* Of one moment. */
	uint64_t base_device, base_counted, base_ns;
};

/* Can be counted with. */
bool clock_rate_is_sound(const struct clock_rate *rate);

/* The first device, which says @reading now. */
void shown_clock_begin(struct shown_clock *clock, const struct clock_rate *device, uint64_t reading,
        uint64_t host_ns);
/* What was counted at @reading of the device that is there. @host_ns tells how often it has wrapped
 * since: half its range off at most. Away, it alone counts. */
uint64_t shown_clock_of(const struct shown_clock *clock, uint64_t reading, uint64_t host_ns);
/* What is counted by now, by the host's clock alone. */
uint64_t shown_clock_without_device(const struct shown_clock *clock, uint64_t host_ns);
/* The device goes; *@reading is its last, or NULL. */
void shown_clock_depart(struct shown_clock *clock, const uint64_t *reading, uint64_t host_ns);
/* Away: what was @shown before is not shown again. */
void shown_clock_reach(struct shown_clock *clock, uint64_t shown);
/* Another one is there, and says @reading now. */
void shown_clock_arrive(struct shown_clock *clock, const struct clock_rate *device,
        uint64_t reading, uint64_t host_ns);
static inline bool counted_before(uint64_t early, uint64_t late)
{
	return (int64_t)(early - late) < 0;
}
static inline uint64_t shown_clock_show(const struct shown_clock *clock, uint64_t counted)
{
	return counted & clock->shown.mask;
}

#endif
