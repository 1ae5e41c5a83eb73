/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Links over vsock, "vsock:CID:PORT": a guest to the physical server that it runs on (CID 2). The
 * hypervisor says which guest is at the other end, by its CID; that it is not just any program of
 * it, the port does: one below 1024 takes privilege.
 */
#ifndef TETHER_CHANNEL_VSOCK_H
#define TETHER_CHANNEL_VSOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/channel/channel.h"

extern const struct channel_ops channel_vsock_ops;

struct channel_vsock_peer {
	uint32_t cid;
	uint32_t port;
};

/* Listen at @port for whoever comes. The descriptor is non-blocking and close-on-exec. -errno */
int channel_vsock_listen(uint32_t port, int *fd);

/* A channel over the accepted @fd, which is the caller's until 0 is returned. -EACCES: the peer has
 * no privileged port; @peer is said all the same. */
int channel_vsock_accepted(int fd, struct channel *channel, struct channel_vsock_peer *peer);

/* "2:4710". -EINVAL */
int channel_vsock_address(const char *text, struct channel_vsock_peer *address);

#endif
