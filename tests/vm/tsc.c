/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Prints how many thousand times a second this machine's time stamp counter counts. Guests without
 * KVM have the same one, and measure it badly where the machine is busy: their clocks would be
 * wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

enum { MEASURED_NS = 50000000 };

struct moment {
	uint64_t ticks, ns;
};

/* The narrowest of some pairs: nobody came between its two readings. */
static struct moment now(void)
{
	uint64_t narrowest = UINT64_MAX;
	struct moment best = {0};

	for (int i = 0; i < 100; i++) {
		uint64_t before = __rdtsc();
		struct timespec at;
		uint64_t after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &at);
		after = __rdtsc();
		if (after - before >= narrowest)
			continue;
		narrowest = after - before;
		best.ticks = before + (after - before) / 2;
		best.ns = (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
	}
	return best;
}

int main(void)
{
	struct moment first = now(), last;

	nanosleep(&(struct timespec){.tv_nsec = MEASURED_NS}, NULL);
	last = now();
	printf("%.0f\n", 1e6 * (double)(last.ticks - first.ticks) / (double)(last.ns - first.ns));
}
