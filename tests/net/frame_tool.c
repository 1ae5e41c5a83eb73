/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Frames as lines of JSON, so that a test in any language can be a root, a host or a process:
 *
 *	frame_tool listen PATH      a root, or an agent: takes any number of links
 *	frame_tool connect PATH     one link
 *
 * In:  {"link": 1, "frame": {"event": {...}}}   {"link": 1, "raw": "00000002ff"}   {"link": 1,
 *      "close": true}
 * Out: {"link": 1, "opened": true}   {"link": 1, "frame": {...}}   {"link": 1, "closed": "why"}
 *
 * Ends with its standard input. Heartbeats are answered by heartbeats and not shown;
 * frames are not counted.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/wire/frame.h"
#include "tests/net/frame_json.h"

enum { LINKS_MOST = 256 };

struct link {
	int fd; /* -1: not in use */
	struct frame_reader reader;
};

static struct link links[LINKS_MOST];

static void say(struct json_object *line)
{
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(line);
}

static struct json_object *line_of(size_t link)
{
	struct json_object *line = json_object_new_object();

	json_object_object_add(line, "link", json_object_new_int64(link));
	return line;
}

static void link_open(int fd)
{
	struct json_object *line;
	size_t i = 1;

	while (i < LINKS_MOST && links[i].fd >= 0)
		i++;
	if (i == LINKS_MOST) {
		close(fd);
		return;
	}
	links[i] = (struct link){.fd = fd};
	line = line_of(i);
	json_object_object_add(line, "opened", json_object_new_boolean(true));
	say(line);
}

static void link_close(size_t i, const char *why)
{
	struct json_object *line = line_of(i);

	close(links[i].fd);
	frame_reader_clear(&links[i].reader);
	links[i].fd = -1;
	json_object_object_add(line, "closed", json_object_new_string(why));
	say(line);
}

static void bytes_send(size_t i, const uint8_t *bytes, size_t length)
{
	while (length) {
		ssize_t count = send(links[i].fd, bytes, length, MSG_NOSIGNAL);

		if (count < 0)
			return; /* its end is read */
		bytes += count;
		length -= count;
	}
}

static void frame_send(size_t i, const Tether__Frame *frame)
{
	CLEANUP_FREE uint8_t *bytes = NULL;
	size_t length;

	if (!frame_encode(frame, &bytes, &length))
		bytes_send(i, bytes, length);
}

static void frame_in(size_t i, Tether__Frame *frame)
{
	Tether__Heartbeat beat = TETHER__HEARTBEAT__INIT;
	Tether__Frame answer = TETHER__FRAME__INIT;
	struct json_object *line;

	if (frame->body_case == TETHER__FRAME__BODY_HEARTBEAT) {
		answer.body_case = frame->body_case;
		answer.heartbeat = &beat;
		beat.count = frame->heartbeat->count;
		frame_send(i, &answer);
	} else {
		line = line_of(i);
		json_object_object_add(line, "frame", message_to_json(&frame->base));
		say(line);
	}
	frame_free(frame);
}

static void link_read(size_t i)
{
	Tether__Frame *frame;
	uint8_t *at;
	size_t room;
	ssize_t count;
	int got;

	if (frame_reader_room(&links[i].reader, &at, &room)) {
		link_close(i, "no memory");
		return;
	}
	count = recv(links[i].fd, at, room, 0);
	if (count <= 0) {
		link_close(i, count ? strerror(errno) : "end of stream");
		return;
	}
	frame_reader_received(&links[i].reader, count);
	while ((got = frame_reader_next(&links[i].reader, &frame)) == 1)
		frame_in(i, frame);
	if (got < 0)
		link_close(i, strerror(-got));
}

static void raw_send(size_t i, const char *text)
{
	size_t length = strlen(text) / 2;
	CLEANUP_FREE uint8_t *bytes = malloc(length + 1);
	unsigned byte;

	for (size_t at = 0; at < length && sscanf(text + 2 * at, "%2x", &byte) == 1; at++)
		bytes[at] = byte;
	bytes_send(i, bytes, length);
}

static int command(struct json_object *line)
{
	size_t i = json_object_get_int64(json_object_object_get(line, "link"));
	struct json_object *frame = json_object_object_get(line, "frame");
	struct json_object *raw = json_object_object_get(line, "raw");

	if (!i || i >= LINKS_MOST || links[i].fd < 0)
		return 0; /* has closed meanwhile */
	if (frame) {
		ProtobufCMessage *message = message_from_json(&tether__frame__descriptor, frame);

		if (!message)
			return -EINVAL;
		frame_send(i, (Tether__Frame *)message);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	if (raw)
		raw_send(i, json_object_get_string(raw));
	if (json_object_object_get(line, "close"))
		link_close(i, "closed here");
	return 0;
}

/* Whole lines of standard input. False: it has ended, or one made no sense. */
static bool commands_read(void)
{
	static char *text;
	static size_t used, size;
	char *end;
	ssize_t count;

	if (size - used < 65536) {
		char *larger = realloc(text, size + (1 << 20));

		if (!larger) {
			free(text);
			return false;
		}
		text = larger;
		size += 1 << 20;
	}
	count = read(STDIN_FILENO, text + used, size - used - 1);
	if (count <= 0) {
		free(text);
		return false;
	}
	used += count;
	text[used] = 0;
	while ((end = strchr(text, '\n'))) {
		struct json_object *line;

		*end = 0;
		line = json_tokener_parse(text);
		if (!line || command(line)) {
			fprintf(stderr, "frame_tool: cannot follow: %.200s\n", text);
			return false;
		}
		json_object_put(line);
		used -= end + 1 - text;
		memmove(text, end + 1, used + 1);
	}
	return true;
}

static int listener_open(const char *mode, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (!strcmp(mode, "connect")) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
			return -1;
		link_open(fd);
		return fd;
	}
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 128))
		return -1;
	puts("{\"listening\": true}");
	fflush(stdout);
	return fd;
}

static void run(int listener)
{
	struct pollfd polled[LINKS_MOST + 1];

	for (;;) {
		polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		polled[LINKS_MOST] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (size_t i = 1; i < LINKS_MOST; i++)
			polled[i] = (struct pollfd){.fd = links[i].fd, .events = POLLIN};
		if (poll(polled, LINKS_MOST + 1, -1) < 0)
			return;
		for (size_t i = 1; i < LINKS_MOST; i++)
			if (polled[i].revents && links[i].fd >= 0)
				link_read(i);
		if (polled[LINKS_MOST].revents)
			link_open(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		if (polled[0].revents && !commands_read())
			return;
	}
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 3 || (strcmp(argv[1], "listen") && strcmp(argv[1], "connect"))) {
		fprintf(stderr, "usage: frame_tool listen|connect PATH\n");
		return 2;
	}
	for (size_t i = 0; i < LINKS_MOST; i++)
		links[i].fd = -1;
	fd = listener_open(argv[1], argv[2]);
	if (fd < 0) {
		fprintf(stderr, "frame_tool: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	run(strcmp(argv[1], "listen") ? -1 : fd);
	for (size_t i = 1; i < LINKS_MOST; i++)
		if (links[i].fd >= 0)
			link_close(i, "ended");
	return 0;
}
