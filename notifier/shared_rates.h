/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How much all links of somebody may say together (rate.h), by name: of a VM, or of whom a
 * certificate names. What he owes outlives his links, so that coming anew wins nothing. Pure; any
 * thread, one at a time.
 */
#ifndef TETHER_SHARED_RATES_H
#define TETHER_SHARED_RATES_H

#include "notifier/rate.h"

struct shared_rate {
	struct shared_rate *next;
	struct rate rate;
	unsigned holders;
	char name[];
};

struct shared_rates {
	struct shared_rate *first;
	unsigned per_s, at_once;
};

struct shared_rates *shared_rates_create(unsigned per_s, unsigned at_once);
/* Nobody may hold any. NULL is fine. */
void shared_rates_destroy(struct shared_rates *rates);

/* One link more is @name's; its rate stays until it is released. NULL: no memory. */
struct shared_rate *shared_rate_hold(struct shared_rates *rates, const char *name, uint64_t now_ms);
/* NULL is fine. */
void shared_rate_release(struct shared_rate *rate);

#endif
