/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/channel_unix.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/channel_socket.h"

enum { BACKLOG = 128 };

static int address_fill(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

static int socket_connect(const char *path, int *fd)
{
	CLEANUP_CLOSE int trial = -1;
	struct sockaddr_un address;
	int err = address_fill(&address, path);

	if (err)
		return err;
	trial = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (trial < 0)
		return -errno;
	/* A full backlog is EAGAIN and never becomes writable: the caller tries again later. */
	if (connect(trial, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	*fd = trial;
	trial = -1;
	return 0;
}

/* Left behind by a listener that was killed? Then remove it. */
static int stale_remove(const char *path)
{
	CLEANUP_CLOSE int fd = -1;
	struct stat status;

	if (lstat(path, &status))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EADDRINUSE;
	if (socket_connect(path, &fd) != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

int channel_unix_listen(const char *path, mode_t mode, int *fd)
{
	CLEANUP_CLOSE int listener = -1;
	struct sockaddr_un address;
	int err = address_fill(&address, path);

	if (!err)
		err = stale_remove(path);
	if (err)
		return err;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Before bind, so that the file is at no instant open to more than @mode says. */
	if (listener < 0 || fchmod(listener, mode))
		return -errno;
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	if (chmod(path, mode) || listen(listener, BACKLOG)) {
		err = -errno;
		unlink(path);
		return err;
	}
	*fd = listener;
	listener = -1;
	return 0;
}

int channel_unix_accepted(int fd, struct channel *channel, struct channel_unix_peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length))
		return -errno;
	*peer = (struct channel_unix_peer){
	        .pid = credentials.pid,
	        .uid = credentials.uid,
	        .gid = credentials.gid,
	        .pidfd = credentials.pid > 0 ? syscall(SYS_pidfd_open, credentials.pid, 0) : -1,
	};
	*channel = (struct channel){.ops = &channel_unix_ops, .fd = fd};
	return 0;
}

bool channel_unix_peer_ended(const struct channel_unix_peer *peer)
{
	struct pollfd poll_fd = {.fd = peer->pidfd, .events = POLLIN};

	return peer->pidfd >= 0 && poll(&poll_fd, 1, 0) == 1;
}

static int unix_connect(struct channel *channel, const char *address)
{
	return socket_connect(address, &channel->fd);
}

static int unix_connected(struct channel *channel)
{
	return 0;
}

const struct channel_ops channel_unix_ops = {
        .scheme = "unix",
        .connect = unix_connect,
        .connected = unix_connected,
        .receive = channel_socket_receive,
        .send = channel_socket_send,
        .close = channel_socket_close,
};
