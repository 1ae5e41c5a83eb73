/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Links over unix stream sockets: an agent to tether-smd on one machine, a process to its agent.
 * The kernel says who is at the other end.
 */
#ifndef TETHER_CHANNEL_UNIX_H
#define TETHER_CHANNEL_UNIX_H

#include <stdbool.h>
#include <sys/types.h>

#include "notifier/channel/channel.h"

extern const struct channel_ops channel_unix_ops;

struct channel_unix_peer {
	pid_t pid; /* as this process's pid namespace numbers it */
	uid_t uid;
	gid_t gid;
	int pidfd; /* readable once that process has ended; -1: kernel without pidfds */
};

/*
 * Listen at @path with file mode @mode. A socket there at which nobody listens (its owner was
 * killed) is replaced; -EADDRINUSE: somebody does, or it is not a socket. The descriptor is
 * non-blocking and close-on-exec.
 */
int channel_unix_listen(const char *path, mode_t mode, int *fd);

/* A channel over the accepted @fd (SO_PEERCRED taken); @fd and peer->pidfd are the caller's until
 * 0 is returned. */
int channel_unix_accepted(int fd, struct channel *channel, struct channel_unix_peer *peer);

/* The process at the other end has ended, not merely its link. */
bool channel_unix_peer_ended(const struct channel_unix_peer *peer);

#endif
