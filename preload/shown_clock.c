/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/shown_clock.h"

enum { NS_PER_MS = 1000000 };

static uint64_t scale(uint64_t count, uint64_t times, uint64_t of)
{
	return (uint64_t)((unsigned __int128)count * times / of);
}

static uint64_t ticks_of_ns(uint64_t ns, const struct clock_rate *rate)
{
	return scale(ns, rate->khz, NS_PER_MS);
}

/* Nobody's clock is read before the moment that another one was. */
static uint64_t ns_since_base(const struct shown_clock *clock, uint64_t host_ns)
{
	return host_ns > clock->base_ns ? host_ns - clock->base_ns : 0;
}

bool clock_rate_is_sound(const struct clock_rate *rate)
{
	return rate->khz && rate->mask && !(rate->mask & (rate->mask + 1));
}

static void device_is(struct shown_clock *clock, const struct clock_rate *device, uint64_t reading,
        uint64_t host_ns)
{
	clock->device = *device;
	clock->base_device = reading;
	clock->base_ns = host_ns;
}

void shown_clock_begin(struct shown_clock *clock, const struct clock_rate *device, uint64_t reading,
        uint64_t host_ns)
{
	clock->shown = *device;
	clock->base_counted = reading & device->mask;
	device_is(clock, device, reading, host_ns);
}

/* The device's ticks since the base: those that the host's clock makes likely, put right. */
static uint64_t device_ticks(const struct shown_clock *clock, uint64_t reading, uint64_t host_ns)
{
	const uint64_t mask = clock->device.mask;
	uint64_t likely = ticks_of_ns(ns_since_base(clock, host_ns), &clock->device);
	uint64_t behind = (clock->base_device + likely - reading) & mask;
	uint64_t ahead = (reading - clock->base_device - likely) & mask;

	if (ahead <= mask / 2)
		return likely + ahead;
	return likely > behind ? likely - behind : 0;
}

uint64_t shown_clock_of(const struct shown_clock *clock, uint64_t reading, uint64_t host_ns)
{
	uint64_t ticks;

	if (!clock->device.mask)
		return shown_clock_without_device(clock, host_ns);
	ticks = device_ticks(clock, reading, host_ns);
	return clock->base_counted + scale(ticks, clock->shown.khz, clock->device.khz);
}

uint64_t shown_clock_without_device(const struct shown_clock *clock, uint64_t host_ns)
{
	return clock->base_counted + ticks_of_ns(ns_since_base(clock, host_ns), &clock->shown);
}

void shown_clock_depart(struct shown_clock *clock, const uint64_t *reading, uint64_t host_ns)
{
	if (!clock->device.mask)
		return;
	clock->base_counted = reading ? shown_clock_of(clock, *reading, host_ns)
	                              : shown_clock_without_device(clock, host_ns);
	clock->base_ns = host_ns;
	clock->device = (struct clock_rate){0};
}

void shown_clock_reach(struct shown_clock *clock, uint64_t shown)
{
	if (counted_before(clock->base_counted, shown))
		clock->base_counted = shown;
}

void shown_clock_arrive(struct shown_clock *clock, const struct clock_rate *device,
        uint64_t reading, uint64_t host_ns)
{
	clock->base_counted = shown_clock_without_device(clock, host_ns);
	device_is(clock, device, reading, host_ns);
}
