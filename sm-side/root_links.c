/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The agents' links: accepted, handed to the relay frame by frame, and their end. */
#include "sm-side/root_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/channel_unix.h"

enum { ACCEPT_PAUSE_MS = 100 };

struct link *root_link_of_child(struct root *root, uint32_t child)
{
	struct link *link = root->links;

	while (link && link->child != child)
		link = link->next;
	return link;
}

struct link *root_link_of_host(struct root *root, const char *host)
{
	struct link *link = root->links;

	while (link && (!link->host || strcmp(link->host, host)))
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

	if (link->host) {
		log_warn("root", "host %s is away: %s", link->host, text);
		inventory_host_connected(&root->inventory, link->host, false);
	}
	relay_child_gone(root->relay, link->child, false, monotonic_ms());
	link_free(link);
	root_tick_arm(root);
}

static const struct connection_callbacks connection_callbacks = {
        .frame = link_frame,
        .closed = link_closed,
};

static bool is_trusted(const struct channel_unix_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

/* Takes @channel. */
static void link_add(struct root *root, struct channel *channel)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link || relay_child_add(root->relay, NULL, monotonic_ms(), &link->child)) {
		channel->ops->close(channel);
		free(link);
		return;
	}
	link->root = root;
	link->next = root->links;
	root->links = link;
	link->connection = connection_accept(
	        root->base, channel, &root->connection_settings, &connection_callbacks, link);
	if (!link->connection) {
		relay_child_gone(root->relay, link->child, true, monotonic_ms());
		link_free(link);
	}
}

/* What waits stays acceptable: without a pause the loop would do nothing else. */
static void accepting_pause(struct root *root, int err)
{
	struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};

	log_error("root", "no agent can be accepted, accepting pauses: %s", strerror(err));
	event_del(root->accepting);
	evtimer_add(root->accepting_again, &pause);
}

void root_accepting_again(evutil_socket_t unused, short what, void *context)
{
	struct root *root = context;

	event_add(root->accepting, NULL);
}

void root_acceptable(evutil_socket_t listener, short what, void *context)
{
	struct root *root = context;
	struct channel_unix_peer peer = {.pidfd = -1};
	struct channel channel;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			accepting_pause(root, errno);
		return;
	}
	if (channel_unix_accepted(fd, &channel, &peer)) {
		close(fd);
		return;
	}
	if (peer.pidfd >= 0)
		close(peer.pidfd);
	if (!is_trusted(&peer)) {
		log_warn("root", "uid %u may not be an agent", (unsigned)peer.uid);
		channel.ops->close(&channel);
		return;
	}
	link_add(root, &channel);
	root_tick_arm(root);
}

void root_links_clear(struct root *root)
{
	while (root->links)
		link_free(root->links);
}
