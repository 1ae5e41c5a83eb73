/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/rate.h"

enum { US_PER_MS = 1000, US_PER_S = 1000000 };

unsigned rate_take(
        struct rate *rate, unsigned per_s, unsigned at_once, unsigned count, uint64_t now_ms)
{
	uint64_t now_us = now_ms * US_PER_MS, allowed_us, pause_ms;

	if (!per_s)
		return 0;
	if (rate->paid_us < now_us)
		rate->paid_us = now_us;
	rate->paid_us += (uint64_t)count * US_PER_S / per_s;
	allowed_us = (uint64_t)at_once * US_PER_S / per_s;
	if (rate->paid_us <= now_us + allowed_us)
		return 0;
	pause_ms = (rate->paid_us - now_us - allowed_us + US_PER_MS - 1) / US_PER_MS;
	return pause_ms < RATE_PAUSE_MOST_MS ? (unsigned)pause_ms : RATE_PAUSE_MOST_MS;
}

bool rate_is_settled(const struct rate *rate, uint64_t now_ms)
{
	return rate->paid_us <= now_ms * US_PER_MS;
}
