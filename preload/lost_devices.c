/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/lost_devices.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "preload/agent_link.h"
#include "preload/async_events.h"
#include "preload/control.h"
#include "preload/device.h"
#include "preload/lost_peers.h"
#include "preload/rebuild.h"
#include "preload/settings.h"
#include "preload/steps.h"

/* A device that is on its way out says something else first, and answers for a moment longer. */
enum { ASKED_TIMES = 20, ASKED_EVERY_MS = 100, GONE_AFTER = 3 };

static struct {
	int fd;            /* epoll: of all devices, by edge, since the application may not read */
	bool is_due;       /* atomic: one is gone, or is to be asked */
	uint64_t asked_ms; /* the next is asked; 0: nobody */
} watch = {.fd = -1};

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
	watch.is_due = false;
	watch.asked_ms = 0;
}

void lost_device_opens(struct context *context)
{
	struct epoll_event wanted = {.events = EPOLLIN | EPOLLET};

	__atomic_store_n(&context->asks_left, 0, __ATOMIC_RELAXED);
	context->unanswered = 0;
	if (watch.fd >= 0 && epoll_ctl(watch.fd, EPOLL_CTL_ADD, context->real->async_fd, &wanted))
		log_warn("device", "its loss is not noticed: error %d", errno);
}

void lost_device_closes(struct context *context)
{
	if (watch.fd >= 0 && !context->inherited)
		epoll_ctl(watch.fd, EPOLL_CTL_DEL, context->real->async_fd, NULL);
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

static void suspect(struct context *context)
{
	__atomic_store_n(&context->asks_left, ASKED_TIMES, __ATOMIC_RELAXED);
	lost_devices_look_soon();
}

bool lost_device_is_behind(struct context *context, int err)
{
	if (watch.fd < 0 || context->inherited || !is_of_a_device_that_is_gone(err))
		return false;
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

static void ask(struct context *context, uint64_t now_ms)
{
	struct ibv_port_attr attr;
	int err = ___ibv_query_port(context->real, 1, &attr);

	__atomic_fetch_sub(&context->asks_left, 1, __ATOMIC_RELAXED);
	context->ask_ms = now_ms + ASKED_EVERY_MS;
	context->unanswered = is_of_a_device_that_is_gone(err) ? context->unanswered + 1 : 0;
	if (context->unanswered >= GONE_AFTER)
		__atomic_store_n(&context->is_gone, true, __ATOMIC_RELAXED);
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

static void be_due_at(uint64_t at_ms)
{
	if (at_ms && (!watch.asked_ms || at_ms < watch.asked_ms))
		watch.asked_ms = at_ms;
}

static bool is_asked(const struct context *context)
{
	return __atomic_load_n(&context->asks_left, __ATOMIC_RELAXED);
}

static void look_at_device(struct context *context, uint64_t now_ms)
{
	async_events_look(context);
	if (is_asked(context) && !context->is_gone && now_ms >= context->ask_ms)
		ask(context, now_ms);
	if (context->is_gone && settings()->unplanned_ms)
		await_another(context, now_ms);
	else if (context->is_gone)
		lose(context);
	else if (is_asked(context))
		be_due_at(context->ask_ms);
}

static void look(struct context *context, uint64_t now_ms)
{
	if (context->real && context->phase != PHASE_LOST)
		look_at_device(context, now_ms);
	if (context->awaits_device && now_ms >= context->awaits_until_ms)
		lose(context);
	if (context->awaits_device)
		be_due_at(now_ms < context->awaits_until_ms ? context->awaits_until_ms
		                                            : now_ms + ASKED_EVERY_MS);
	be_due_at(lost_peers_look(context, now_ms));
}

/* Edges say that there is something, not of whom: those who could tell may have been closed. */
static bool has_heard(void)
{
	struct epoll_event some[16];

	return watch.fd >= 0 && epoll_wait(watch.fd, some, 16, 0) > 0;
}

int64_t lost_devices_tick(uint64_t now_ms)
{
	struct context *context;
	bool due = has_heard();

	due |= __atomic_exchange_n(&watch.is_due, false, __ATOMIC_ACQUIRE);
	due |= watch.asked_ms && now_ms >= watch.asked_ms;
	if (due) {
		watch.asked_ms = 0;
		control_exclusive_begin();
		TAILQ_FOREACH(context, &contexts, link)
		look(context, now_ms);
		control_exclusive_end();
	}
	if (!watch.asked_ms)
		return -1;
	return watch.asked_ms > now_ms ? (int64_t)(watch.asked_ms - now_ms) : 0;
}
