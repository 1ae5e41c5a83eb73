/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/agent_socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/base/log.h"
#include "preload/settings.h"

static struct {
	int fd;       /* -1: not connected */
	dev_t device; /* of the socket that we are connected to */
	ino_t inode;
	struct frame_reader reader;
	uint8_t *out;
	size_t out_start, out_end, out_size;
} wire = {.fd = -1};

static int socket_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = settings()->agent_path;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int agent_socket_connect(void)
{
	struct stat at;
	int fd = socket_open();

	if (fd < 0)
		return fd;
	wire.fd = fd;
	if (!stat(settings()->agent_path, &at)) {
		wire.device = at.st_dev;
		wire.inode = at.st_ino;
	}
	return 0;
}

void agent_socket_close(void)
{
	close(wire.fd);
	wire.fd = -1;
	frame_reader_clear(&wire.reader);
	wire.out_start = wire.out_end = 0;
}

void agent_socket_forget(void)
{
	if (wire.fd >= 0)
		close(wire.fd);
	memset(&wire, 0, sizeof(wire));
	wire.fd = -1;
}

int agent_socket_fd(void)
{
	return wire.fd;
}

bool agent_socket_has_unsent(void)
{
	return wire.out_start != wire.out_end;
}

bool agent_socket_has_changed(void)
{
	struct stat at;

	return !stat(settings()->agent_path, &at) &&
	       (at.st_dev != wire.device || at.st_ino != wire.inode);
}

static int out_room(size_t length)
{
	uint8_t *grown;

	if (wire.out_end + length <= wire.out_size)
		return 0;
	grown = realloc(wire.out, wire.out_end + length);
	if (!grown)
		return -ENOMEM;
	wire.out = grown;
	wire.out_size = wire.out_end + length;
	return 0;
}

void agent_socket_pack(const Tether__Frame *frame)
{
	size_t length;

	if (wire.fd < 0)
		return;
	if (frame_size(frame, &length) || out_room(length)) {
		log_error("link", "a frame cannot be sent");
		return;
	}
	frame_write(frame, wire.out + wire.out_end, length);
	wire.out_end += length;
}

int agent_socket_flush(void)
{
	while (wire.fd >= 0 && wire.out_start != wire.out_end) {
		ssize_t sent = send(wire.fd, wire.out + wire.out_start,
		        wire.out_end - wire.out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0)
			wire.out_start += (size_t)sent;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return 0;
		else if (errno != EINTR)
			return -errno;
	}
	wire.out_start = wire.out_end = 0;
	return 0;
}

ssize_t agent_socket_receive(void)
{
	uint8_t *at;
	size_t room;
	ssize_t got;

	if (frame_reader_room(&wire.reader, &at, &room))
		return -ENOMEM;
	do
		got = recv(wire.fd, at, room, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		frame_reader_received(&wire.reader, (size_t)got);
	return got < 0 ? -errno : got;
}

int agent_socket_next(Tether__Frame **frame)
{
	return frame_reader_next(&wire.reader, frame);
}
