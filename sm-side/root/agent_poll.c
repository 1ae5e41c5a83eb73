/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/agent_poll.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"

struct waiting {
	struct waiting *next;
	agent_poll_told *told;
	void *context;
};

struct agent_poll {
	const struct deadlines *deadlines;
	struct event *over; /* at the round's end, early or late */
	agent_poll_ask *ask;
	void *owner;
	struct agents agents;
	struct waiting *waiting; /* NULL: no round is under way */
	uint32_t request;
};

static void round_over(evutil_socket_t unused, short what, void *context)
{
	struct agent_poll *poll = context;
	struct waiting *waiting = poll->waiting;

	poll->waiting = NULL;
	while (waiting) {
		struct waiting *next = waiting->next;

		waiting->told(waiting->context, &poll->agents);
		free(waiting);
		waiting = next;
	}
}

/* The relay counts what is due. */
static void end_at_once(struct agent_poll *poll)
{
	if (!poll->waiting)
		return;
	evtimer_del(poll->over);
	event_active(poll->over, EV_TIMEOUT, 0);
}

static void round_begin(struct agent_poll *poll)
{
	/* The end of a round that nobody waited for any more. */
	evtimer_del(poll->over);
	agents_round(&poll->agents, monotonic_us());
	timer_set(poll->over, poll->deadlines->report_ms);
	/* 0 is what a relay that has not been asked takes for the latest. */
	if (!++poll->request)
		poll->request++;
	poll->ask(poll->owner, &poll->agents, poll->request);
}

int agent_poll_wait(struct agent_poll *poll, agent_poll_told *told, void *context)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));
	bool first = !poll->waiting;

	if (!waiting)
		return -ENOMEM;
	waiting->told = told;
	waiting->context = context;
	waiting->next = poll->waiting;
	poll->waiting = waiting;
	if (first)
		round_begin(poll);
	return 0;
}

void agent_poll_forget(struct agent_poll *poll, const void *context)
{
	struct waiting **at = &poll->waiting;

	while (*at) {
		struct waiting *waiting = *at;

		if (waiting->context != context) {
			at = &waiting->next;
			continue;
		}
		*at = waiting->next;
		free(waiting);
	}
}

void agent_poll_gone(struct agent_poll *poll, const char *name, Tether__Role role)
{
	agents_gone(&poll->agents, name, role);
}

void agent_poll_take(struct agent_poll *poll, const Tether__Report *report)
{
	if (report->last)
		end_at_once(poll);
	else if (agents_take(&poll->agents, report, monotonic_us()))
		log_error("agents", "no memory for what %s says of itself", report->name);
}

struct agent_poll *agent_poll_create(struct event_base *base, const struct deadlines *deadlines,
        agent_poll_ask *ask, void *owner)
{
	struct agent_poll *poll = calloc(1, sizeof(*poll));

	if (!poll)
		return NULL;
	poll->deadlines = deadlines;
	poll->ask = ask;
	poll->owner = owner;
	poll->over = evtimer_new(base, round_over, poll);
	if (poll->over)
		return poll;
	agent_poll_destroy(poll);
	return NULL;
}

void agent_poll_destroy(struct agent_poll *poll)
{
	if (!poll)
		return;
	while (poll->waiting)
		agent_poll_forget(poll, poll->waiting->context);
	if (poll->over)
		event_free(poll->over);
	agents_clear(&poll->agents);
	free(poll);
}
