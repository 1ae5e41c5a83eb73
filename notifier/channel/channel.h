/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a link runs over: one set of operations per backend (channel_unix.c and so on). A channel is
 * one descriptor plus the backend's state; it belongs to the connection that holds it. Nothing here
 * blocks.
 */
#ifndef TETHER_CHANNEL_H
#define TETHER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct channel;
struct credentials;

struct channel_ops {
	const char *scheme; /* of addresses: "unix" in unix:/run/tether/smd.sock */
	/* Is @address (without the scheme) one of this backend's? NULL: any is. */
	bool (*fits)(const char *address);
	/* Begin to connect @channel to @address. 0: stands; -EINPROGRESS: ask connected when the
	 * descriptor is writable. */
	int (*connect)(struct channel *channel, const char *address);
	/*
	 * Of an accepted channel, too. 0: stands, handshake and all. Not yet: ask again when the
	 * descriptor is writable
	 * (-EINPROGRESS) or readable (-EAGAIN). There is nobody at the other end yet, which is no
	 * failure and has no deadline: ask when it is readable (-ENOLINK), or by and by, since it
	 * is all the time (-EHOSTDOWN). Else why it failed.
	 */
	int (*connected)(struct channel *channel);
	/* Bytes, 0 at the end of the stream, -EAGAIN, or another -errno. */
	ssize_t (*receive)(struct channel *channel, void *bytes, size_t size);
	ssize_t (*send)(struct channel *channel, const void *bytes, size_t size);
	/* There is more to receive, though the descriptor may not be readable. NULL: never. */
	bool (*pending)(const struct channel *channel);
	/* Why it has failed, in words, until close; NULL: the errno says it. The operation itself
	 * may be NULL. */
	const char *(*why)(const struct channel *channel);
	/* The credentials have changed: 0, or -EACCES if the peer would not be taken now. NULL:
	 * there is nothing to look at. */
	int (*recheck)(struct channel *channel);
	void (*close)(struct channel *channel);
};

struct channel {
	const struct channel_ops *ops;
	int fd; /* -1: closed */
	void *state;
	struct credentials *credentials; /* of TLS; outlives the channel */
};

/* "unix:/path", "tls:10.0.0.5:4710": its operations, with *@rest behind the colon.
 * -EPROTONOSUPPORT: no such backend, or not an address of it. */
int channel_address(const char *address, const struct channel_ops **ops, const char **rest);

#endif
