/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Events about an object that the application has got, and those that it has acknowledged: it is
 * not freed before they are as many. Under the mutex of the object's public struct, as in
 * libibverbs.
 */
#ifndef TETHER_EVENT_COUNT_H
#define TETHER_EVENT_COUNT_H

#include <pthread.h>
#include <stdint.h>

#include "notifier/base/cleanup.h"

struct event_count {
	pthread_mutex_t *mutex;
	pthread_cond_t *changed;
	uint32_t *acknowledged;
	unsigned *got;
};

static inline void event_got(struct event_count count)
{
	LOCK_GUARD(count.mutex);
	++*count.got;
}

/* It was not the application's after all. */
static inline void event_not_got(struct event_count count)
{
	LOCK_GUARD(count.mutex);
	--*count.got;
	pthread_cond_broadcast(count.changed);
}

static inline void events_acknowledged(struct event_count count, unsigned number)
{
	LOCK_GUARD(count.mutex);
	*count.acknowledged += number;
	pthread_cond_broadcast(count.changed);
}

static inline void events_await(struct event_count count)
{
	LOCK_GUARD(count.mutex);
	while (*count.acknowledged != *count.got)
		pthread_cond_wait(count.changed, count.mutex);
}

#endif
