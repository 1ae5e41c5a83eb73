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

#include "notifier/base/deadlines.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/repeats.h"
#include "preload/settings.h"

static struct {
	int fd;       /* -1: not connected */
	dev_t device; /* of the socket that we are connected to */
	ino_t inode;
	struct frame_reader reader;
	struct repeats repeats;
	bool is_broken; /* there was no memory for a frame: it is missed by nobody, so the link ends
	                 */
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
	repeats_begin(&wire.repeats);
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
	repeats_clear(&wire.repeats);
	wire.is_broken = false;
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

static void beat_pack(bool asks);

void agent_socket_pack(const Tether__Frame *said)
{
	Tether__Frame frame = *said;
	size_t length;

	if (wire.fd < 0)
		return;
	repeats_number(&wire.repeats, &frame);
	if (frame_size(&frame, &length) || out_room(length)) {
		log_error("link", "a frame cannot be sent");
		wire.is_broken = true;
		return;
	}
	frame_write(&frame, wire.out + wire.out_end, length);
	wire.out_end += length;
	if (repeats_said(&wire.repeats, &frame, wire.out + wire.out_end - length, length,
	            monotonic_ms(), deadlines_default.ask_ms)) {
		log_error("link", "a frame cannot be kept, to be sent again");
		wire.is_broken = true;
	}
	if (repeats_is_much(&wire.repeats))
		beat_pack(true);
}

static void beat_pack(bool asks)
{
	Tether__Heartbeat beat = TETHER__HEARTBEAT__INIT;
	Tether__Frame frame = TETHER__FRAME__INIT;

	repeats_beat(&wire.repeats, &beat, asks);
	if (asks)
		repeats_asked(&wire.repeats, monotonic_ms(), deadlines_default.ask_ms);
	frame.body_case = TETHER__FRAME__BODY_HEARTBEAT;
	frame.heartbeat = &beat;
	agent_socket_pack(&frame);
}

int64_t agent_socket_wait(uint64_t now_ms)
{
	return wire.fd < 0 ? -1 : repeats_wait(&wire.repeats, now_ms, deadlines_default.ask_ms);
}

void agent_socket_turn(uint64_t now_ms)
{
	if (agent_socket_wait(now_ms))
		return;
	if (agent_socket_has_unsent())
		repeats_asked(&wire.repeats, now_ms, deadlines_default.ask_ms);
	else
		beat_pack(true);
}

/* Where all that was said has been taken. */
static void again_pack(void)
{
	const uint8_t *bytes;
	size_t length;

	repeats_again(&wire.repeats, &bytes, &length);
	if (agent_socket_has_unsent() || !length || out_room(length))
		return;
	memcpy(wire.out + wire.out_end, bytes, length);
	wire.out_end += length;
	beat_pack(true);
}

int agent_socket_flush(void)
{
	if (wire.is_broken)
		return -ENOMEM;
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

static bool is_next(const Tether__Frame *frame)
{
	unsigned then =
	        repeats_heard(&wire.repeats, frame, monotonic_ms(), deadlines_default.ask_ms);

	if (then & REPEATS_AGAIN)
		again_pack();
	else if (then & REPEATS_SPEAK)
		beat_pack(false);
	return then & REPEATS_PASS;
}

int agent_socket_next(Tether__Frame **frame)
{
	int got;

	while ((got = frame_reader_next(&wire.reader, frame)) > 0) {
		if (is_next(*frame))
			return got;
		frame_free(*frame);
	}
	return got;
}
