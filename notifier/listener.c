/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/channel_tls.h"
#include "notifier/channel_unix.h"
#include "notifier/tcp_address.h"

enum {
	NO_DESCRIPTOR_PAUSE_MS = 100,
	HANDSHAKES_MOST = 256, /* under way at a time; who brings one more ends the oldest */
	ADDRESS_BYTES = 256,
};

/* One address. */
struct place {
	struct place *next;
	struct listener *listener;
	const struct channel_ops *ops;
	int fd;
	char *path; /* of a unix socket */
	struct event *acceptable, *again;
};

struct listener {
	struct event_base *base;
	struct credentials *credentials;
	listener_accepted accepted;
	void *owner;
	struct place *places;
};

/* ---- addresses ---- */

/* The next word of *@at, which then stands behind it. False: there is none, or it is too long. */
static bool word_next(const char **at, char word[static ADDRESS_BYTES])
{
	size_t length;

	*at += strspn(*at, " \t");
	length = strcspn(*at, " \t");
	if (!length || length >= ADDRESS_BYTES)
		return false;
	memcpy(word, *at, length);
	word[length] = 0;
	*at += length;
	return true;
}

static bool address_take(const char *address, const struct channel_ops **ops, const char **rest)
{
	if (channel_address(address, ops, rest))
		return false;
	return *ops == &channel_tls_ops || (*ops == &channel_unix_ops && **rest == '/');
}

bool listener_fits(const char *addresses)
{
	const struct channel_ops *ops;
	char word[ADDRESS_BYTES];
	const char *rest;
	size_t count = 0;

	for (; word_next(&addresses, word); count++)
		if (!address_take(word, &ops, &rest))
			return false;
	return count && !*addresses;
}

bool listener_wants_credentials(const char *addresses)
{
	const struct channel_ops *ops;
	char word[ADDRESS_BYTES];
	const char *rest;

	while (word_next(&addresses, word))
		if (address_take(word, &ops, &rest) && ops == &channel_tls_ops)
			return true;
	return false;
}

/* ---- accepting ---- */

static void accepting_pause(struct place *place)
{
	struct timeval pause = {0, NO_DESCRIPTOR_PAUSE_MS * 1000};

	event_del(place->acceptable);
	evtimer_add(place->again, &pause);
}

static void on_again(evutil_socket_t unused, short what, void *at)
{
	struct place *place = at;

	event_add(place->acceptable, NULL);
}

static bool is_trusted(const struct channel_unix_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

/* Takes @fd. */
static bool unix_take(int fd, struct channel *channel)
{
	struct channel_unix_peer peer = {.pidfd = -1};

	if (channel_unix_accepted(fd, channel, &peer)) {
		close(fd);
		return false;
	}
	if (peer.pidfd >= 0)
		close(peer.pidfd);
	if (is_trusted(&peer))
		return true;
	log_warn("listener", "uid %u may not be an agent", (unsigned)peer.uid);
	channel->ops->close(channel);
	return false;
}

static bool tls_take(struct listener *listener, int fd, const struct sockaddr_storage *peer,
        struct channel *channel)
{
	int err = channel_tls_accepted(fd, peer, listener->credentials, channel);

	if (!err)
		return true;
	log_error("listener", "a link is refused: %s", strerror(-err));
	close(fd);
	return false;
}

/* Where many come at once and each gives up before its turn, nobody would get in: all the time went
 * into handshakes with those who have gone. */
static bool has_hung_up(int fd)
{
	struct pollfd link = {.fd = fd, .events = POLLRDHUP};

	return poll(&link, 1, 0) == 1 && link.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void gone_refuse(struct listener *listener, const struct sockaddr_storage *peer)
{
	char place[TCP_ADDRESS_BYTES];

	tcp_address_write(peer, place);
	credentials_counting(listener->credentials)->refused[TLS_REFUSAL_BROKEN_OFF]++;
	log_warn("listener", "%s is refused: %s", place, tls_refusal_text(TLS_REFUSAL_BROKEN_OFF));
}

static void on_acceptable(evutil_socket_t fd, short what, void *at)
{
	struct place *place = at;
	struct listener *listener = place->listener;
	bool is_tls = place->ops == &channel_tls_ops;
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof(peer);
	struct channel channel;
	int taken;

	taken = accept4(fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (taken < 0) {
		if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
			return;
		/* What waits stays acceptable: without a pause the loop would do nothing else. */
		log_error("listener", "no agent can be accepted, accepting pauses: %s",
		        strerror(errno));
		accepting_pause(place);
		return;
	}
	if (is_tls && has_hung_up(taken)) {
		gone_refuse(listener, &peer);
		close(taken);
		return;
	}
	if (is_tls && credentials_handshakes(listener->credentials) >= HANDSHAKES_MOST)
		channel_tls_give_up_oldest(listener->credentials);
	if (is_tls ? tls_take(listener, taken, &peer, &channel) : unix_take(taken, &channel))
		listener->accepted(&channel, listener->owner);
}

/* ---- life ---- */

static void place_destroy(struct place *place)
{
	if (place->acceptable)
		event_free(place->acceptable);
	if (place->again)
		event_free(place->again);
	if (place->fd >= 0) {
		close(place->fd);
		if (place->path)
			unlink(place->path);
	}
	free(place->path);
	free(place);
}

static int place_listen(struct place *place, const char *rest)
{
	CLEANUP_FREE char *at = NULL;
	int err;

	if (place->ops == &channel_unix_ops) {
		place->path = strdup(rest);
		return place->path ? channel_unix_listen(rest, 0600, &place->fd) : -ENOMEM;
	}
	if (!place->listener->credentials)
		return -ENOKEY;
	err = channel_tls_listen(rest, &place->fd, &at);
	if (!err)
		log_info("listener", "TLS at %s", at);
	return err;
}

static int place_watch(struct place *place)
{
	struct event_base *base = place->listener->base;

	place->acceptable = event_new(base, place->fd, EV_READ | EV_PERSIST, on_acceptable, place);
	place->again = evtimer_new(base, on_again, place);
	if (!place->acceptable || !place->again || event_add(place->acceptable, NULL))
		return -ENOMEM;
	return 0;
}

static int place_add(struct listener *listener, const char *address)
{
	struct place *place = calloc(1, sizeof(*place));
	const char *rest;
	int err = -EPROTONOSUPPORT;

	if (!place)
		return -ENOMEM;
	place->listener = listener;
	place->fd = -1;
	if (address_take(address, &place->ops, &rest))
		err = place_listen(place, rest);
	if (!err)
		err = place_watch(place);
	if (err) {
		log_error("listener", "%s: %s", address, strerror(-err));
		place_destroy(place);
		return err;
	}
	place->next = listener->places;
	listener->places = place;
	return 0;
}

int listener_create(struct event_base *base, const char *addresses, struct credentials *credentials,
        listener_accepted accepted, void *owner, struct listener **made)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	char word[ADDRESS_BYTES];
	int err = 0;

	if (!listener)
		return -ENOMEM;
	listener->base = base;
	listener->credentials = credentials;
	listener->accepted = accepted;
	listener->owner = owner;
	while (!err && word_next(&addresses, word))
		err = place_add(listener, word);
	if (err) {
		listener_destroy(listener);
		return err;
	}
	*made = listener;
	return 0;
}

void listener_destroy(struct listener *listener)
{
	if (!listener)
		return;
	while (listener->places) {
		struct place *next = listener->places->next;

		place_destroy(listener->places);
		listener->places = next;
	}
	free(listener);
}
