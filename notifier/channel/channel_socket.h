/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What channels over a stream socket do alike, whatever its family. */
#ifndef TETHER_CHANNEL_SOCKET_H
#define TETHER_CHANNEL_SOCKET_H

#include "notifier/channel/channel.h"

ssize_t channel_socket_receive(struct channel *channel, void *bytes, size_t size);
ssize_t channel_socket_send(struct channel *channel, const void *bytes, size_t size);
void channel_socket_close(struct channel *channel);

#endif
