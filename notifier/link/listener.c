/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/link/listener.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/link/acceptor.h"
#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/channel/channel_tls.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/link/refusal_log.h"
#include "notifier/channel/tcp_address.h"

enum {
	HANDSHAKES_MOST = 256, /* under way at a time; who brings one more ends the oldest */
	ADDRESS_BYTES = 256,
};

/* One address. */
struct place {
	struct place *next;
	struct listener *listener;
	const struct channel_ops *ops;
	struct acceptor *acceptor;
	char *path; /* of a unix socket */
};

struct listener {
	struct event_base *base;
	struct credentials *credentials;
	listener_accepted accepted;
	void *owner;
	struct place *places;
	struct refusal_log refusals; /* by address */
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

/* Without its port, which is another each time. */
static const char *peer_host(const char *place, char host[TCP_ADDRESS_BYTES])
{
	const char *port = strrchr(place, ':');

	snprintf(host, TCP_ADDRESS_BYTES, "%.*s", port ? (int)(port - place) : 0, place);
	return host;
}

static void gone_refuse(struct listener *listener, const struct sockaddr_storage *peer)
{
	char place[TCP_ADDRESS_BYTES], host[TCP_ADDRESS_BYTES];

	tcp_address_write(peer, place);
	credentials_counting(listener->credentials)->refused[TLS_REFUSAL_BROKEN_OFF]++;
	refusal_say(&listener->refusals, LOG_LEVEL_WARN, "listener", peer_host(place, host),
	        "%s is refused: %s", place, tls_refusal_text(TLS_REFUSAL_BROKEN_OFF));
}

static void on_accepted(int fd, const struct sockaddr_storage *peer, void *owner)
{
	struct place *place = owner;
	struct listener *listener = place->listener;
	bool is_tls = place->ops == &channel_tls_ops;
	struct channel channel;

	if (is_tls && has_hung_up(fd)) {
		gone_refuse(listener, peer);
		close(fd);
		return;
	}
	if (is_tls && credentials_handshakes(listener->credentials) >= HANDSHAKES_MOST)
		channel_tls_give_up_oldest(listener->credentials);
	if (is_tls ? tls_take(listener, fd, peer, &channel) : unix_take(fd, &channel))
		listener->accepted(&channel, listener->owner);
}

/* ---- life ---- */

static void place_destroy(struct place *place)
{
	if (place->acceptor && place->path)
		unlink(place->path);
	acceptor_destroy(place->acceptor);
	free(place->path);
	free(place);
}

static int unix_listen(struct place *place, const char *rest, int *fd)
{
	place->path = strdup(rest);
	return place->path ? channel_unix_listen(rest, 0600, fd) : -ENOMEM;
}

static int tls_listen(struct place *place, const char *rest, int *fd)
{
	CLEANUP_FREE char *at = NULL;
	int err = place->listener->credentials ? channel_tls_listen(rest, fd, &at) : -ENOKEY;

	if (!err)
		log_info("listener", "TLS at %s", at);
	return err;
}

static int place_listen(struct place *place, const char *rest)
{
	int fd, err = place->ops == &channel_unix_ops ? unix_listen(place, rest, &fd)
	                                              : tls_listen(place, rest, &fd);

	if (err)
		return err;
	place->acceptor = acceptor_create(place->listener->base, fd, "agent", on_accepted, place);
	if (place->acceptor)
		return 0;
	if (place->path)
		unlink(place->path);
	return -ENOMEM;
}

static int place_add(struct listener *listener, const char *address)
{
	struct place *place = calloc(1, sizeof(*place));
	const char *rest;
	int err = -EPROTONOSUPPORT;

	if (!place)
		return -ENOMEM;
	place->listener = listener;
	if (address_take(address, &place->ops, &rest))
		err = place_listen(place, rest);
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
