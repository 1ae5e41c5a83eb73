/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How much all links of somebody may say together (rate.h), and how much may be held for them, by
 * name: of a VM, or of whom a certificate names. What he owes outlives his links, so that coming
 * anew wins nothing. Pure; any thread, one at a time.
 */
#ifndef TETHER_SHARED_RATES_H
#define TETHER_SHARED_RATES_H

#include <stdbool.h>
#include <stddef.h>

#include "notifier/link/rate.h"

struct shared_rate {
	struct shared_rate *next;
	struct rate rate;
	size_t held; /* bytes of memory for what his links have said in part, and have to be told */
	size_t unread; /* bytes that he has not taken yet */
	unsigned holders;
	char name[];
};

struct shared_rates {
	struct shared_rate *first;
	void *by_name;        /* the same; tsearch(3) */
	size_t count, tidied; /* tidied: so many were left when those that had paid went last */
	unsigned per_s, at_once;
	size_t held; /* for all together; bytes, as what follows */
	/* Set to what is below. A link that would need more ends; while more is unread, none is
	 * listened to. */
	size_t held_most, unread_most;
	/* All together: nobody may need more than what is left of it for others, but for a little.
	 */
	size_t all_most;
};

enum {
	SHARED_HELD_MOST = 512 << 20,
	SHARED_HELD_LITTLE = 16 << 20,
	SHARED_UNREAD_MOST = 32 << 20,
};

#define SHARED_ALL_MOST ((size_t)2 << 30)

struct shared_rates *shared_rates_create(unsigned per_s, unsigned at_once);
/* Nobody may hold any. NULL is fine. */
void shared_rates_destroy(struct shared_rates *rates);

/* One link more is @name's; its rate stays until it is released. NULL: no memory. */
struct shared_rate *shared_rate_hold(struct shared_rates *rates, const char *name, uint64_t now_ms);
/* NULL is fine. */
void shared_rate_release(struct shared_rate *rate);

/* What is held for one of its links has been @before, and is @now. */
void shared_rate_held(
        struct shared_rates *rates, struct shared_rate *rate, size_t before, size_t now);
bool shared_rate_has_room(
        const struct shared_rates *rates, const struct shared_rate *rate, size_t more);

#endif
