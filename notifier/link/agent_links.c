/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/agent_links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/channel/channel_tls.h"
#include "notifier/link/listener.h"
#include "notifier/link/refusal_log.h"
#include "notifier/relay/relay.h"
#include "notifier/link/shared_rates.h"
#include "notifier/channel/tcp_address.h"

/* Of one certificate at a time: an agent has one link, and the dead ones that it left. */
enum { LINKS_OF_ONE = 8 };

enum { KEY_BYTES = 512 };

/* A host speaks for all its VMs. */
enum { FRAMES_PER_S = 80000, FRAMES_AT_ONCE = 800000 };

/* One agent's link. */
struct link {
	struct link *next, **at; /* what points to it */
	struct agent_links *links;
	struct connection *connection;
	struct shared_rate *rate; /* of whom its certificate names; NULL: it has none */
	uint32_t child;           /* what the relay calls it; 0: the link does not stand yet */
	char *name;               /* NULL: has not said HELLO */
	Tether__Role role;
	char *place; /* where it comes from; NULL: this machine */
};

struct agent_links {
	struct event_base *base;
	struct relay *relay;
	struct connection_settings connections;
	const char *room;
	const struct agent_links_calls *calls;
	void *owner;
	struct listener *listener;
	struct shared_rates *rates;
	struct refusal_log refusals;
	struct link *list;
	struct link *by_slot[RELAY_CHILD_SLOTS];
};

static struct link *link_of_child(const struct agent_links *links, uint32_t child)
{
	struct link *link = links->by_slot[relay_child_slot(child)];

	return link && link->child == child ? link : NULL;
}

static void link_free(struct link *link)
{
	*link->at = link->next;
	if (link->next)
		link->next->at = link->at;
	if (link->child && link_of_child(link->links, link->child) == link)
		link->links->by_slot[relay_child_slot(link->child)] = NULL;
	connection_destroy(link->connection);
	shared_rate_release(link->rate);
	free(link->name);
	free(link->place);
	free(link);
}

/* Who is refused has no name here but the one that it gives. */
static const char *frame_sender(const struct link *link, const Tether__Frame *frame)
{
	if (link->name)
		return link->name;
	return frame->body_case == TETHER__FRAME__BODY_HELLO ? frame->hello->name : "a new link";
}

/* Whose lines in the log are many: of a certificate, or of an address, whatever its port is. */
static const char *peer_of(const struct link *link, char *room, size_t size)
{
	const struct peer_identity *identity =
	        channel_tls_identity(connection_channel(link->connection));
	char *port;

	if (link->name || identity)
		return link->name ? link->name : identity->name;
	snprintf(room, size, "%s", link->place ? link->place : "");
	port = strrchr(room, ':');
	if (port)
		*port = 0;
	return room;
}

/* Lines of one kind hide none of another. */
static const char *peer_and_reason(const char *peer, const char *reason, char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "%s %s", peer, reason);
	return key;
}

static int frame_take(struct link *link, const Tether__Frame *frame)
{
	struct agent_links *links = link->links;
	int err;

	if (links->calls->frame && links->calls->frame(links->owner, link->child, frame))
		return 0;
	err = relay_child_frame(links->relay, link->child, frame, monotonic_ms());
	if (err || frame->body_case != TETHER__FRAME__BODY_HELLO)
		return err;
	link->name = strdup(frame->hello->name);
	link->role = frame->hello->role;
	return 0;
}

static void link_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct link *link = owner;
	char peer[TCP_ADDRESS_BYTES];
	int err = frame_take(link, frame);

	if (err) {
		refusal_tell(link->links, LOG_LEVEL_WARN, link->links->room,
		        peer_of(link, peer, sizeof(peer)), "%s is not listened to: %s",
		        frame_sender(link, frame), strerror(-err));
		connection_finish(link->connection, strerror(-err));
	}
	link->links->calls->fed(link->links->owner);
}

static void link_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct link *link = owner;
	struct agent_links *links = link->links;
	char room[TCP_ADDRESS_BYTES], key[KEY_BYTES];
	const char *peer = peer_of(link, room, sizeof(room));

	if (link->name)
		refusal_tell(links, LOG_LEVEL_WARN, links->room, peer, "%s %s is away: %s",
		        link->role == TETHER__ROLE__ROLE_HOST ? "host" : "agent", link->name, text);
	else if (!link->child)
		refusal_tell(links, LOG_LEVEL_WARN, links->room, peer_and_reason(peer, text, key),
		        "%s is refused: %s", link->place ? link->place : "a link", text);
	relay_link_ended(links->relay, reason);
	relay_child_gone(links->relay, link->child, false, monotonic_ms());
	link_free(link);
	links->calls->fed(links->owner);
}

static Tether__Role role_of(const struct peer_identity *identity)
{
	switch (identity->role) {
	case PEER_HOST:
		return TETHER__ROLE__ROLE_HOST;
	case PEER_RELAY:
		return TETHER__ROLE__ROLE_RELAY;
	default:
		return TETHER__ROLE__ROLE_NONE;
	}
}

/* Of its certificate's, which has so many links as its rate has holders. -EUSERS: enough. */
static int rate_take_part(struct link *link, const struct peer_identity *identity)
{
	struct shared_rates *rates = link->links->rates;
	struct shared_rate *rate;
	char who[PEER_TEXT_BYTES];

	if (!identity)
		return 0;
	peer_identity_write(identity, who);
	rate = shared_rate_hold(rates, who, monotonic_ms());
	if (!rate)
		return -ENOMEM;
	if (rate->holders > LINKS_OF_ONE) {
		shared_rate_release(rate);
		relay_link_ended(link->links->relay, -EUSERS);
		return -EUSERS;
	}
	link->rate = rate;
	connection_rate_share(link->connection, rates, rate);
	return 0;
}

static int child_add(struct link *link)
{
	struct agent_links *links = link->links;
	const struct peer_identity *identity =
	        channel_tls_identity(connection_channel(link->connection));
	int err = rate_take_part(link, identity);

	if (!err)
		err = relay_child_add(links->relay, NULL, monotonic_ms(), &link->child);
	if (err)
		return err;
	links->by_slot[relay_child_slot(link->child)] = link;
	return identity ? relay_child_certified(
	                          links->relay, link->child, role_of(identity), identity->name)
	                : 0;
}

static void link_opened(struct connection *connection, void *owner)
{
	struct link *link = owner;
	char peer[TCP_ADDRESS_BYTES];
	int err = child_add(link);

	if (err) {
		refusal_tell(link->links, LOG_LEVEL_WARN, link->links->room,
		        peer_of(link, peer, sizeof(peer)), "no more links are taken: %s",
		        strerror(-err));
		connection_finish(connection, strerror(-err));
	}
	link->links->calls->fed(link->links->owner);
}

static const struct connection_callbacks connection_callbacks = {
        .opened = link_opened,
        .frame = link_frame,
        .closed = link_closed,
};

/* Takes @channel. Its child is added when it stands: a handshake that never ends is none's. */
static void accepted(struct channel *channel, void *owner)
{
	struct agent_links *links = owner;
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		channel->ops->close(channel);
		return;
	}
	link->links = links;
	link->next = links->list;
	link->at = &links->list;
	if (link->next)
		link->next->at = &link->next;
	links->list = link;
	if (channel_tls_place(channel))
		link->place = strdup(channel_tls_place(channel));
	link->connection = connection_accept(
	        links->base, channel, &links->connections, &connection_callbacks, link);
	if (!link->connection)
		link_free(link);
}

static void settings_take(struct agent_links *links, const struct connection_settings *connections)
{
	links->connections = *connections;
	links->connections.ask_ms = 0; /* heartbeats are frequent */
	links->connections.frames_per_s = FRAMES_PER_S;
	links->connections.frames_at_once = FRAMES_AT_ONCE;
}

struct agent_links *agent_links_create(struct event_base *base, struct relay *relay,
        const struct connection_settings *connections, const char *room,
        const struct agent_links_calls *calls, void *owner)
{
	struct agent_links *links = calloc(1, sizeof(*links));

	if (!links)
		return NULL;
	links->base = base;
	links->relay = relay;
	settings_take(links, connections);
	links->room = room;
	links->calls = calls;
	links->owner = owner;
	links->rates = shared_rates_create(FRAMES_PER_S, FRAMES_AT_ONCE);
	if (links->rates)
		return links;
	free(links);
	return NULL;
}

void agent_links_destroy(struct agent_links *links)
{
	if (!links)
		return;
	listener_destroy(links->listener);
	for (struct link *link = links->list, *next; link; link = next) {
		next = link->next;
		link_free(link);
	}
	shared_rates_destroy(links->rates);
	free(links);
}

int agent_links_listen(struct agent_links *links, const char *addresses)
{
	return listener_create(links->base, addresses, links->connections.credentials, accepted,
	        links, &links->listener);
}

static void refusals_tell(
        struct agent_links *links, const struct link *link, const Tether__HelloAnswer *answer)
{
	const char *who = link && link->place ? link->place : "a host";
	char room[TCP_ADDRESS_BYTES], key[KEY_BYTES];
	const char *peer = link ? peer_of(link, room, sizeof(room)) : "";

	for (size_t i = 0; i < answer->n_refusals; i++)
		refusal_tell(links, LOG_LEVEL_WARN, links->room,
		        peer_and_reason(peer, answer->refusals[i]->reason, key),
		        "%s is refused: %s: %s", who, answer->refusals[i]->reason,
		        answer->refusals[i]->text);
}

void agent_links_send(struct agent_links *links, uint32_t child, const Tether__Frame *frame)
{
	struct link *link = link_of_child(links, child);
	int err = link ? connection_send(link->connection, frame) : 0;

	if (frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER)
		refusals_tell(links, link, frame->hello_answer);
	/* A link that cannot take a frame ends by itself; one frame that is too large would come
	 * back for ever. */
	if (err == -EMSGSIZE)
		log_error(links->room, "a frame for %s is larger than a link carries",
		        link->name ? link->name : "a new link");
}

void agent_links_end(struct agent_links *links, uint32_t child, const char *why)
{
	struct link *link = link_of_child(links, child);

	if (link)
		connection_finish(link->connection, why);
}

void agent_links_recheck(struct agent_links *links)
{
	for (struct link *link = links->list; link; link = link->next)
		connection_recheck(link->connection);
}

void agent_links_settings_set(
        struct agent_links *links, const struct connection_settings *connections)
{
	settings_take(links, connections);
	for (struct link *link = links->list; link; link = link->next)
		connection_settings_set(link->connection, &links->connections);
}
