/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/notices/host_signal.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"
#include "notifier/notices/mad_port.h"
#include "notifier/notices/subscription.h"

enum { SAY_AGAIN_MS = 1000 };

struct host_signal {
	struct mad_port *port;
	struct notice_watch watch;
	struct subscription subscription;
	struct event *due;
	uint64_t forged_said; /* of the count, in the log */
	uint64_t say_again_ms;
	const struct host_signal_callbacks *callbacks;
	void *owner;
};

static void pull_send(struct host_signal *signal, uint32_t request, uint64_t sequence)
{
	Tether__Pull pull = TETHER__PULL__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	pull.request = request;
	pull.signal = signal->watch.signal;
	pull.sequence = sequence;
	frame.body_case = TETHER__FRAME__BODY_PULL;
	frame.pull = &pull;
	log_debug("mad", "the root is asked, %" PRIu64 " has been heard of", sequence);
	signal->callbacks->send(signal->owner, &frame);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Whoever forges does not fill the disk. */
static uint64_t forged_next(const struct host_signal *signal)
{
	return signal->watch.counts.forged == signal->forged_said ? UINT64_MAX
	                                                          : signal->say_again_ms;
}

static void forged_log(struct host_signal *signal, uint64_t now)
{
	if (forged_next(signal) > now)
		return;
	signal->forged_said = signal->watch.counts.forged;
	signal->say_again_ms = now + SAY_AGAIN_MS;
	log_warn("mad", "notices are forged: %" PRIu64 " so far", signal->forged_said);
}

static void due_arm(struct host_signal *signal)
{
	timer_set_due(signal->due,
	        sooner(forged_next(signal), sooner(notice_watch_next(&signal->watch),
	                                            subscription_next(&signal->subscription))));
}

/* After anything has happened. */
static void go_on(struct host_signal *signal)
{
	uint64_t now = monotonic_ms(), sequence;
	uint32_t request;

	if (notice_watch_asks(&signal->watch, now, &request, &sequence))
		pull_send(signal, request, sequence);
	if (subscription_asks(&signal->subscription, now))
		mad_port_subscribe(
		        signal->port, signal->subscription.lid, signal->subscription.sm_lid);
	forged_log(signal, now);
	due_arm(signal);
}

static void on_due(evutil_socket_t fd, short what, void *at)
{
	go_on(at);
}

static void report(void *owner, const uint8_t *mad)
{
	struct host_signal *signal = owner;
	struct notice notice;
	int err = notice_report_decode(mad, &notice);

	if (err) {
		/* Who subscribes for itself hears others' notices, too, of the same port. */
		signal->watch.counts.malformed += err == -EBADMSG;
		return;
	}
	if (notice_watch_heard(&signal->watch, &notice) == NOTICE_NEWS)
		log_debug("mad",
		        "migration %" PRIu64 "/%" PRIu64 ": notice %" PRIu64 " of %" PRIu64,
		        notice.migration, notice.epoch, notice.sequence, notice.signal);
	go_on(signal);
}

static void subscribed(void *owner, int status)
{
	struct host_signal *signal = owner;

	subscription_answered(&signal->subscription, !status, monotonic_ms());
	if (!status)
		log_info("mad", "subscribed to the notices for lid %u", signal->subscription.lid);
	else if (status < 0)
		log_warn("mad", "the SM at lid %u does not answer", signal->subscription.sm_lid);
	else
		log_warn("mad", "the SM refuses notices for lid %u: status 0x%04x",
		        signal->subscription.lid, (unsigned)status);
	go_on(signal);
}

static void looked(void *owner, uint16_t lid, uint16_t sm_lid)
{
	struct host_signal *signal = owner;
	bool is_elsewhere = lid && lid != signal->watch.lid;

	/* While it cannot be had, what is missed the root says over the link. */
	if (is_elsewhere)
		signal->watch.lid = lid;
	subscription_port(&signal->subscription, lid, sm_lid);
	if (is_elsewhere)
		signal->callbacks->moved(signal->owner);
	go_on(signal);
}

static const struct mad_port_callbacks port_callbacks = {
        .report = report,
        .subscribed = subscribed,
        .looked = looked,
};

uint16_t host_signal_lid(const struct host_signal *signal)
{
	return signal ? signal->watch.lid : 0;
}

void host_signal_told(struct host_signal *signal, const Tether__Pull *pull)
{
	if (!signal)
		return;
	notice_watch_told(
	        &signal->watch, pull->signal, pull->sequence, pull->request, monotonic_ms());
	if (pull->subscribe)
		subscription_doubt(&signal->subscription);
	go_on(signal);
}

void host_signal_root_lost(struct host_signal *signal)
{
	if (!signal)
		return;
	notice_watch_root_lost(&signal->watch);
	go_on(signal);
}

const struct notice_counts *host_signal_counts(const struct host_signal *signal)
{
	return &signal->watch.counts;
}

struct host_signal *host_signal_create(struct event_base *base, const char *port,
        const struct host_signal_callbacks *callbacks, void *owner)
{
	struct host_signal *signal = calloc(1, sizeof(*signal));

	if (!signal)
		return NULL;
	notice_watch_init(&signal->watch);
	signal->callbacks = callbacks;
	signal->owner = owner;
	errno = ENOMEM;
	signal->due = evtimer_new(base, on_due, signal);
	if (signal->due)
		signal->port = mad_port_create(base, port, &port_callbacks, signal);
	if (signal->port)
		return signal;
	host_signal_destroy(signal);
	return NULL;
}

void host_signal_destroy(struct host_signal *signal)
{
	int err = errno;

	if (!signal)
		return;
	mad_port_destroy(signal->port);
	if (signal->due)
		event_free(signal->due);
	free(signal);
	errno = err;
}
