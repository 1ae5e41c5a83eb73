/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * When to subscribe to the notices for this server: once, and again whenever the subscription may
 * be gone (another SM, another LID, or the root says so). Subscribing again does no harm; nothing
 * tells a server by itself that it is not subscribed. Pure; times in milliseconds of any monotonic
 * clock.
 */
#ifndef TETHER_SUBSCRIPTION_H
#define TETHER_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

enum { SUBSCRIPTION_AGAIN_MS = 500, SUBSCRIPTION_AGAIN_MOST_MS = 8000 };

struct subscription {
	uint16_t lid, sm_lid; /* 0: not known */
	bool stands;          /* as far as is known here */
	bool is_asked;        /* the SM has been asked and has not answered */
	bool again;           /* ... and is to be asked once more anyway */
	unsigned again_ms;    /* the next pause */
	uint64_t not_before_ms;
};

/* Where the port and its SM are now. */
void subscription_port(struct subscription *subscription, uint16_t lid, uint16_t sm_lid);
/* It may be gone. */
void subscription_doubt(struct subscription *subscription);
/* Time to ask the SM; it is asked. */
bool subscription_asks(struct subscription *subscription, uint64_t now_ms);
/* The SM has answered (@granted), or did not in time. */
void subscription_answered(struct subscription *subscription, bool granted, uint64_t now_ms);
/* When subscription_asks will say yes; UINT64_MAX: not by time alone. */
uint64_t subscription_next(const struct subscription *subscription);

#endif
