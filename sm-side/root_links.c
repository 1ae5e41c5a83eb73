/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The agents' links: taken over, handed to the relay frame by frame, and their end. */
#include "sm-side/root_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/channel_tls.h"

struct link *root_link_of_child(struct root *root, uint32_t child)
{
	struct link *link = root->links;

	while (link && link->child != child)
		link = link->next;
	return link;
}

static void link_free(struct link *link)
{
	struct link **at = &link->root->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	connection_destroy(link->connection);
	free(link->host);
	free(link->place);
	free(link);
}

/* Who is refused has no name here but the one that it gives. */
static const char *frame_sender(const struct link *link, const Tether__Frame *frame)
{
	if (link->host)
		return link->host;
	return frame->body_case == TETHER__FRAME__BODY_HELLO ? frame->hello->name : "a new link";
}

static void link_frame(struct connection *connection, Tether__Frame *frame, void *owner)
{
	struct link *link = owner;
	struct root *root = link->root;
	int err;

	root->takes_interest = frame->body_case == TETHER__FRAME__BODY_INTEREST;
	err = relay_child_frame(root->relay, link->child, frame, monotonic_ms());
	root->takes_interest = false;
	if (err) {
		log_warn("root", "%s is not listened to: %s", frame_sender(link, frame),
		        strerror(-err));
		connection_finish(link->connection, strerror(-err));
	}
	root_tick_arm(root);
}

static void link_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct link *link = owner;
	struct root *root = link->root;

	if (link->host)
		log_warn("root", "host %s is away: %s", link->host, text);
	else if (!link->child)
		log_warn("root", "%s is refused: %s", link->place ? link->place : "a link", text);
	relay_child_gone(root->relay, link->child, false, monotonic_ms());
	link_free(link);
	root_tick_arm(root);
}

static Tether__Role role_of(const struct peer_identity *identity)
{
	return identity->role == PEER_HOST ? TETHER__ROLE__ROLE_HOST : TETHER__ROLE__ROLE_RELAY;
}

static void link_opened(struct connection *connection, void *owner)
{
	struct link *link = owner;
	struct root *root = link->root;
	const struct peer_identity *identity = channel_tls_identity(connection_channel(connection));
	int err = relay_child_add(root->relay, NULL, monotonic_ms(), &link->child);

	if (!err && identity)
		err = relay_child_certified(
		        root->relay, link->child, role_of(identity), identity->name);
	if (err) {
		log_warn("root", "no more links are taken: %s", strerror(-err));
		connection_finish(connection, strerror(-err));
	}
	root_tick_arm(root);
}

static const struct connection_callbacks connection_callbacks = {
        .opened = link_opened,
        .frame = link_frame,
        .closed = link_closed,
};

/* Takes @channel. Its child is added when it stands: a handshake that never ends is none's. */
void root_accepted(struct channel *channel, void *owner)
{
	struct root *root = owner;
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		channel->ops->close(channel);
		return;
	}
	link->root = root;
	link->next = root->links;
	root->links = link;
	if (channel_tls_place(channel))
		link->place = strdup(channel_tls_place(channel));
	link->connection = connection_accept(
	        root->base, channel, &root->connection_settings, &connection_callbacks, link);
	if (!link->connection)
		link_free(link);
}

void root_links_recheck(struct root *root)
{
	for (struct link *link = root->links; link; link = link->next)
		connection_recheck(link->connection);
}

void root_links_clear(struct root *root)
{
	while (root->links)
		link_free(root->links);
}
