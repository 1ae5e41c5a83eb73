/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/channel_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t channel_socket_receive(struct channel *channel, void *bytes, size_t size)
{
	ssize_t count;

	do
		count = recv(channel->fd, bytes, size, 0);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

ssize_t channel_socket_send(struct channel *channel, const void *bytes, size_t size)
{
	ssize_t count;

	do
		count = send(channel->fd, bytes, size, MSG_NOSIGNAL);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

void channel_socket_close(struct channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
}
