/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/lost_devices.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/agent_link.h"
#include "preload/async_events.h"
#include "preload/control.h"
#include "preload/device.h"
#include "preload/doubted_errors.h"
#include "preload/lost_peers.h"
#include "preload/rebuild.h"
#include "preload/refused_work.h"
#include "preload/settings.h"
#include "preload/steps.h"

/*
 * A device that is on its way out says something else first, and answers for a moment longer. What
 * its loss ends does not come back, so a shorter silence is none.
 */
enum { ASKED_TIMES = 20, ASKED_EVERY_MS = 100, GONE_AFTER = 20 };

static struct {
	int fd;             /* epoll: of all devices, by edge, since the application may not read */
	bool is_due;        /* atomic: one is gone, or a peer is missed */
	bool asks;          /* atomic: one is to be asked */
	uint64_t looked_ms; /* the next of those is due; 0: nobody */
	uint64_t asked_ms;  /* the next is asked; 0: nobody */
	pthread_mutex_t asking; /* while one is, outside of the control section: it is not closed */
} watch = {.fd = -1, .asking = PTHREAD_MUTEX_INITIALIZER};

int lost_devices_begin(void)
{
	if (watch.fd < 0)
		watch.fd = epoll_create1(EPOLL_CLOEXEC);
	return watch.fd < 0 ? -errno : 0;
}

int lost_devices_fd(void)
{
	return watch.fd;
}

/* The parent's instance is closed here, and nothing is taken out of it. */
void lost_devices_forget(void)
{
	if (watch.fd >= 0)
		close(watch.fd);
	watch.fd = -1;
	watch.is_due = watch.asks = false;
	watch.looked_ms = watch.asked_ms = 0;
	pthread_mutex_init(&watch.asking, NULL);
}

void lost_device_opens(struct context *context)
{
	struct epoll_event wanted = {.events = EPOLLIN | EPOLLET};

	__atomic_store_n(&context->suspected, false, __ATOMIC_RELAXED);
	__atomic_store_n(&context->has_refused, false, __ATOMIC_RELAXED);
	context->asked_until = __atomic_load_n(&context->answers, __ATOMIC_RELAXED);
	context->unanswered = 0;
	if (watch.fd >= 0 && epoll_ctl(watch.fd, EPOLL_CTL_ADD, context->real->async_fd, &wanted))
		log_warn("device", "its loss is not noticed: error %d", errno);
}

void lost_device_closes(struct context *context)
{
	if (watch.fd >= 0 && !context->inherited) {
		epoll_ctl(watch.fd, EPOLL_CTL_DEL, context->real->async_fd, NULL);
		/* It may be being asked. */
		pthread_mutex_lock(&watch.asking);
		pthread_mutex_unlock(&watch.asking);
	}
	__atomic_store_n(&context->is_gone, false, __ATOMIC_RELAXED);
}

bool lost_devices_are_watched(void)
{
	return watch.fd >= 0;
}

void lost_devices_look_soon(void)
{
	if (!__atomic_exchange_n(&watch.is_due, true, __ATOMIC_RELEASE))
		agent_link_wake();
}

static bool is_of_a_device_that_is_gone(int err)
{
	return err == EIO || err == ENODEV || err == ENXIO;
}

/* It is asked at least as often as is said here. */
static unsigned suspect(struct context *context)
{
	unsigned until = __atomic_load_n(&context->answers, __ATOMIC_RELAXED) + ASKED_TIMES;

	__atomic_store_n(&context->suspected, true, __ATOMIC_RELEASE);
	if (!__atomic_exchange_n(&watch.asks, true, __ATOMIC_RELEASE))
		agent_link_wake();
	return until;
}

unsigned lost_device_is_doubted(struct context *context)
{
	unsigned until = suspect(context);

	/* What else it refuses meanwhile is given again with that. */
	if (!__atomic_load_n(&context->has_refused, __ATOMIC_RELAXED))
		__atomic_store_n(&context->refused_until, until, __ATOMIC_RELAXED);
	__atomic_store_n(&context->has_refused, true, __ATOMIC_RELEASE);
	return until;
}

bool lost_device_has_answered(const struct context *context, unsigned times)
{
	unsigned answers = __atomic_load_n(&context->answers, __ATOMIC_RELAXED);

	return !__atomic_load_n(&context->is_gone, __ATOMIC_RELAXED) && (int)(answers - times) >= 0;
}

bool lost_device_is_behind(struct context *context, int err)
{
	if (watch.fd < 0 || context->inherited || !is_of_a_device_that_is_gone(err))
		return false;
	if (settings()->unplanned_ms)
		lost_device_is_doubted(context);
	else
		suspect(context);
	return settings()->unplanned_ms;
}

bool lost_device_says(struct context *context, enum ibv_event_type type)
{
	if (watch.fd < 0 || context->inherited)
		return false;
	if (type != IBV_EVENT_DEVICE_FATAL) {
		suspect(context);
		return false;
	}
	__atomic_store_n(&context->is_gone, true, __ATOMIC_RELAXED);
	lost_devices_look_soon();
	return true;
}

/* ---- the service thread ---- */

/*
 * Beside any control verb, as an application's thread that reads events: an object whose event is
 * not acknowledged is not destroyed, a context that is in the list is not closed.
 */
static void hear(void)
{
	struct context *context;

	LOCK_GUARD(&contexts_lock);
	TAILQ_FOREACH(context, &contexts, link)
	{
		if (context->real && context->phase != PHASE_LOST)
			async_events_look(context);
	}
}

static void be_due_at(uint64_t *due_ms, uint64_t at_ms)
{
	if (at_ms && (!*due_ms || at_ms < *due_ms))
		*due_ms = at_ms;
}

static bool is_asked(struct context *context)
{
	if (!context->real || context->phase == PHASE_LOST ||
	        __atomic_load_n(&context->is_gone, __ATOMIC_RELAXED))
		return false;
	if (__atomic_exchange_n(&context->suspected, false, __ATOMIC_ACQUIRE))
		context->asked_until = context->answers + ASKED_TIMES;
	return context->asked_until != context->answers;
}

/* It is not closed before it has been asked. */
static struct context *next_to_ask(uint64_t now_ms)
{
	struct context *context;

	LOCK_GUARD(&contexts_lock);
	watch.asked_ms = 0;
	TAILQ_FOREACH(context, &contexts, link)
	{
		if (!is_asked(context))
			continue;
		if (now_ms >= context->ask_ms)
			break;
		be_due_at(&watch.asked_ms, context->ask_ms);
	}
	if (context)
		pthread_mutex_lock(&watch.asking);
	return context;
}

/* Who does not answer is asked on. Each answer may be the last that somebody has waited for. */
static void ask(struct context *context, uint64_t now_ms)
{
	struct ibv_port_attr attr;

	context->ask_ms = now_ms + ASKED_EVERY_MS;
	if (is_of_a_device_that_is_gone(___ibv_query_port(context->real, 1, &attr))) {
		context->unanswered++;
	} else {
		context->unanswered = 0;
		__atomic_add_fetch(&context->answers, 1, __ATOMIC_RELAXED);
		if (settings()->unplanned_ms)
			__atomic_store_n(&watch.is_due, true, __ATOMIC_RELEASE);
	}
	if (context->unanswered >= GONE_AFTER) {
		__atomic_store_n(&context->is_gone, true, __ATOMIC_RELAXED);
		__atomic_store_n(&watch.is_due, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&watch.asking);
}

static void ask_who_is_due(uint64_t now_ms)
{
	struct context *context;

	while ((context = next_to_ask(now_ms)))
		ask(context, now_ms);
}

static void lose(struct context *context)
{
	if (steps_lose_device(context, true))
		return;
	log_error("device", "%s was taken away: all of it ends", context->device->shown.name);
	rebuild_lose(context);
}

/* TETHER_UNPLANNED=reconnect */
static void await_another(struct context *context, uint64_t now_ms)
{
	if (steps_lose_device(context, false))
		return;
	log_warn("device", "%s was taken away: another one is waited for",
	        context->device->shown.name);
	rebuild_await_device(context);
	context->awaits_until_ms = now_ms + settings()->unplanned_ms;
}

static void look_at_lost(struct context *context, uint64_t now_ms)
{
	async_events_look(context);
	if (settings()->unplanned_ms)
		await_another(context, now_ms);
	else
		lose(context);
}

/* Those who ask are answered, and for long enough. */
static bool is_there_after_all(struct context *context)
{
	unsigned until;

	if (!context->real || !__atomic_load_n(&context->has_refused, __ATOMIC_ACQUIRE))
		return false;
	until = __atomic_load_n(&context->refused_until, __ATOMIC_RELAXED);
	return lost_device_has_answered(context, until) &&
	       __atomic_exchange_n(&context->has_refused, false, __ATOMIC_RELAXED);
}

static void look(struct context *context, uint64_t now_ms)
{
	if (context->real && context->is_gone && context->phase != PHASE_LOST)
		look_at_lost(context, now_ms);
	be_due_at(&watch.looked_ms, doubted_errors_look(context, now_ms));
	if (is_there_after_all(context))
		refused_work_give(context);
	if (context->awaits_device && now_ms >= context->awaits_until_ms)
		lose(context);
	if (context->awaits_device)
		be_due_at(&watch.looked_ms, now_ms < context->awaits_until_ms
		                                    ? context->awaits_until_ms
		                                    : now_ms + ASKED_EVERY_MS);
	be_due_at(&watch.looked_ms, lost_peers_look(context, now_ms));
}

/* What ends, or waits, is changed with control verbs kept out. */
static void look_alone(uint64_t now_ms)
{
	struct context *context;

	watch.looked_ms = 0;
	control_exclusive_begin();
	TAILQ_FOREACH(context, &contexts, link)
	look(context, now_ms);
	control_exclusive_end();
}

/* Edges say that there is something, not of whom: those who could tell may have been closed. */
static bool has_heard(void)
{
	struct epoll_event some[16];

	return watch.fd >= 0 && epoll_wait(watch.fd, some, 16, 0) > 0;
}

static bool is_due(bool *flag, uint64_t due_ms, uint64_t now_ms)
{
	return __atomic_exchange_n(flag, false, __ATOMIC_ACQUIRE) || (due_ms && now_ms >= due_ms);
}

int64_t lost_devices_tick(uint64_t now_ms)
{
	uint64_t next_ms;

	if (has_heard())
		hear();
	if (is_due(&watch.asks, watch.asked_ms, now_ms))
		ask_who_is_due(now_ms);
	if (is_due(&watch.is_due, watch.looked_ms, now_ms))
		look_alone(now_ms);
	next_ms = watch.looked_ms;
	be_due_at(&next_ms, watch.asked_ms);
	if (!next_ms)
		return -1;
	return next_ms > now_ms ? (int64_t)(next_ms - now_ms) : 0;
}
