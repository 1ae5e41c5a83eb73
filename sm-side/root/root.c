/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/root/root_state.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"

void root_tick_arm(struct root *root)
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
	root_tick_arm(root);
}

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

static bool frame_comes(void *owner, uint32_t child, const Tether__Frame *frame)
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
	root_tick_arm(root);
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
	root->relay = relay_create(&settings, &root_relay_outputs, root);
	root->places = (struct root_places){directory, &root->inventory, root->relay,
	        root->callbacks->places_changed, root->owner};
	if (root->relay)
		root->links = agent_links_create(
		        root->base, root->relay, &connections, "root", &links_calls, root);
	return root->links ? 0 : -ENOMEM;
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
	root->questions = questions_create(&root_questions_outputs, root);
	root->agents = agent_poll_create(base, deadlines, agents_ask, root);
	root->notices = owner_notices_create(base, callbacks, owner);
	root->ticking = evtimer_new(base, tick_due, root);
	err = root->questions && root->agents && root->notices && root->ticking
	              ? relay_make(root, credentials, directory, deadlines, epoch)
	              : -ENOMEM;
	if (!err)
		err = agent_links_listen(root->links, addresses);
	if (err) {
		root_destroy(root);
		errno = -err;
		return NULL;
	}
	return root;
}

void root_destroy(struct root *root)
{
	if (!root)
		return;
	root_signal_destroy(root->signal);
	agent_links_destroy(root->links);
	relay_destroy(root->relay);
	if (root->ticking)
		event_free(root->ticking);
	owner_notices_destroy(root->notices);
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
	root_tick_arm(root);
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
	root_tick_arm(root);
}

void root_places_changed(struct root *root)
{
	root_places_told(&root->places, monotonic_ms());
	root_tick_arm(root);
}

void root_numbers_set(struct root *root, const struct address *address, bool shared_port,
        const Tether__QpRows *qps, const Tether__KeyRows *keys, const Tether__GidRows *gids)
{
	if (numbers_set(questions_numbers(root->questions), address, shared_port, qps, keys, gids))
		log_error("root", "no memory for the numbers of lid %u", address->lid);
}

const struct gid_book *root_gids(const struct root *root)
{
	return relay_names(root->relay);
}
