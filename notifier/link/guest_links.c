/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/guest_links.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notifier/link/acceptor.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/channel/channel_vsock.h"
#include "notifier/link/connection.h"
#include "notifier/link/guest_channel.h"
#include "notifier/link/refusal_log.h"
#include "notifier/relay/relay.h"
#include "notifier/link/shared_rates.h"

/* A guest speaks for all its processes. */
enum { FRAMES_PER_S = 20000, FRAMES_AT_ONCE = 200000 };
enum { REFUSED_PAUSE_S = 1 }; /* then a guest that was not listened to may try again */

struct guest {
	struct guest *next;
	struct guest_links *links;
	char *channel;
	struct acceptor *acceptor; /* unix */
	char *path;
	struct connection *connection; /* NULL: it has not come, or was sent away */
	struct shared_rate *rate;      /* its VM's */
	struct event *again;           /* virtio, to which nobody comes: after it was sent away */
	bool is_sent_away;
	uint64_t deaf_until_ms; /* after it was */
	uint32_t cid;           /* vsock */
	uint32_t child;         /* 0: no link stands */
	char vm[];
};

struct guest_links {
	struct event_base *base;
	char *directory;
	mode_t mode;
	struct shared_rates *rates;
	struct connection_settings connections;
	struct relay *relay;
	void (*fed)(void *owner);
	void *owner;
	struct acceptor *vsock;
	struct refusal_log refusals;  /* by VM */
	struct refusal_log strangers; /* over vsock, by CID */
	struct guest *guests;
};

static void guest_gone(struct guest *guest)
{
	if (guest->child)
		relay_child_gone(guest->links->relay, guest->child, false, monotonic_ms());
	guest->child = 0;
}

static void link_destroy(struct guest *guest)
{
	guest_gone(guest);
	connection_destroy(guest->connection);
	guest->connection = NULL;
	guest->is_sent_away = false;
}

static void on_opened(struct connection *connection, void *owner)
{
	struct guest *guest = owner;
	struct guest_links *links = guest->links;
	int err = relay_guest_add(links->relay, guest->vm, monotonic_ms(), &guest->child);

	if (err) {
		guest->child = 0;
		refusal_tell(links, LOG_LEVEL_WARN, "guest-links", guest->vm,
		        "%s: no link for its guest: %s", guest->vm, strerror(-err));
		connection_drop(connection, "no room for it");
	}
	links->fed(links->owner);
}

static void send_away(struct guest *guest, const char *why)
{
	guest->is_sent_away = true;
	guest->deaf_until_ms = monotonic_ms() + REFUSED_PAUSE_S * 1000;
	connection_finish(guest->connection, why);
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	struct guest *guest = owner;
	struct guest_links *links = guest->links;
	int err = relay_child_frame(links->relay, guest->child, frame, monotonic_ms());

	if (err) {
		refusal_tell(links, LOG_LEVEL_WARN, "guest-links", guest->vm,
		        "%s: its guest is not listened to: %s", guest->vm, strerror(-err));
		send_away(guest, "not listened to");
	}
	links->fed(links->owner);
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	struct timeval pause = {.tv_sec = REFUSED_PAUSE_S};
	struct guest *guest = owner;
	struct guest_links *links = guest->links;

	refusal_tell(links, LOG_LEVEL_INFO, "guest-links", guest->vm, "%s: its guest is away: %s",
	        guest->vm, text);
	relay_link_ended(links->relay, reason);
	guest_gone(guest);
	if (guest->again && guest->is_sent_away)
		evtimer_add(guest->again, &pause);
	if (!guest->again || guest->is_sent_away)
		link_destroy(guest);
	links->fed(links->owner);
}

static const struct connection_callbacks link_callbacks = {
        .opened = on_opened,
        .frame = on_frame,
        .closed = on_closed,
};

/* One VM has one guest: who comes has been started again, or its server has not noticed yet that
 * the link before is dead. Takes @channel. */
static void link_accept(struct guest *guest, struct channel *channel)
{
	struct guest_links *links = guest->links;

	if (monotonic_ms() < guest->deaf_until_ms) {
		channel->ops->close(channel);
		return;
	}
	if (guest->connection)
		refusal_tell(links, LOG_LEVEL_INFO, "guest-links", guest->vm,
		        "%s: its guest comes anew", guest->vm);
	link_destroy(guest);
	guest->connection = connection_accept(
	        links->base, channel, &links->connections, &link_callbacks, guest);
	if (guest->connection && guest->rate)
		connection_rate_share(guest->connection, links->rates, guest->rate);
	links->fed(links->owner);
}

static void on_unix_accepted(int fd, const struct sockaddr_storage *from, void *owner)
{
	struct channel_unix_peer peer = {.pidfd = -1};
	struct channel channel;

	if (channel_unix_accepted(fd, &channel, &peer)) {
		close(fd);
		return;
	}
	if (peer.pidfd >= 0)
		close(peer.pidfd);
	link_accept(owner, &channel);
}

static int unix_open(struct guest *guest)
{
	struct guest_links *links = guest->links;
	int fd, err;

	if (asprintf(&guest->path, "%s/%s.guest", links->directory, guest->vm) < 0) {
		guest->path = NULL;
		return -ENOMEM;
	}
	err = channel_unix_listen(guest->path, links->mode, &fd);
	if (!err) {
		guest->acceptor =
		        acceptor_create(links->base, fd, "guest", on_unix_accepted, guest);
		if (guest->acceptor)
			return 0;
		unlink(guest->path);
		err = -ENOMEM;
	}
	free(guest->path);
	guest->path = NULL;
	return err;
}

static int virtio_connect(struct guest *guest)
{
	struct guest_links *links = guest->links;

	guest->connection = connection_connect(
	        links->base, guest->channel, &links->connections, &link_callbacks, guest);
	if (guest->connection && guest->rate)
		connection_rate_share(guest->connection, links->rates, guest->rate);
	return guest->connection ? 0 : -errno;
}

static void on_again(evutil_socket_t fd, short what, void *at)
{
	struct guest *guest = at;
	int err = virtio_connect(guest);

	if (err)
		log_error("guest-links", "%s: %s: %s", guest->vm, guest->channel, strerror(-err));
}

static int virtio_open(struct guest *guest)
{
	guest->again = evtimer_new(guest->links->base, on_again, guest);
	return guest->again ? virtio_connect(guest) : -ENOMEM;
}

/* Any program of a guest may connect over vsock. */
static void vsock_refused(
        struct guest_links *links, const struct channel_vsock_peer *peer, const char *why)
{
	char cid[32];

	snprintf(cid, sizeof(cid), "CID %u", peer->cid);
	if (!refusal_say(&links->strangers, LOG_LEVEL_WARN, "guest-links", cid,
	            "%s, port %u is not listened to: %s", cid, peer->port, why))
		relay_line_unsaid(links->relay);
}

static void on_vsock_accepted(int fd, const struct sockaddr_storage *from, void *owner)
{
	struct guest_links *links = owner;
	struct guest *guest = links->guests;
	struct channel_vsock_peer peer = {0};
	struct channel channel;
	int err = channel_vsock_accepted(fd, &channel, &peer);

	while (guest && (!guest->cid || guest->cid != peer.cid))
		guest = guest->next;
	if (!err && guest) {
		link_accept(guest, &channel);
		return;
	}
	vsock_refused(links, &peer,
	        err == -EACCES ? "any of its programs has such a port"
	        : err          ? strerror(-err)
	                       : "no VM here has that CID");
	close(fd);
}

static int vsock_listen(struct guest_links *links, uint32_t port)
{
	int fd, err = channel_vsock_listen(port, &fd);

	if (err) {
		log_error("guest-links", "vsock port %u: %s", port, strerror(-err));
		return err;
	}
	links->vsock = acceptor_create(links->base, fd, "guest", on_vsock_accepted, links);
	return links->vsock ? 0 : -ENOMEM;
}

static void settings_take(struct guest_links *links, const struct connection_settings *connections)
{
	links->connections = *connections;
	links->connections.frames_per_s = FRAMES_PER_S;
	links->connections.frames_at_once = FRAMES_AT_ONCE;
}

struct guest_links *guest_links_create(struct event_base *base,
        const struct guest_links_settings *settings, const struct connection_settings *connections,
        struct relay *relay, void (*fed)(void *owner), void *owner)
{
	struct guest_links *links = calloc(1, sizeof(*links));
	int err = links ? 0 : -ENOMEM;

	if (links) {
		links->base = base;
		links->mode = settings->mode;
		links->rates = settings->rates;
		links->strangers.at_once = 1;
		settings_take(links, connections);
		links->relay = relay;
		links->fed = fed;
		links->owner = owner;
		links->directory = strdup(settings->directory);
		err = links->directory ? 0 : -ENOMEM;
	}
	if (!err && settings->vsock_port)
		err = vsock_listen(links, settings->vsock_port);
	if (!err)
		return links;
	guest_links_destroy(links);
	errno = -err;
	return NULL;
}

static void guest_destroy(struct guest *guest)
{
	link_destroy(guest);
	shared_rate_release(guest->rate);
	acceptor_destroy(guest->acceptor);
	if (guest->path)
		unlink(guest->path);
	if (guest->again)
		event_free(guest->again);
	free(guest->path);
	free(guest->channel);
	free(guest);
}

void guest_links_destroy(struct guest_links *links)
{
	if (!links)
		return;
	while (links->guests) {
		struct guest *next = links->guests->next;

		guest_destroy(links->guests);
		links->guests = next;
	}
	acceptor_destroy(links->vsock);
	free(links->directory);
	free(links);
}

static struct guest **guest_find(const struct guest_links *links, const char *vm)
{
	struct guest **at = (struct guest **)&links->guests;

	while (*at && strcmp((*at)->vm, vm) != 0)
		at = &(*at)->next;
	return at;
}

static int channel_open(struct guest *guest)
{
	struct guest_channel channel;
	int err = guest_channel_parse(guest->channel, &channel);

	if (err)
		return err;
	switch (channel.kind) {
	case GUEST_CHANNEL_UNIX:
		return unix_open(guest);
	case GUEST_CHANNEL_VIRTIO:
		return virtio_open(guest);
	case GUEST_CHANNEL_VSOCK:
		guest->cid = channel.cid;
		return guest->links->vsock ? 0 : -ENOTCONN;
	default:
		return 0;
	}
}

int guest_links_open(struct guest_links *links, const char *vm, const char *channel)
{
	struct guest *guest = *guest_find(links, vm);
	int err = -ENOMEM;

	if (guest && !strcmp(guest->channel, channel))
		return 0;
	guest_links_close(links, vm);
	guest = calloc(1, sizeof(*guest) + strlen(vm) + 1);
	if (!guest)
		return -ENOMEM;
	strcpy(guest->vm, vm);
	guest->links = links;
	guest->channel = strdup(channel);
	if (links->rates)
		guest->rate = shared_rate_hold(links->rates, vm, monotonic_ms());
	if (guest->channel && !guest->rate == !links->rates)
		err = channel_open(guest);
	if (err) {
		log_error("guest-links", "%s: %s: %s", vm, channel,
		        err == -ENOTCONN ? "no vsock_port is set" : strerror(-err));
		guest_destroy(guest);
		return err;
	}
	guest->next = links->guests;
	links->guests = guest;
	return 0;
}

void guest_links_close(struct guest_links *links, const char *vm)
{
	struct guest **at = guest_find(links, vm);
	struct guest *guest = *at;

	if (!guest)
		return;
	*at = guest->next;
	guest_destroy(guest);
}

static struct guest *guest_of_child(const struct guest_links *links, uint32_t child)
{
	struct guest *guest = links->guests;

	while (guest && (!child || guest->child != child))
		guest = guest->next;
	return guest;
}

static void refusals_tell(struct guest *guest, const Tether__HelloAnswer *answer)
{
	for (size_t i = 0; i < answer->n_refusals; i++)
		refusal_tell(guest->links, LOG_LEVEL_WARN, "guest-links", guest->vm,
		        "%s: its guest is refused: %s: %s", guest->vm, answer->refusals[i]->reason,
		        answer->refusals[i]->text);
}

void guest_links_send(struct guest_links *links, uint32_t child, const Tether__Frame *frame)
{
	struct guest *guest = guest_of_child(links, child);
	int err = guest ? connection_send(guest->connection, frame) : 0;

	if (guest && frame->body_case == TETHER__FRAME__BODY_HELLO_ANSWER)
		refusals_tell(guest, frame->hello_answer);
	if (err && err != -ENOTCONN)
		refusal_tell(links, LOG_LEVEL_WARN, "guest-links", guest->vm,
		        "%s: its guest does not get a frame: %s", guest->vm, strerror(-err));
}

void guest_links_end(struct guest_links *links, uint32_t child, const char *why)
{
	struct guest *guest = guest_of_child(links, child);

	if (guest)
		send_away(guest, why);
}

void guest_links_settings_set(
        struct guest_links *links, const struct connection_settings *connections)
{
	bool beat_changed = connections->heartbeat_ms != links->connections.heartbeat_ms;

	settings_take(links, connections);
	for (struct guest *guest = links->guests; guest; guest = guest->next) {
		if (!guest->connection)
			continue;
		connection_settings_set(guest->connection, &links->connections);
		/* It is told how often to say something when it is welcomed. */
		if (beat_changed && connection_is_open(guest->connection))
			connection_drop(guest->connection, "its heartbeat is another now");
	}
}
