/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root_signal.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/deadlines.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"
#include "notifier/relay/relay.h"
#include "sm-side/root/outbox.h"
#include "sm-side/root/reporter.h"

/* A host that hears notices, by the link that it had last. */
struct hearer {
	struct hearer *next;
	uint32_t child;
	uint16_t lid;
	struct outbox_host *outbox;
	uint64_t say_again_ms;
	char name[];
};

enum { SAY_AGAIN_MS = 1000 };

struct root_signal {
	uint64_t number;
	unsigned notice_ms;
	struct hearer *hearers;
	void *by_name;                             /* the same; tsearch(3) */
	struct hearer *by_slot[RELAY_CHILD_SLOTS]; /* those that are here */
	struct outbox *outbox;
	struct reporter *reporter;
	struct event *due;
	void (*send)(void *owner, uint32_t child, const Tether__Frame *frame);
	void *owner;
};

static struct hearer *hearer_of(const struct root_signal *signal, uint32_t child)
{
	struct hearer *hearer = signal ? signal->by_slot[relay_child_slot(child)] : NULL;

	return hearer && hearer->child == child ? hearer : NULL;
}

/* @child 0: by none. */
static void heard_by(struct root_signal *signal, struct hearer *hearer, uint32_t child)
{
	if (hearer_of(signal, hearer->child) == hearer)
		signal->by_slot[relay_child_slot(hearer->child)] = NULL;
	hearer->child = child;
	if (child)
		signal->by_slot[relay_child_slot(child)] = hearer;
}

static void due_arm(struct root_signal *signal)
{
	timer_set_due(signal->due, outbox_next(signal->outbox));
}

static void pull_send(
        struct root_signal *signal, const struct hearer *hearer, uint32_t request, bool subscribe)
{
	Tether__Pull pull = TETHER__PULL__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	pull.request = request;
	pull.signal = signal->number;
	pull.sequence = outbox_sequence(hearer->outbox);
	pull.subscribe = subscribe;
	frame.body_case = TETHER__FRAME__BODY_PULL;
	frame.pull = &pull;
	signal->send(signal->owner, hearer->child, &frame);
}

static void hint_send(struct root_signal *signal, const struct outbox_host *host)
{
	const struct hearer *hearer = signal->hearers;

	while (hearer && hearer->outbox != host)
		hearer = hearer->next;
	if (hearer)
		pull_send(signal, hearer, 0, false);
}

static void hints_due(evutil_socket_t unused, short what, void *context)
{
	struct root_signal *signal = context;
	struct outbox_host *host;

	while ((host = outbox_overdue(signal->outbox, monotonic_ms(), signal->notice_ms)))
		hint_send(signal, host);
	due_arm(signal);
}

/* ---- what the SM says ---- */

static void sm_is_up(void *owner)
{
	struct root_signal *signal = owner;

	for (const struct hearer *hearer = signal->hearers; hearer; hearer = hearer->next)
		pull_send(signal, hearer, 0, true);
}

static void unheard(void *owner, uint16_t lid)
{
	struct root_signal *signal = owner;

	for (const struct hearer *hearer = signal->hearers; hearer; hearer = hearer->next)
		if (hearer->lid == lid)
			pull_send(signal, hearer, 0, true);
}

static const struct reporter_callbacks reporter_callbacks = {
        .up = sm_is_up,
        .unheard = unheard,
};

/* ---- hosts ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct hearer *hearer_by_name(const struct root_signal *signal, const char *name)
{
	char **found = tfind(name, &signal->by_name, by_name);

	return found ? (void *)(*found - offsetof(struct hearer, name)) : NULL;
}

static struct hearer *hearer_make(struct root_signal *signal, const char *name)
{
	struct hearer *hearer = hearer_by_name(signal, name);

	if (hearer)
		return hearer;
	hearer = calloc(1, sizeof(*hearer) + strlen(name) + 1);
	if (!hearer)
		return NULL;
	strcpy(hearer->name, name);
	if (tsearch(hearer->name, &signal->by_name, by_name))
		hearer->outbox = outbox_host_add(signal->outbox);
	if (!hearer->outbox) {
		tdelete(hearer->name, &signal->by_name, by_name);
		free(hearer);
		return NULL;
	}
	hearer->next = signal->hearers;
	signal->hearers = hearer;
	return hearer;
}

void root_signal_hello(struct root_signal *signal, uint32_t child, const Tether__Hello *hello)
{
	bool hears = hello->signal_lid && hello->signal_lid <= UINT16_MAX &&
	             hello->role == TETHER__ROLE__ROLE_HOST;
	struct hearer *hearer;

	if (!signal)
		return;
	hearer = hears ? hearer_make(signal, hello->name) : hearer_by_name(signal, hello->name);
	if (hears && !hearer)
		log_error("root", "no memory for notices to %s", hello->name);
	if (!hearer)
		return;
	/* The relay hands it what is open anew. */
	outbox_empty(hearer->outbox);
	heard_by(signal, hearer, hears ? child : 0);
	hearer->lid = hears ? (uint16_t)hello->signal_lid : 0;
}

static void waiting_send(struct root_signal *signal, const struct hearer *hearer)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Event *event;

	frame.body_case = TETHER__FRAME__BODY_EVENT;
	while ((event = outbox_take(hearer->outbox, monotonic_ms()))) {
		frame.event = event;
		signal->send(signal->owner, hearer->child, &frame);
		tether__event__free_unpacked(event, NULL);
	}
}

static int put(struct root_signal *signal, const struct hearer *hearer, const Tether__Event *event)
{
	struct notice notice = {.lid = hearer->lid,
	        .signal = signal->number,
	        .migration = event->migration,
	        .epoch = event->epoch};
	uint64_t now = monotonic_ms();
	int err = outbox_put(hearer->outbox, event, now, now + signal->notice_ms, &notice.sequence);

	if (err)
		return err;
	log_debug("root",
	        "migration %" PRIu64 "/%" PRIu64 ": host %s is told of it by notice %" PRIu64,
	        event->migration, event->epoch, hearer->name, notice.sequence);
	reporter_tell(signal->reporter, &notice);
	/* It is for who has waited longest, and all wait equally long. */
	if (!evtimer_pending(signal->due, NULL))
		due_arm(signal);
	return 0;
}

bool root_signal_takes(struct root_signal *signal, uint32_t child, const Tether__Frame *frame)
{
	const struct hearer *hearer = hearer_of(signal, child);

	if (!hearer)
		return false;
	if (frame->body_case == TETHER__FRAME__BODY_EVENT && !frame->event->order &&
	        !put(signal, hearer, frame->event))
		return true;
	waiting_send(signal, hearer);
	return false;
}

void root_signal_sent(struct root_signal *signal, uint32_t child, const Tether__Frame *frame)
{
	const struct hearer *hearer = hearer_of(signal, child);

	/* It has been welcomed: so it knows how far the numbers are. */
	if (hearer && frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER &&
	        frame->hello_answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		pull_send(signal, hearer, 0, false);
}

/* Whoever claims it again and again does not fill the disk. */
static bool may_say(struct hearer *hearer, uint64_t now)
{
	if (now < hearer->say_again_ms)
		return false;
	hearer->say_again_ms = now + SAY_AGAIN_MS;
	return true;
}

/* Nobody here has said so: somebody else sends notices. */
static bool is_forged(
        const struct root_signal *signal, const struct hearer *hearer, const Tether__Pull *pull)
{
	return pull->signal == signal->number && pull->sequence > outbox_sequence(hearer->outbox);
}

static void pull_answer(struct root_signal *signal, struct hearer *hearer, const Tether__Pull *pull)
{
	if (is_forged(signal, hearer, pull) && may_say(hearer, monotonic_ms()))
		log_warn("root",
		        "host %s was told of number %" PRIu64 ", and %" PRIu64
		        " are given: forged notices",
		        hearer->name, pull->sequence, outbox_sequence(hearer->outbox));
	waiting_send(signal, hearer);
	pull_send(signal, hearer, pull->request, false);
}

bool root_signal_frame(
        struct root_signal *signal, uint32_t child, const Tether__Frame *frame, bool *forged)
{
	struct hearer *hearer = hearer_of(signal, child);

	if (!hearer || frame->body_case != TETHER__FRAME__BODY_PULL)
		return false;
	*forged = is_forged(signal, hearer, frame->pull);
	pull_answer(signal, hearer, frame->pull);
	return true;
}

/* ---- making and ending ---- */

struct root_signal *root_signal_create(struct event_base *base,
        const struct root_signal_settings *settings,
        void (*send)(void *owner, uint32_t child, const Tether__Frame *frame), void *owner)
{
	struct root_signal *signal = calloc(1, sizeof(*signal));

	if (!signal)
		return NULL;
	signal->number = settings->number;
	signal->notice_ms = settings->notice_ms;
	signal->send = send;
	signal->owner = owner;
	errno = ENOMEM;
	signal->outbox = outbox_create();
	signal->due = evtimer_new(base, hints_due, signal);
	if (signal->outbox && signal->due)
		signal->reporter = reporter_create(
		        base, settings->sm_socket, settings->retry_ms, &reporter_callbacks, signal);
	if (signal->reporter)
		return signal;
	root_signal_destroy(signal);
	return NULL;
}

void root_signal_deadlines_set(struct root_signal *signal, const struct deadlines *deadlines)
{
	if (!signal)
		return;
	signal->notice_ms = deadlines->notice_ms;
	reporter_retry_set(signal->reporter, deadlines->reconnect_link_ms);
}

void root_signal_destroy(struct root_signal *signal)
{
	if (!signal)
		return;
	reporter_destroy(signal->reporter);
	while (signal->hearers) {
		struct hearer *hearer = signal->hearers;

		signal->hearers = hearer->next;
		tdelete(hearer->name, &signal->by_name, by_name);
		free(hearer);
	}
	outbox_destroy(signal->outbox);
	if (signal->due)
		event_free(signal->due);
	free(signal);
}
