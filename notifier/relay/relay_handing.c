/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { OF_CHILD_FIRST = 16 };

/* Is the process @name (connected or not) below this relay? */
static bool is_below(const struct relay *relay, const char *name)
{
	/* An agent between is asked for those alone whom its parent has heard of behind it. */
	if (relay->settings.role == TETHER__ROLE__ROLE_ROOT ||
	        relay->settings.role == TETHER__ROLE__ROLE_RELAY)
		return true;
	for (const struct vm_state *vm = relay->vms; vm; vm = vm->next)
		if (vm->is_here && name_is_of_vm(name, vm->name))
			return true;
	return false;
}

static int of_child_add(struct open_event *open, const char *name)
{
	size_t room = open->of_child.room ? 2 * open->of_child.room : OF_CHILD_FIRST;
	char **grown;

	if (open->of_child.count == open->of_child.room) {
		grown = realloc(open->of_child.names, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		open->of_child.names = grown;
		open->of_child.room = room;
	}
	open->of_child.names[open->of_child.count++] = (char *)name;
	return 0;
}

/* Of @vm's, or the one that is called @only. */
static int expected_of_vm(struct open_event *open, const struct name *vm, const char *only)
{
	uint32_t at = tally_named_of(open->tally, vm);
	int err = 0;

	for (; at && !err; at = tally_named_next(open->tally, at)) {
		const char *name = tally_named(open->tally, at);

		if (!only || !strcmp(only, name))
			err = of_child_add(open, name);
	}
	return err;
}

/* Into open->of_child. -ENOMEM */
static int expected_of_child(struct open_event *open, const struct child *child)
{
	int err = 0;

	open->of_child.count = 0;
	if (child->vm) {
		struct name vm = name_whole(child->vm);

		return expected_of_vm(open, &vm, child_is_process(child) ? child->name : NULL);
	}
	if (!tally_named_count(open->tally))
		return 0;
	for (struct host_behind *host = child->hosts; host; host = host->next)
		for (size_t i = 0; i < host->vms.count && !err; i++)
			if (host_may_have(host, host->vms.names[i].text))
				err = expected_of_vm(open, &host->vms.names[i], NULL);
	return err;
}

static bool vm_concerns(const struct child *child, const Tether__Event *event)
{
	return event->to_vm && child_has_vm(child, event->vm);
}

static bool is_of_interest(const struct relay *relay, uint32_t member, const Tether__Address *wire)
{
	struct address address;

	return !address_decode(wire, &address) &&
	       registration_holds(relay->registration, member, &address);
}

/* Under Shared Port others know the VM under LIDs that it had, too, and hear its datagrams from the
 * one that it has next. With several VFs it has several. */
static bool is_known_to(const struct relay *relay, uint32_t member, const Tether__Event *event)
{
	struct address known = {0};

	if (is_of_interest(relay, member, event->address) ||
	        (event->shared_port && is_of_interest(relay, member, event->new_address)))
		return true;
	for (size_t i = 0; i < event->n_known_lids; i++) {
		known.lid = event->known_lids[i];
		if (registration_holds(relay->registration, member, &known))
			return true;
	}
	return false;
}

/* By those behind it that are not back yet; news wait until they are. */
static bool was_known_to(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	return child->member_before && !step_is_news(event->step) &&
	       is_known_to(relay, child->member_before, event);
}

static bool has_vm_away(const struct child *child, const char *vm)
{
	const struct host_behind *host = child->hosts;

	while (host && !(host->away_ms && host_says_vm(host, vm)))
		host = host->next;
	return host;
}

bool relay_is_known_to(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	return is_known_to(relay, child->member, event) || was_known_to(relay, child, event);
}

/* Nobody names the processes of a first step: it is asked when it knows them again. */
static bool is_to_return_first(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	if (!child->is_returning || event->n_expected)
		return false;
	return (event->to_peers && was_known_to(relay, child, event)) ||
	       (event->to_vm && has_vm_away(child, event->vm));
}

static bool peers_concern(
        const struct relay *relay, const struct child *child, const Tether__Event *event)
{
	if (step_is_news(event->step) && child_is_process(child))
		return false;
	return event->to_peers && !(child->vm && !strcmp(child->vm, event->vm)) &&
	       relay_is_known_to(relay, child, event) && relay_may_hear(relay, child, event);
}

/* Of news the root says itself for whom they are. */
static bool is_for(const struct child *child, const struct open_event *open)
{
	return !step_is_news(open->event->step) || !open->event->n_expected ||
	       tally_knows(open->tally, child->name);
}

static bool order_concerns(const struct child *child, const Tether__Event *event)
{
	return event->order && hosts_find(child->hosts, event->order->host);
}

static bool is_concerned(
        const struct relay *relay, const struct child *child, struct open_event *open)
{
	if (vm_concerns(child, open->event) ||
	        (peers_concern(relay, child, open->event) && is_for(child, open)) ||
	        order_concerns(child, open->event))
		return true;
	return expected_of_child(open, child) || open->of_child.count;
}

static uint32_t left_ms(uint64_t until_ms, uint64_t now_ms)
{
	return until_ms > now_ms ? until_ms - now_ms : 1;
}

/* The copy for @child says only what is meant for it. */
static void child_event_send(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms)
{
	Tether__Event event = *open->event;
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (expected_of_child(open, child))
		return; /* it will be missing in the answer */
	event.n_expected = open->of_child.count;
	event.expected = open->of_child.names;
	event.to_vm = vm_concerns(child, open->event);
	event.to_peers = peers_concern(relay, child, open->event);
	event.order = order_concerns(child, open->event) ? open->event->order : NULL;
	event.deadline_ms = left_ms(open->children_ms, now_ms);
	if (open->overall_ms)
		event.overall_ms = left_ms(open->overall_ms, now_ms);
	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &event;
	relay_child_say(relay, child, &frame);
}

void relay_event_hand(
        struct relay *relay, const struct child *child, struct open_event *open, uint64_t now_ms)
{
	if (!child_is_ready(child) || is_to_return_first(relay, child, open->event)) {
		tally_expect(open->tally, child->name);
		return;
	}
	if (relay_needs_refuse(relay, child, open))
		return;
	if (relay_waits_for(child, open->event) ? tally_hand(open->tally, child->name)
	                                        : tally_pass_over(open->tally, child->name))
		return;
	child_event_send(relay, child, open, now_ms);
	if (order_concerns(child, open->event) && strcmp(child->name, open->event->order->host))
		tally_forget(open->tally, open->event->order->host); /* @child answers for it */
}

void relay_events_hand(struct relay *relay, const struct child *child, bool again, uint64_t now_ms)
{
	for (struct open_event *open = relay->open; open; open = open->next) {
		if (tally_has_answered(open->tally, child->name))
			continue;
		if (!is_concerned(relay, child, open)) {
			/* It was started again, and does not know yet who is behind it. */
			if (again && step_is_news(open->event->step))
				tally_take_back(open->tally, child->name);
			continue;
		}
		if (again || !tally_awaits(open->tally, child->name))
			relay_event_hand(relay, child, open, now_ms);
	}
}

void relay_news_hand(struct relay *relay, const struct child *child, uint64_t now_ms)
{
	for (struct open_event *open = relay->open; open; open = open->next)
		if (step_is_news(open->event->step) && tally_expects(open->tally, child->name) &&
		        is_concerned(relay, child, open))
			relay_event_hand(relay, child, open, now_ms);
}

void relay_concerned_each(const struct relay *relay, const Tether__Event *event,
        void (*each)(void *context, const char *name), void *context)
{
	for (const struct child *child = relay->children.first; child; child = child->next)
		if (child->name && peers_concern(relay, child, event))
			each(context, child->name);
}

void relay_hand_out(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	const Tether__Event *event = open->event;

	for (uint32_t at = 1; at <= tally_named_count(open->tally); at++) {
		const char *name = tally_named(open->tally, at);

		if (!is_below(relay, name))
			continue;
		tally_expect_named(open->tally, at);
		if (relay_has_ended(relay, name))
			tally_end(open->tally, name);
	}
	if (event->order && relay->settings.role == TETHER__ROLE__ROLE_RELAY)
		tally_expect(open->tally, event->order->host);
	for (struct child *child = relay->children.first; child; child = child->next)
		if (child->name && is_concerned(relay, child, open))
			relay_event_hand(relay, child, open, now_ms);
}

int relay_tell_host(struct relay *relay, const char *host, const Tether__Event *event)
{
	struct child *child = children_by_host(&relay->children, host, NULL);
	Tether__Event copy = *event;
	Tether__Frame frame = TETHER__FRAME__INIT;

	if (!child)
		child = children_by_name(&relay->children, host);
	if (!child || !child->connected)
		return -ENOTCONN;
	/* It leaves whoever says less than it has seen. */
	if (!relay_epoch_raise(relay, event->epoch))
		return -EIO;
	copy.host = (char *)(strcmp(child->name, host) ? host : "");
	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &copy;
	relay_child_say(relay, child, &frame);
	return 0;
}

bool relay_order_is_ours(const struct relay *relay, const Tether__Event *event)
{
	return event->order && relay->outputs->order && !strcmp(event->order->host, relay->name);
}

void relay_order_start(struct relay *relay, struct open_event *open, uint64_t now_ms)
{
	Tether__Event event = *open->event;

	if (!relay_order_is_ours(relay, &event) || tally_hand(open->tally, relay->name))
		return;
	event.deadline_ms = left_ms(open->children_ms, now_ms);
	relay->outputs->order(relay->owner, &event);
}
