/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/channel/channel_virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "notifier/channel/channel_unix.h"
#include "notifier/channel/session.h"

enum {
	PORT_BYTES = 4096,
	/* What a predecessor may have left; who goes on without a session is listened to slowly. */
	SKIPPED_MOST = 4 << 20,
};

struct port {
	struct session session;
	char *path;     /* of the device; NULL: not known */
	bool has_begun; /* our mark was written to whoever is there */
	uint8_t mark[SESSION_MARK_BYTES];
	size_t mark_left; /* of it */
	bool is_half;     /* of a stuffed byte the first half is written */
	size_t skipped;   /* bytes that came before the session stood */
	size_t in_start, in_end;
	uint8_t in[PORT_BYTES]; /* came along with the mark */
};

static int number_draw(uint64_t *number)
{
	do
		if (getrandom(number, sizeof(*number), GRND_NONBLOCK) != sizeof(*number))
			return -EAGAIN;
	while (!*number);
	return 0;
}

int channel_virtio_over(int fd, struct channel *channel)
{
	struct port *port;
	uint64_t own;

	if (number_draw(&own))
		return -EAGAIN;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	session_begin(&port->session, own);
	*channel = (struct channel){.ops = &channel_virtio_ops, .fd = fd, .state = port};
	return 0;
}

/* A serial line does as well, if it passes on what it gets. */
static int device_open(const char *path, int *fd)
{
	struct termios line;
	int trial = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (trial < 0)
		return -errno;
	if (!tcgetattr(trial, &line)) {
		cfmakeraw(&line);
		tcsetattr(trial, TCSANOW, &line);
	}
	*fd = trial;
	return 0;
}

static int path_open(const char *path, int *fd)
{
	struct channel socket = {.fd = -1};
	struct stat status;
	int err;

	if (stat(path, &status))
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return device_open(path, fd);
	err = channel_unix_ops.connect(&socket, path);
	*fd = socket.fd;
	return err;
}

static int virtio_connect(struct channel *channel, const char *path)
{
	int fd = -1;
	int err = path_open(path, &fd);

	if (err)
		return err;
	err = channel_virtio_over(fd, channel);
	if (err) {
		close(fd);
		return err;
	}
	((struct port *)channel->state)->path = strdup(path);
	return -EINPROGRESS;
}

/* Bytes of the wire; 0: there is nobody at the other end; -EAGAIN: somebody who says nothing. */
static ssize_t wire_read(int fd, uint8_t *wire, size_t size)
{
	ssize_t count;

	do
		count = read(fd, wire, size);
	while (count < 0 && errno == EINTR);
	if (count < 0 && errno == EIO)
		return 0; /* a line that was hung up */
	return count < 0 ? -errno : count;
}

static ssize_t wire_write(int fd, const uint8_t *wire, size_t count)
{
	ssize_t written;

	do
		written = write(fd, wire, count);
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	return written ? written : -EAGAIN;
}

static bool is_hung_up(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLHUP;
}

static int mark_write(struct channel *channel)
{
	struct port *port = channel->state;

	if (!port->mark_left && (port->session.owes_mark || !port->has_begun)) {
		session_mark(&port->session, port->mark);
		port->mark_left = SESSION_MARK_BYTES;
		port->has_begun = true;
	}
	while (port->mark_left) {
		ssize_t written = wire_write(channel->fd,
		        port->mark + SESSION_MARK_BYTES - port->mark_left, port->mark_left);

		if (written == -EAGAIN)
			return is_hung_up(channel->fd) ? -EPIPE : -EINPROGRESS;
		if (written < 0)
			return (int)written;
		port->mark_left -= (size_t)written;
	}
	return port->session.owes_mark ? -EINPROGRESS : 0;
}

/* The port was unplugged; behind the path may be another by now. */
static bool is_unplugged(const struct port *port, const struct stat *device)
{
	struct stat status;

	return port->path && (stat(port->path, &status) || status.st_dev != device->st_dev ||
	                             status.st_ino != device->st_ino);
}

/* The device says that nobody is there for as long as it is so, the socket is of no more use. */
static int nobody_there(struct channel *channel)
{
	struct port *port = channel->state;
	struct stat status;

	port->has_begun = false;
	port->mark_left = 0;
	if (fstat(channel->fd, &status))
		return -errno;
	if (S_ISSOCK(status.st_mode))
		return -EPIPE;
	return is_unplugged(port, &status) ? -ENODEV : -EHOSTDOWN;
}

static int virtio_connected(struct channel *channel)
{
	struct port *port = channel->state;
	ssize_t count = 0;
	int err;

	if (!port->session.stands) {
		count = wire_read(channel->fd, port->in, sizeof(port->in));
		if (!count)
			return nobody_there(channel);
		if (count < 0 && count != -EAGAIN)
			return (int)count;
	}
	if (count > 0) {
		port->in_start = 0;
		port->in_end = session_unpack(&port->session, port->in, (size_t)count, port->in);
		port->skipped += (size_t)count;
	}
	err = mark_write(channel);
	if (err)
		return err;
	if (port->session.ended)
		return -ECONNRESET;
	if (port->session.stands)
		return 0;
	return port->skipped > SKIPPED_MOST ? -EHOSTDOWN : -ENOLINK;
}

static ssize_t kept_take(struct port *port, void *bytes, size_t size)
{
	size_t count = port->in_end - port->in_start;

	if (count > size)
		count = size;
	memcpy(bytes, port->in + port->in_start, count);
	port->in_start += count;
	return (ssize_t)count;
}

static ssize_t virtio_receive(struct channel *channel, void *bytes, size_t size)
{
	struct port *port = channel->state;
	ssize_t count;

	if (port->in_start != port->in_end)
		return kept_take(port, bytes, size);
	if (port->session.ended)
		return 0;
	count = wire_read(channel->fd, bytes, size);
	if (count <= 0)
		return count;
	count = (ssize_t)session_unpack(&port->session, bytes, (size_t)count, bytes);
	if (count || port->session.ended)
		return count;
	return -EAGAIN;
}

/* What receive has without the descriptor being readable. */
static bool virtio_pending(const struct channel *channel)
{
	const struct port *port = channel->state;

	return port->in_start != port->in_end || port->session.ended;
}

static ssize_t virtio_send(struct channel *channel, const void *bytes, size_t size)
{
	struct port *port = channel->state;
	uint8_t wire[PORT_BYTES];
	size_t taken, packed = session_pack(bytes, size, wire, sizeof(wire), &taken);
	size_t done = port->is_half;
	ssize_t written = wire_write(channel->fd, wire + done, packed - done);

	if (written < 0)
		return written;
	taken = session_packed(bytes, done + (size_t)written, &port->is_half);
	return taken ? (ssize_t)taken : -EAGAIN;
}

static void virtio_close(struct channel *channel)
{
	struct port *port = channel->state;

	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
	if (port)
		free(port->path);
	free(port);
	channel->state = NULL;
}

const struct channel_ops channel_virtio_ops = {
        .scheme = "virtio",
        .connect = virtio_connect,
        .connected = virtio_connected,
        .receive = virtio_receive,
        .send = virtio_send,
        .pending = virtio_pending,
        .close = virtio_close,
};
