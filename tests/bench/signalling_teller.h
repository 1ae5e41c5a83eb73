/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Two ways in which the SM's end tells that a VM moves, behind one face: tether-smd's own root,
 * which tells each server once (signalling_relay.c), and one that knows of no relays and tells each
 * VM itself (signalling_flat.c). Both over the links of tether-smd and tether-agent, both in the
 * thread of their event_base; callbacks come from the loop.
 */
#ifndef TETHER_SIGNALLING_TELLER_H
#define TETHER_SIGNALLING_TELLER_H

#include <stdint.h>

#include "notifier/base/deadlines.h"
#include "tether.pb-c.h"

struct credentials;
struct event_base;
struct teller;

struct teller_callbacks {
	void (*up)(void *owner); /* one more has said HELLO */
	void (*answered)(void *owner, const Tether__Answer *answer);
};

struct teller_ops {
	const char *name;
	/* @credentials: NULL without TLS. NULL with errno. */
	struct teller *(*create)(struct event_base *base, const char *address,
	        struct credentials *credentials, const struct deadlines *deadlines, uint64_t epoch,
	        const struct teller_callbacks *callbacks, void *owner);
	void (*destroy)(struct teller *teller);
	/* One at a time, the caller's until `answered`. -errno */
	int (*tell)(struct teller *teller, const Tether__Event *event);
};

extern const struct teller_ops teller_relay_ops, teller_flat_ops;

/* What has gone over the links, counted where links are given it and give it. */
struct teller_counts {
	uint64_t events, answers;
};
extern struct teller_counts teller_counts;

#endif
