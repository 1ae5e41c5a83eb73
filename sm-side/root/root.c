/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/link/agent_links.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"
#include "notifier/relay/relay.h"
#include "notifier/wire/message.h"
#include "notifier/wire/rows.h"
#include "sm-side/root/agent_poll.h"
#include "sm-side/root/questions.h"
#include "sm-side/root/root_places.h"
#include "sm-side/root/root_signal.h"
#include "sm-side/root/shared_event.h"

/* What is to be told to the owner, from the loop. */
struct notice {
	struct notice *next;
	enum { NOTICE_ANSWER, NOTICE_UP } kind;
	Tether__Answer *answer; /* in pieces */
	struct message_piece *pieces;
	char *host;
	uint64_t *open;
	size_t open_count;
};

struct root {
	struct event_base *base;
	struct event *ticking, *noticing;
	uint64_t ticks_ms; /* when it goes off; UINT64_MAX: it does not; 0: it is not known */
	struct relay *relay;
	struct agent_links *links;
	struct notice *notices;
	struct inventory inventory;
	struct root_places places;
	struct questions *questions;
	struct agent_poll *agents;
	struct credentials *credentials; /* NULL: no TLS */
	struct root_signal *signal;      /* NULL: signal = stream */
	bool takes_interest; /* what comes up now is what an agent has just said in an Interest */
	const struct root_callbacks *callbacks;
	void *owner;
};

/* After anything that may have changed when the relay, or a question, wants to be called. */
static void tick_arm(struct root *root)
{
	uint64_t now = monotonic_ms(), question = questions_next(root->questions);
	int64_t ms = relay_next_ms(root->relay, now);
	uint64_t at_ms;

	if (question != UINT64_MAX)
		ms = sooner_ms(ms, (int64_t)(question - now));
	at_ms = ms < 0 ? UINT64_MAX : now + (uint64_t)ms;
	if (at_ms == root->ticks_ms)
		return; /* as after each of a thousand answers */
	root->ticks_ms = at_ms;
	if (ms < 0)
		evtimer_del(root->ticking);
	else if (timer_set(root->ticking, (uint64_t)ms))
		root->ticks_ms = 0;
}

static void tick_due(evutil_socket_t unused, short what, void *context)
{
	struct root *root = context;

	root->ticks_ms = 0;
	relay_tick(root->relay, monotonic_ms());
	questions_tick(root->questions, monotonic_ms());
	tick_arm(root);
}

/* ---- telling the owner ---- */

static void notice_free(struct notice *notice)
{
	message_pieces_free(notice->pieces);
	free(notice->host);
	free(notice->open);
	free(notice);
}

static void notice_add(struct root *root, struct notice *notice)
{
	struct notice **end = &root->notices;

	while (*end)
		end = &(*end)->next;
	*end = notice;
	event_active(root->noticing, EV_TIMEOUT, 0);
}

static int notice_fill(struct notice *notice, const char *host, const uint64_t *open, size_t count)
{
	notice->kind = NOTICE_UP;
	notice->host = strdup(host);
	notice->open = calloc(count + 1, sizeof(*notice->open));
	if (!notice->host || !notice->open)
		return -ENOMEM;
	if (count)
		memcpy(notice->open, open, count * sizeof(*notice->open));
	notice->open_count = count;
	return 0;
}

static void notice_up(struct root *root, const char *host, const uint64_t *open, size_t count)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (!notice)
		return;
	if (notice_fill(notice, host, open, count))
		notice_free(notice);
	else
		notice_add(root, notice);
}

static void notices_due(evutil_socket_t unused, short what, void *context)
{
	struct root *root = context;

	while (root->notices) {
		struct notice *notice = root->notices;

		root->notices = notice->next;
		switch (notice->kind) {
		case NOTICE_ANSWER:
			root->callbacks->answer(root->owner, notice->answer);
			break;
		case NOTICE_UP:
			root->callbacks->host_up(
			        root->owner, notice->host, notice->open, notice->open_count);
			break;
		}
		notice_free(notice);
	}
}

/* ---- the relay's outputs ---- */

static void child_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct root *root = owner;

	if (root_signal_takes(root->signal, child, frame))
		return;
	agent_links_send(root->links, child, frame);
	root_signal_sent(root->signal, child, frame);
}

static void child_close(void *owner, uint32_t child, const char *why)
{
	struct root *root = owner;

	agent_links_end(root->links, child, why);
}

static void answer_take(struct root *root, const Tether__Answer *answer)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (notice)
		notice->answer = message_copy_in_pieces(&answer->base, &notice->pieces);
	if (!notice || !notice->answer) {
		/* The step's own timer ends it. */
		log_error("root", "no memory for an answer");
		if (notice)
			notice_free(notice);
		return;
	}
	notice->kind = NOTICE_ANSWER;
	notice_add(root, notice);
}

static const struct address *announced(void *owner, const struct address *address)
{
	struct root *root = owner;

	return relay_announced(root->relay, address);
}

static void question_answered(void *owner, const Tether__InterestAnswer *answer)
{
	struct root *root = owner;
	Tether__Frame frame = TETHER__FRAME__INIT;

	frame.body_case = TETHER__FRAME__BODY_INTEREST_ANSWER;
	frame.interest_answer = (Tether__InterestAnswer *)answer;
	relay_parent_frame(root->relay, &frame, monotonic_ms());
}

static const struct questions_outputs questions_outputs = {
        .announced = announced,
        .answer = question_answered,
};

/* The root is its relay's parent. It acknowledges at once: what has to wait for a migration, the
 * relay holds. */
static void parent_send(void *owner, const Tether__Frame *frame)
{
	struct root *root = owner;

	if (frame->body_case == TETHER__FRAME__BODY_ANSWER)
		answer_take(root, frame->answer);
	else if (frame->body_case == TETHER__FRAME__BODY_INTEREST)
		questions_interest(
		        root->questions, frame->interest, root->takes_interest, monotonic_ms());
	else if (frame->body_case == TETHER__FRAME__BODY_REPORT)
		agent_poll_take(root->agents, frame->report);
}

static int hello(void *owner, uint32_t child, const Tether__Hello *hello, const char **reason,
        const char **text)
{
	struct root *root = owner;

	root_signal_hello(root->signal, child, hello);
	if (hello->role == TETHER__ROLE__ROLE_HOST)
		return 0;
	log_info("root", "%s, between hosts and here, is here", hello->name);
	notice_up(root, hello->name, hello->open, hello->n_open);
	return 0;
}

static int host(void *owner, uint32_t child, const Tether__HostBehind *host, const char **reason,
        const char **text)
{
	struct root *root = owner;

	if (directory_host_here(root->places.directory, host->name, true) ||
	        root_places_word(&root->places, host->name, host->vms, host->n_vms, host->slots,
	                host->n_slots, monotonic_ms())) {
		*reason = "no-memory";
		*text = "tether-smd is out of memory";
		return -ENOMEM;
	}
	inventory_host_connected(&root->inventory, host->name, true);
	log_info("root", "host %s is here: %zu VMs, %zu slots", host->name, host->n_vms,
	        host->n_slots);
	notice_up(root, host->name, host->open, host->n_open);
	return 0;
}

static void host_away(void *owner, const char *host)
{
	struct root *root = owner;

	inventory_host_connected(&root->inventory, host, false);
	directory_host_here(root->places.directory, host, false);
	log_info("root", "host %s is not connected", host);
	agent_poll_gone(root->agents, host, TETHER__ROLE__ROLE_HOST);
}

static void agent_away(void *owner, const char *name, Tether__Role role)
{
	struct root *root = owner;

	agent_poll_gone(root->agents, name, role);
}

static const struct relay_outputs outputs = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .hello = hello,
        .host = host,
        .host_away = host_away,
        .agent_away = agent_away,
};

/* ---- how the agents are ---- */

static void agent_is_here(void *context, const char *name, Tether__Role role)
{
	if (agents_here(context, name, role))
		log_error("root", "no memory to ask %s how it is", name);
}

static void agents_ask(void *owner, struct agents *agents, uint32_t request)
{
	struct root *root = owner;

	for (const struct inventory_host *h = root->inventory.hosts; h; h = h->next)
		if (agents_know(agents, h->name, TETHER__ROLE__ROLE_HOST))
			log_error("root", "no memory to name %s", h->name);
	relay_agents_each(root->relay, agent_is_here, agents);
	relay_reports_ask(root->relay, request);
}

const struct relay *root_relay(const struct root *root)
{
	return root->relay;
}

struct agent_poll *root_agents(const struct root *root)
{
	return root->agents;
}

/* ---- the root ---- */

static bool frame_comes(void *owner, uint32_t child, Tether__Frame *frame)
{
	struct root *root = owner;
	bool forged;

	root->takes_interest = frame->body_case == TETHER__FRAME__BODY_INTEREST;
	if (!root_signal_frame(root->signal, child, frame, &forged))
		return false;
	relay_pulled(root->relay, forged);
	return true;
}

static void relay_fed(void *owner)
{
	struct root *root = owner;

	root->takes_interest = false;
	tick_arm(root);
}

static const struct agent_links_calls links_calls = {.frame = frame_comes, .fed = relay_fed};

static struct connection_settings connections_of(
        const struct deadlines *deadlines, struct credentials *credentials)
{
	struct connection_settings connections = connection_settings_default;

	connections.heartbeat_ms = deadlines->heartbeat_ms;
	connections.credentials = credentials;
	return connections;
}

static int relay_make(struct root *root, struct credentials *credentials,
        struct directory *directory, const struct deadlines *deadlines, uint64_t epoch)
{
	struct connection_settings connections = connections_of(deadlines, credentials);
	struct relay_settings settings = {.name = "",
	        .role = TETHER__ROLE__ROLE_ROOT,
	        .epoch = epoch,
	        .heartbeat_ms = deadlines->heartbeat_ms,
	        .away_ms = deadlines->away_ms};

	root->credentials = credentials;
	root->relay = relay_create(&settings, &outputs, root);
	root->places = (struct root_places){directory, &root->inventory, root->relay,
	        root->callbacks->places_changed, root->owner};
	if (root->relay)
		root->links = agent_links_create(
		        root->base, root->relay, &connections, "root", &links_calls, root);
	return root->links ? 0 : -ENOMEM;
}

static int events_make(struct root *root)
{
	root->ticking = evtimer_new(root->base, tick_due, root);
	root->noticing = evtimer_new(root->base, notices_due, root);
	return root->ticking && root->noticing ? 0 : -ENOMEM;
}

struct root *root_create(struct event_base *base, const char *addresses,
        struct credentials *credentials, struct directory *directory,
        const struct deadlines *deadlines, uint64_t epoch, const struct root_callbacks *callbacks,
        void *owner)
{
	struct root *root = calloc(1, sizeof(*root));
	int err;

	if (!root)
		return NULL;
	root->base = base;
	root->callbacks = callbacks;
	root->owner = owner;
	root->questions = questions_create(&questions_outputs, root);
	root->agents = agent_poll_create(base, deadlines, agents_ask, root);
	err = root->questions && root->agents
	              ? relay_make(root, credentials, directory, deadlines, epoch)
	              : -ENOMEM;
	if (!err)
		err = events_make(root);
	if (!err)
		err = agent_links_listen(root->links, addresses);
	if (err) {
		root_destroy(root);
		errno = -err;
		return NULL;
	}
	return root;
}

static void event_free_any(struct event *event)
{
	if (event)
		event_free(event);
}

void root_destroy(struct root *root)
{
	if (!root)
		return;
	root_signal_destroy(root->signal);
	agent_links_destroy(root->links);
	relay_destroy(root->relay);
	event_free_any(root->ticking);
	event_free_any(root->noticing);
	while (root->notices) {
		struct notice *notice = root->notices;

		root->notices = notice->next;
		notice_free(notice);
	}
	inventory_clear(&root->inventory);
	questions_destroy(root->questions);
	agent_poll_destroy(root->agents);
	free(root);
}

void root_deadlines_set(struct root *root, const struct deadlines *deadlines)
{
	struct connection_settings connections = connections_of(deadlines, root->credentials);

	relay_times_set(root->relay, deadlines->heartbeat_ms, deadlines->away_ms);
	agent_links_settings_set(root->links, &connections);
	root_signal_deadlines_set(root->signal, deadlines);
	tick_arm(root);
}

void root_credentials_changed(struct root *root)
{
	agent_links_recheck(root->links);
}

static void signal_send(void *owner, uint32_t child, const Tether__Frame *frame)
{
	struct root *root = owner;

	agent_links_send(root->links, child, frame);
}

int root_signal_by_mad(
        struct root *root, const char *sm_socket, const struct deadlines *deadlines, uint64_t epoch)
{
	const struct root_signal_settings settings = {.sm_socket = sm_socket,
	        .retry_ms = deadlines->reconnect_link_ms,
	        .notice_ms = deadlines->notice_ms,
	        .number = epoch};

	root->signal = root_signal_create(root->base, &settings, signal_send, root);
	return root->signal ? 0 : -errno;
}

/* What follows from what the root knows of its VM. */
static int event_make(
        const struct root *root, struct shared_event *shared, const Tether__Event *event)
{
	int err = shared_event_make(shared, event, questions_numbers(root->questions));

	if (!err)
		root_places_pkeys(&root->places, &shared->event);
	return err;
}

int root_send(struct root *root, const Tether__Event *event)
{
	struct shared_event shared;
	int err = event_make(root, &shared, event);

	if (!err)
		err = relay_event(root->relay, &shared.event, monotonic_ms());
	shared_event_clear(&shared);
	tick_arm(root);
	return err;
}

static void name_write(void *names, const char *name)
{
	fprintf(names, "%s%s", ftell(names) > 0 ? " " : "", name);
}

char *root_concerned(struct root *root, const Tether__Event *event)
{
	struct shared_event shared;
	char *names = NULL;
	size_t size;
	FILE *stream;

	if (event_make(root, &shared, event))
		return NULL;
	stream = open_memstream(&names, &size);
	if (stream)
		relay_concerned_each(root->relay, &shared.event, name_write, stream);
	shared_event_clear(&shared);
	if (!stream || fclose(stream)) {
		free(names);
		return NULL;
	}
	return names;
}

int root_tell(struct root *root, const char *host, const Tether__Event *event)
{
	Tether__Event copy = *event;

	root_places_pkeys(&root->places, &copy);
	return relay_tell_host(root->relay, host, &copy);
}

/* What a barrier is of; there is one for each LID that the VM is known by. */
struct hold {
	struct root *root;
	uint64_t migration;
	const char *vm;
	uint64_t until_ms;
};

static bool hold_at(const struct hold *hold, const struct address *address)
{
	return !relay_hold(hold->root->relay, hold->migration, hold->vm, address, hold->until_ms);
}

static bool hold_at_lid(void *owner, uint32_t lid)
{
	struct address address = {.lid = (uint16_t)lid};

	return !lid || hold_at(owner, &address);
}

void root_hold(struct root *root, uint64_t migration, const char *vm, const struct address *address,
        bool shared_port, unsigned ms)
{
	struct hold hold = {root, migration, vm, monotonic_ms() + ms};
	bool held = hold_at(&hold, address);

	if (shared_port)
		held &= numbers_each_lid(
		        questions_numbers(root->questions), address, hold_at_lid, &hold);
	if (!held)
		log_error("root", "no memory to hold connections to %s", vm);
	tick_arm(root);
}

void root_let_go(struct root *root, uint64_t migration)
{
	relay_let_go(root->relay, migration);
	tick_arm(root);
}

struct inventory *root_inventory(struct root *root)
{
	return &root->inventory;
}

void root_result_take(struct root *root, const char *host, const Tether__HostResult *result)
{
	if (!result || (!result->n_vms && !result->n_slots))
		return;
	if (root_places_word(&root->places, host, result->vms, result->n_vms, result->slots,
	            result->n_slots, monotonic_ms()))
		log_error("root", "no memory for the inventory of %s", host);
	tick_arm(root);
}

void root_places_changed(struct root *root)
{
	root_places_told(&root->places, monotonic_ms());
	tick_arm(root);
}

void root_numbers_set(struct root *root, const struct address *address, bool shared_port,
        const Tether__QpRows *qps, const Tether__KeyRows *keys)
{
	if (numbers_set(questions_numbers(root->questions), address, shared_port, qps, keys))
		log_error("root", "no memory for the numbers of lid %u", address->lid);
}
