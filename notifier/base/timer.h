/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Timers of libevent's that go off once, by milliseconds. In the thread of their event_base. */
#ifndef TETHER_BASE_TIMER_H
#define TETHER_BASE_TIMER_H

#include <event2/event.h>
#include <stdint.h>

#include "notifier/base/monotonic.h"

static inline struct timeval timeval_ms(uint64_t ms)
{
	return (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
}

/* In @ms from now. Not 0: no memory. */
static inline int timer_set(struct event *timer, uint64_t ms)
{
	struct timeval wait = timeval_ms(ms);

	return evtimer_add(timer, &wait);
}

/* When monotonic_ms() is @due_ms, at once where that is over; UINT64_MAX: never. */
static inline void timer_set_due(struct event *timer, uint64_t due_ms)
{
	uint64_t now_ms = monotonic_ms();

	if (due_ms == UINT64_MAX)
		evtimer_del(timer);
	else
		timer_set(timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

#endif
