/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Lines about those who are refused, or come and go: whoever brings them about in any number fills
 * no disk, and hides no line about somebody else. How many were left unsaid is said with the next
 * one, and counted. Any thread, one at a time. All zero to begin with.
 */
#ifndef TETHER_REFUSAL_LOG_H
#define TETHER_REFUSAL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/base/log.h"
#include "notifier/link/rate.h"

enum { REFUSAL_PLACES = 64, REFUSALS_AT_ONCE = 20, REFUSALS_PER_S = 1 };

struct refusal_log {
	unsigned at_once; /* 0: REFUSALS_AT_ONCE */
	/* By the peer's name or address: a few share one. */
	struct {
		struct rate rate;
		uint32_t unsaid; /* since its last line */
	} places[REFUSAL_PLACES];
};

/* False: a line about @peer is to be left unsaid. *@unsaid: so many were since the last. */
bool refusal_may_be_said(
        struct refusal_log *log, const char *peer, uint64_t now_ms, uint32_t *unsaid);

/* A line about @peer (a name, an address), or none. False: it was left unsaid. */
bool refusal_say(struct refusal_log *log, enum log_level level, const char *subsystem,
        const char *peer, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for @links, which have a relay that counts what is left unsaid. */
#define refusal_tell(links, ...)                                                                   \
	do {                                                                                       \
		if (!refusal_say(&(links)->refusals, __VA_ARGS__))                                 \
			relay_line_unsaid((links)->relay);                                         \
	} while (0)

#endif
