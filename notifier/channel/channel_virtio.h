/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Links over a virtio-serial port: in a VM its device (/dev/virtio-ports/NAME), on the physical
 * server the unix socket where the hypervisor has its other end. One scheme for both ends; which
 * one it is the path says. A port has no connections, so both begin with a session (session.h), and
 * wait for the other without a deadline.
 */
#ifndef TETHER_CHANNEL_VIRTIO_H
#define TETHER_CHANNEL_VIRTIO_H

#include "notifier/channel/channel.h"

extern const struct channel_ops channel_virtio_ops;

/* A channel over @fd, open and non-blocking, as channel_virtio_ops.connect makes it; ask connected.
 * -ENOMEM, -EAGAIN (no chance to draw from yet): @fd is the caller's still. */
int channel_virtio_over(int fd, struct channel *channel);

#endif
