/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * An SM's end without relays, for comparison: a message for each VM, and an answer from each. Over
 * a server's link they go one after the other, each in a write of its own (what is said in one turn
 * of the loop would leave in one); where each VM has its own link, all in one turn. Everything that
 * costs time is tether-smd's: links, frames, the tally.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/link/connection.h"
#include "notifier/link/listener.h"
#include "notifier/relay/tally.h"
#include "tests/bench/signalling_teller.h"

enum { TURNS_MOST = 1024 }; /* VMs of a server, so that each has a sequence of its own */

struct link {
	struct link *next;
	struct teller *teller;
	struct connection *connection;
	char **vms; /* who is told over it */
	size_t vms_count;
	bool is_vm; /* it is the VM itself that answers */
};

struct teller {
	struct event_base *base;
	struct listener *listener;
	uint64_t epoch;
	struct connection_settings settings;
	struct event *turning;
	struct link *links;
	const struct teller_callbacks *callbacks;
	void *owner;

	const Tether__Event *event; /* being told; the caller's */
	size_t turn;
	bool telling; /* not all have been told */
	struct tally *tally;
};

static void names_free(struct link *link)
{
	for (size_t i = 0; i < link->vms_count; i++)
		free(link->vms[i]);
	free(link->vms);
}

static void link_destroy(struct link *link)
{
	struct link **at = &link->teller->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	connection_destroy(link->connection);
	names_free(link);
	free(link);
}

static void settle(struct teller *teller)
{
	struct tally *tally = teller->tally;
	const Tether__Answer *answer;

	if (!tally || teller->telling || !tally_complete(tally))
		return;
	teller->tally = NULL;
	answer = tally_finish(tally);
	if (answer)
		teller->callbacks->answered(teller->owner, answer);
	tally_destroy(tally);
}

/* ---- telling ---- */

static void vm_tell(struct link *link, size_t turn)
{
	struct teller *teller = link->teller;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Event event = *teller->event;

	event.migration = event.migration * TURNS_MOST + turn;
	event.sequence = event.sequence * TURNS_MOST + turn;
	event.vm = link->vms[turn];
	event.to_vm = true;
	event.to_peers = false;
	event.n_expected = 0; /* who is to answer is said by whom it is told */
	frame.body_case = TETHER__FRAME__BODY_EVENT;
	frame.event = &event;
	if (!tally_hand(teller->tally, link->vms[turn]))
		connection_send(link->connection, &frame);
}

static void turn_due(evutil_socket_t unused, short what, void *context)
{
	static const struct timeval now;
	struct teller *teller = context;
	bool more = false;

	for (struct link *link = teller->links; link; link = link->next) {
		if (teller->turn < link->vms_count)
			vm_tell(link, teller->turn);
		more |= teller->turn + 1 < link->vms_count;
	}
	teller->turn++;
	teller->telling = more;
	if (more)
		evtimer_add(teller->turning, &now);
	else
		settle(teller);
}

static int tell_each_vm(struct teller *teller, const Tether__Event *event)
{
	struct event_key key = {event->migration, event->epoch, event->step, event->sequence};

	if (teller->tally)
		return -EBUSY;
	teller->tally = tally_create(&key, "", NULL);
	if (!teller->tally)
		return -ENOMEM;
	teller->event = event;
	teller->turn = 0;
	turn_due(-1, 0, teller);
	return 0;
}

static void answer_take(struct link *link, const Tether__Answer *answer)
{
	struct teller *teller = link->teller;
	size_t turn = answer->sequence % TURNS_MOST;

	teller_counts.answers++;
	if (!teller->tally || turn >= link->vms_count)
		return;
	tally_take(teller->tally, link->vms[turn], link->vms[turn], link->is_vm, answer);
	settle(teller);
}

/* ---- links ---- */

static int vms_take(struct link *link, const Tether__Hello *hello)
{
	size_t count = hello->role == TETHER__ROLE__ROLE_HOST ? hello->n_vms : 1;

	link->is_vm = hello->role != TETHER__ROLE__ROLE_HOST;
	link->vms = calloc(count + 1, sizeof(*link->vms));
	if (!link->vms || count > TURNS_MOST)
		return -ENOMEM;
	for (; link->vms_count < count; link->vms_count++) {
		const char *name = link->is_vm ? hello->name : hello->vms[link->vms_count]->name;

		link->vms[link->vms_count] = strdup(name);
		if (!link->vms[link->vms_count])
			return -ENOMEM;
	}
	return 0;
}

static void hello_take(struct link *link, const Tether__Hello *hello)
{
	struct teller *teller = link->teller;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__HelloAnswer answer = TETHER__HELLO_ANSWER__INIT;

	if (link->vms || vms_take(link, hello)) {
		connection_finish(link->connection, "its HELLO is not taken");
		return;
	}
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	answer.epoch = teller->epoch;
	answer.name = "flat";
	answer.heartbeat_ms = teller->settings.heartbeat_ms;
	frame.body_case = TETHER__FRAME__BODY_HELLO_ANSWER;
	frame.hello_answer = &answer;
	connection_send(link->connection, &frame);
	teller->callbacks->up(teller->owner);
}

static void interest_answer(struct link *link, const Tether__Interest *interest)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__InterestAnswer answer = TETHER__INTEREST_ANSWER__INIT;

	answer.request = interest->request;
	answer.outcome = TETHER__OUTCOME__OUTCOME_DONE;
	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = &answer;
	connection_send(link->connection, &frame);
}

static void link_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct link *link = owner;

	switch (frame->body_case) {
	case TETHER__FRAME__BODY_HELLO:
		hello_take(link, frame->hello);
		break;
	case TETHER__FRAME__BODY_INTEREST:
		interest_answer(link, frame->interest);
		break;
	case TETHER__FRAME__BODY_ANSWER:
		answer_take(link, frame->answer);
		break;
	default:
		break;
	}
}

static void link_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	link_destroy(owner);
}

static const struct connection_callbacks connection_callbacks = {
        .frame = link_frame,
        .closed = link_closed,
};

static void accepted(struct channel *channel, void *owner)
{
	struct teller *teller = owner;
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		channel->ops->close(channel);
		return;
	}
	link->teller = teller;
	link->next = teller->links;
	teller->links = link;
	link->connection = connection_accept(
	        teller->base, channel, &teller->settings, &connection_callbacks, link);
	if (!link->connection)
		link_destroy(link);
}

/* ---- its life ---- */

static void flat_end(struct teller *teller)
{
	while (teller->links)
		link_destroy(teller->links);
	tally_destroy(teller->tally);
	if (teller->turning)
		event_free(teller->turning);
	listener_destroy(teller->listener);
	free(teller);
}

static struct teller *flat_begin(struct event_base *base, const char *address,
        struct credentials *credentials, const struct deadlines *deadlines, uint64_t epoch,
        const struct teller_callbacks *callbacks, void *owner)
{
	struct teller *teller = calloc(1, sizeof(*teller));
	int err;

	if (!teller)
		return NULL;
	teller->base = base;
	teller->epoch = epoch;
	teller->settings = connection_settings_default;
	teller->settings.heartbeat_ms = deadlines->heartbeat_ms;
	teller->callbacks = callbacks;
	teller->owner = owner;
	teller->turning = evtimer_new(base, turn_due, teller);
	err = teller->turning ? listener_create(base, address, credentials, accepted, teller,
	                                &teller->listener)
	                      : -ENOMEM;
	if (!err)
		return teller;
	flat_end(teller);
	errno = -err;
	return NULL;
}

const struct teller_ops teller_flat_ops = {
        .name = "flat",
        .create = flat_begin,
        .destroy = flat_end,
        .tell = tell_each_vm,
};
