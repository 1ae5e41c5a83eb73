/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/agent_relay.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "notifier/agent_credentials.h"
#include "notifier/agent_holders.h"
#include "notifier/agent_report.h"
#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/service.h"
#include "notifier/base/timer.h"
#include "notifier/wire/answer.h"
#include "notifier/wire/fit.h"
#include "notifier/wire/versions.h"

void agent_relay_fed(void *context)
{
	struct agent_relay *agent = context;
	int64_t ms = relay_next_ms(agent->relay, monotonic_ms());

	if (ms < 0)
		evtimer_del(agent->tick);
	else
		timer_set(agent->tick, (uint64_t)ms);
}

static void on_tick(evutil_socket_t fd, short what, void *at)
{
	struct agent_relay *agent = at;

	relay_tick(agent->relay, monotonic_ms());
	agent_relay_fed(agent);
}

static void child_send(void *at, uint32_t child, const Tether__Frame *frame)
{
	struct agent_relay *agent = at;

	agent->role->child_send(agent->owner, child, frame);
}

static void child_close(void *at, uint32_t child, const char *why)
{
	struct agent_relay *agent = at;

	agent->role->child_close(agent->owner, child, why);
}

static void order(void *at, const Tether__Event *event)
{
	struct agent_relay *agent = at;

	agent->role->order(agent->owner, event);
}

static void answer_log(const struct agent_relay *agent, const Tether__Answer *answer)
{
	const char *room = agent->settings->role;

	log_info(room, "migration %" PRIu64 "/%" PRIu64 ": %s.%u %s, %zu answered, %zu missing",
	        answer->migration, answer->epoch, step_name(answer->step), answer->sequence,
	        outcome_name(answer->outcome), answer->n_answered, answer->n_missing);
	for (size_t i = 0; i < answer->n_missing; i++)
		log_warn(room, "migration %" PRIu64 "/%" PRIu64 ": no answer from %s",
		        answer->migration, answer->epoch, answer->missing[i]);
	for (size_t i = 0; i < answer->n_ended; i++)
		log_info(room, "migration %" PRIu64 "/%" PRIu64 ": %s has ended", answer->migration,
		        answer->epoch, answer->ended[i]);
	for (size_t i = 0; i < answer->n_refusals; i++)
		log_warn(room, "migration %" PRIu64 "/%" PRIu64 ": %s: %s: %s", answer->migration,
		        answer->epoch, answer->refusals[i]->who, answer->refusals[i]->reason,
		        answer->refusals[i]->text);
}

void agent_relay_send(struct agent_relay *agent, const Tether__Frame *frame)
{
	struct pieces pieces = {0};
	const Tether__Frame *fit = frame_fit(relay_parent_version(agent->relay), frame, &pieces);
	int err = -ENOTCONN;

	if (agent->parent)
		err = fit ? connection_send(agent->parent, fit) : -ENOMEM;
	pieces_free(&pieces);
	if (err && err != -ENOTCONN)
		log_error(
		        agent->settings->role, "the root does not get a frame: %s", strerror(-err));
}

static void parent_send(void *at, const Tether__Frame *frame)
{
	struct agent_relay *agent = at;

	if (frame->body_case == TETHER__FRAME__BODY_ANSWER) {
		die_point(DIE_RELAY_ANSWER, step_name(frame->answer->step));
		answer_log(agent, frame->answer);
	}
	agent_relay_send(agent, frame);
}

static void moved(void *at, const Tether__Event *event)
{
	struct agent_relay *agent = at;
	const Tether__Address *now = event->new_address ? event->new_address : event->address;

	log_info(agent->settings->role,
	        "migration %" PRIu64 "/%" PRIu64 ": %s, of interest here, has moved; lid %u",
	        event->migration, event->epoch, event->vm, now ? now->lid : 0);
	if (agent->role->moved)
		agent->role->moved(agent->owner, event);
}

static int epoch_save(void *at, uint64_t epoch)
{
	struct agent_relay *agent = at;
	int err = agent->role->forgets ? 0 : epoch_file_save(&agent->epoch_file, epoch);

	if (err)
		log_error(agent->settings->role, "epoch %" PRIu64 " cannot be stored: %s", epoch,
		        strerror(-err));
	return err;
}

static void holders(void *at, const Tether__Event *event,
        void (*each)(void *context, uint32_t pid, uint32_t forked_by, const char *program),
        void *context)
{
	const struct agent_relay *agent = at;

	agent_holders_each(agent->settings, agent->role->role, event, each, context);
}

static const struct relay_outputs outputs = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .order = order,
        .moved = moved,
        .epoch_save = epoch_save,
        .holders = holders,
        .report = agent_report_send,
};

static const struct relay_outputs outputs_without_orders = {
        .child_send = child_send,
        .child_close = child_close,
        .parent_send = parent_send,
        .moved = moved,
        .epoch_save = epoch_save,
        .holders = holders,
        .report = agent_report_send,
};

static void parent_opened(struct connection *connection, void *at)
{
	struct agent_relay *agent = at;
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Hello hello = TETHER__HELLO__INIT;

	*agent->failure = 0;
	versions_say(&hello);
	hello.role = agent->role->role;
	hello.name = agent->settings->name;
	if (agent->role->hello)
		agent->role->hello(agent->owner, &hello);
	if (relay_hello_fill(agent->relay, &hello)) {
		connection_drop(connection, "no memory");
		return;
	}
	frame.body_case = TETHER__FRAME__BODY_HELLO;
	frame.hello = &hello;
	connection_send(connection, &frame);
	relay_hello_clear(&hello);
}

static void hello_answer_note(struct agent_relay *agent, const Tether__HelloAnswer *answer)
{
	const char *room = agent->settings->role;

	agent->parent_is_here = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;
	if (agent->parent_is_here)
		service_status("%s is here", agent->settings->root);

	if (answer->outcome == TETHER__OUTCOME__OUTCOME_DONE)
		log_info(room, "the root is here, epoch %" PRIu64, answer->epoch);
	for (size_t i = 0; i < answer->n_refusals; i++)
		log_error(room, "the root refuses this %s: %s: %s", room,
		        answer->refusals[i]->reason, answer->refusals[i]->text);
}

static int welcome(struct agent_relay *agent, const Tether__HelloAnswer *answer)
{
	if (!agent->role->welcomed || answer->outcome != TETHER__OUTCOME__OUTCOME_DONE)
		return 0;
	return agent->role->welcomed(agent->owner, answer);
}

/*
 * An order that lay in the link while this agent was stopped: its root has given it up and may have
 * gone another way since. One that it still wants it gives again at the next HELLO.
 */
static bool is_left_behind(const struct agent_relay *agent, const Tether__Frame *frame)
{
	if (frame->body_case != TETHER__FRAME__BODY_EVENT || !frame->event->order ||
	        !connection_peer_hung_up(agent->parent))
		return false;
	log_warn(agent->settings->role,
	        "migration %" PRIu64 "/%" PRIu64 ": %s.%u has a dead link's order",
	        frame->event->migration, frame->event->epoch, step_name(frame->event->step),
	        frame->event->sequence);
	return true;
}

static void parent_frame(struct connection *connection, const Tether__Frame *frame, void *at)
{
	struct agent_relay *agent = at;
	const char *room = agent->settings->role;
	int err = 0;

	if (is_left_behind(agent, frame))
		return;
	if (frame->body_case == TETHER__FRAME__BODY_PULL) {
		if (agent->role->pull)
			agent->role->pull(agent->owner, frame->pull);
		return;
	}
	if (frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER) {
		hello_answer_note(agent, frame->hello_answer);
		err = welcome(agent, frame->hello_answer);
	} else if (frame->body_case == TETHER__FRAME__BODY_EVENT) {
		log_info(room, "migration %" PRIu64 "/%" PRIu64 ": %s.%u", frame->event->migration,
		        frame->event->epoch, step_name(frame->event->step), frame->event->sequence);
		die_point(DIE_RELAY, step_name(frame->event->step));
	}
	if (!err)
		err = relay_parent_frame(agent->relay, frame, monotonic_ms());
	if (err == -ESTALE)
		log_error(room, "this root is older than one seen before, it is not obeyed");
	if (err)
		connection_drop(connection, strerror(-err));
	agent_relay_fed(agent);
}

static void parent_closed(struct connection *connection, int reason, const char *text, void *at)
{
	struct agent_relay *agent = at;

	log_warn(agent->settings->role, "the root is away: %s", text);
	agent->parent_is_here = false;
	service_status("%s is away: %s", agent->settings->root, text);
	relay_parent_lost(agent->relay);
	if (agent->role->parent_lost)
		agent->role->parent_lost(agent->owner);
}

/* Each attempt fails for the same reason: it is said once. */
static void parent_failed(struct connection *connection, const char *text, void *at)
{
	struct agent_relay *agent = at;

	if (!strcmp(agent->failure, text))
		return;
	snprintf(agent->failure, sizeof(agent->failure), "%s", text);
	log_warn(agent->settings->role, "no link to %s: %s", agent->settings->root, text);
}

static const struct connection_callbacks parent_callbacks = {
        .opened = parent_opened,
        .frame = parent_frame,
        .closed = parent_closed,
        .failed = parent_failed,
};

struct connection_settings agent_relay_links(const struct agent_relay *agent)
{
	struct connection_settings settings = connection_settings_default;

	settings.heartbeat_ms = agent->settings->deadlines.heartbeat_ms;
	settings.ask_ms = agent->settings->deadlines.ask_ms;
	settings.reconnect_ms = agent->settings->deadlines.reconnect_link_ms;
	settings.credentials = agent->credentials;
	return settings;
}

static struct connection_settings parent_settings(const struct agent_relay *agent)
{
	struct connection_settings settings = agent_relay_links(agent);

	settings.ask_ms = 0;
	if (agent->role->parent_settings)
		agent->role->parent_settings(agent->owner, &settings);
	return settings;
}

void agent_relay_tell(struct agent_relay *agent)
{
	struct connection_settings settings = parent_settings(agent);

	if (agent->parent) {
		connection_drop(agent->parent, "the host has changed");
		return;
	}
	agent->parent = connection_connect(
	        agent->base, agent->settings->root, &settings, &parent_callbacks, agent);
	if (!agent->parent)
		log_error(agent->settings->role, "no link to %s: %s", agent->settings->root,
		        strerror(errno));
	service_ready();
}

static void age_log(const struct agent_relay *agent)
{
	char doubt[256];

	if (credentials_doubt(agent->credentials, time(NULL), doubt, sizeof(doubt)))
		log_warn(agent->settings->role, "%s", doubt);
}

static void credentials_read_again(struct agent_relay *agent)
{
	char error[256];

	if (credentials_reload(agent->credentials, error, sizeof(error))) {
		log_error(agent->settings->role, "certificates are kept: %s", error);
		return;
	}
	age_log(agent);
	if (agent->parent)
		connection_recheck(agent->parent);
}

void agent_relay_reload(struct agent_relay *agent)
{
	struct connection_settings settings = parent_settings(agent);
	const struct deadlines *deadlines = &agent->settings->deadlines;

	relay_times_set(agent->relay, deadlines->heartbeat_ms, deadlines->away_ms);
	if (agent->parent)
		connection_settings_set(agent->parent, &settings);
	if (agent->credentials)
		credentials_read_again(agent);
}

static int credentials_make(struct agent_relay *agent)
{
	char error[256];
	int err =
	        agent_credentials_make(agent->settings, &agent->credentials, error, sizeof(error));

	if (err)
		log_error(agent->settings->role, "%s", error);
	else if (agent->credentials)
		age_log(agent);
	return err;
}

static int relay_make(struct agent_relay *agent, uint64_t epoch)
{
	struct relay_settings settings = {
	        .name = agent->settings->name,
	        .role = agent->role->role,
	        .epoch = epoch,
	        .heartbeat_ms = agent->settings->deadlines.heartbeat_ms,
	        .away_ms = agent->settings->deadlines.away_ms,
	        .processes_max = agent->settings->vm_processes,
	};

	agent->relay = relay_create(
	        &settings, agent->role->order ? &outputs : &outputs_without_orders, agent);
	agent->tick = evtimer_new(agent->base, on_tick, agent);
	return agent->relay && agent->tick ? 0 : -ENOMEM;
}

int agent_relay_open(struct agent_relay *agent, struct event_base *base,
        const struct agent_settings *settings, const struct agent_role *role, void *owner)
{
	uint64_t epoch = 0;
	int err = 0;

	*agent = (struct agent_relay){
	        .base = base, .settings = settings, .role = role, .owner = owner};
	if (!role->forgets)
		err = epoch_file_open(&agent->epoch_file, settings->state_dir, &epoch);
	if (err) {
		log_error(settings->role, "%s: %s", settings->state_dir,
		        err == -EBUSY ? "another agent is at work here" : strerror(-err));
		*agent = (struct agent_relay){0};
		return err;
	}
	err = credentials_make(agent);
	if (err) {
		agent_relay_close(agent);
		return err;
	}
	err = relay_make(agent, epoch);
	if (err)
		log_error(settings->role, "%s", strerror(-err));
	else
		err = agent_report_open(agent);
	if (err)
		agent_relay_close(agent);
	return err;
}

void agent_relay_close(struct agent_relay *agent)
{
	if (!agent->base)
		return;
	agent_report_close(agent);
	connection_destroy(agent->parent);
	relay_destroy(agent->relay);
	if (agent->tick)
		event_free(agent->tick);
	if (!agent->role->forgets)
		epoch_file_close(&agent->epoch_file);
	credentials_destroy(agent->credentials);
	*agent = (struct agent_relay){0};
}
