/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/channel_vsock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/channel_socket.h"

enum {
	BACKLOG = 128,
	PRIVILEGED_LAST = 1023,
	PRIVILEGED_FIRST = 512, /* what is below is other programs' by custom */
};

static int number_read(const char **text, char end, uint32_t *number)
{
	char *behind;
	unsigned long value;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(*text, &behind, 10);
	if (errno || *behind != end || value >= VMADDR_CID_ANY)
		return -EINVAL;
	*text = behind + 1;
	*number = (uint32_t)value;
	return 0;
}

int channel_vsock_address(const char *text, struct channel_vsock_peer *address)
{
	struct channel_vsock_peer read;

	if (number_read(&text, ':', &read.cid) || number_read(&text, '\0', &read.port))
		return -EINVAL;
	*address = read;
	return 0;
}

static int vsock_socket(int *fd)
{
	*fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return *fd < 0 ? -errno : 0;
}

static int bind_at(int fd, uint32_t port)
{
	struct sockaddr_vm address = {
	        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};

	return bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

int channel_vsock_listen(uint32_t port, int *fd)
{
	CLEANUP_CLOSE int listener = -1;
	int err = vsock_socket(&listener);

	if (!err)
		err = bind_at(listener, port);
	if (!err && listen(listener, BACKLOG))
		err = -errno;
	if (err)
		return err;
	*fd = listener;
	listener = -1;
	return 0;
}

int channel_vsock_accepted(int fd, struct channel *channel, struct channel_vsock_peer *peer)
{
	struct sockaddr_vm address = {0};
	socklen_t length = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &length))
		return -errno;
	if (address.svm_family != AF_VSOCK)
		return -EAFNOSUPPORT;
	*peer = (struct channel_vsock_peer){address.svm_cid, address.svm_port};
	if (address.svm_port > PRIVILEGED_LAST)
		return -EACCES;
	*channel = (struct channel){.ops = &channel_vsock_ops, .fd = fd};
	return 0;
}

static int privileged_bind(int fd)
{
	int err = -EADDRINUSE;

	for (uint32_t port = PRIVILEGED_LAST; err == -EADDRINUSE && port >= PRIVILEGED_FIRST;
	        port--)
		err = bind_at(fd, port);
	return err;
}

static int vsock_connect(struct channel *channel, const char *text)
{
	CLEANUP_CLOSE int fd = -1;
	struct channel_vsock_peer peer;
	struct sockaddr_vm address = {.svm_family = AF_VSOCK};
	int err = channel_vsock_address(text, &peer);

	if (!err)
		err = vsock_socket(&fd);
	if (!err)
		err = privileged_bind(fd);
	if (err)
		return err;
	address.svm_cid = peer.cid;
	address.svm_port = peer.port;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err = -errno;
	if (err && err != -EINPROGRESS)
		return err;
	channel->fd = fd;
	fd = -1;
	return err;
}

static int vsock_connected(struct channel *channel)
{
	struct pollfd poll_fd = {.fd = channel->fd, .events = POLLOUT};
	int err;
	socklen_t length = sizeof(err);

	if (!poll(&poll_fd, 1, 0))
		return -EINPROGRESS;
	if (getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &err, &length))
		return -errno;
	return -err;
}

const struct channel_ops channel_vsock_ops = {
        .scheme = "vsock",
        .connect = vsock_connect,
        .connected = vsock_connected,
        .receive = channel_socket_receive,
        .send = channel_socket_send,
        .close = channel_socket_close,
};
