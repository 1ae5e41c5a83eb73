/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How long a thread sleeps that has polled in vain, so that pollers do not keep the rest of a small
 * machine from its CPUs. Not to yield: who yields is put behind all others again and again, and
 * holds back who waits for it.
 */
#ifndef SIMFABRIC_POLL_NAP_H
#define SIMFABRIC_POLL_NAP_H

#include <stdbool.h>

enum {
	NAP_AFTER = 512, /* polls in vain */
	NAP_NS = 50000,
	LONGEST_NAP = 8, /* times that */
};

static inline bool poll_nap_is_due(unsigned polled_in_vain)
{
	return polled_in_vain % NAP_AFTER == 0;
}

static inline long poll_nap_ns(unsigned polled_in_vain)
{
	unsigned naps = polled_in_vain / NAP_AFTER;

	return (long)(naps < LONGEST_NAP ? naps : LONGEST_NAP) * NAP_NS;
}

#endif
