/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Waiting for what another thread is about to do: a few looks at once, then a little sleep before
 * each. Not sched_yield(2): where others want its CPU too, who yields is put behind all of them
 * again and again (18 ms a call beside eight that compute, Linux 6.18), and whoever waits for it
 * waits as long. Neither is a cancellation point. Signal handlers too.
 */
#ifndef TETHER_NAP_H
#define TETHER_NAP_H

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NAP_NS = 50000, LOOKS_AT_ONCE = 64 };

static inline void nap(void)
{
	const struct timespec length = {0, NAP_NS};

	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &length, NULL);
}

/* After the @looks-th look in vain. */
static inline void nap_after_looks(unsigned looks)
{
	if (looks >= LOOKS_AT_ONCE)
		nap();
}

#endif
