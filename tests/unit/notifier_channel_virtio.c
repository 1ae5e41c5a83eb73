/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Both ends of a virtio-serial port. A socket pair is a port whose ends both are there. A
 * terminal's master side is as the device in a VM is: while nobody has the other side open it says
 * so all the time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "notifier/base/cleanup.h"
#include "notifier/channel/channel_unix.h"
#include "notifier/channel/channel_virtio.h"
#include "notifier/channel/session.h"
#include "tests/unit/socket_place.h"

enum { PATIENCE_MS = 20000 };

static void over(int fd, struct channel *channel)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(channel_virtio_over(fd, channel), 0);
}

static void pair_make(struct channel *guest, struct channel *host)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	over(fds[0], guest);
	over(fds[1], host);
}

/* What is written to a terminal need not be readable yet when write(2) returns. */
static void wait_for(const struct channel *one, const struct channel *other)
{
	struct pollfd fds[] = {
	        {.fd = one->fd, .events = POLLIN},
	        {.fd = other ? other->fd : -1, .events = POLLIN},
	};

	assert_true(poll(fds, 2, PATIENCE_MS) > 0);
}

static void both_stand(struct channel *guest, struct channel *host)
{
	int one = guest->ops->connected(guest), other = host->ops->connected(host);

	while (one == -ENOLINK || other == -ENOLINK) {
		wait_for(one ? guest : host, one && other ? host : NULL);
		if (one)
			one = guest->ops->connected(guest);
		if (other)
			other = host->ops->connected(host);
	}
	assert_int_equal(one, 0);
	assert_int_equal(other, 0);
}

static void channel_close(struct channel *channel)
{
	channel->ops->close(channel);
}

static void say(struct channel *channel, const char *text)
{
	assert_int_equal(channel->ops->send(channel, text, strlen(text)), strlen(text));
}

static void hear(struct channel *channel, const char *text)
{
	char got[64];
	ssize_t count = channel->ops->receive(channel, got, sizeof(got));

	while (count == -EAGAIN) { /* a mark that was said twice is nothing to receive */
		wait_for(channel, NULL);
		count = channel->ops->receive(channel, got, sizeof(got));
	}
	assert_int_equal(count, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static void hear_nothing(struct channel *channel, int why)
{
	assert_int_equal(channel->ops->receive(channel, (char[64]){0}, 64), why);
}

static void both_ends_meet(void **state)
{
	struct channel guest, host;

	pair_make(&guest, &host);
	assert_int_equal(guest.ops->connected(&guest), -ENOLINK);
	assert_int_equal(guest.ops->connected(&guest), -ENOLINK);
	both_stand(&guest, &host);
	say(&guest, "up");
	say(&host, "down");
	hear(&host, "up");
	hear(&guest, "down");
	hear_nothing(&guest, -EAGAIN);
	channel_close(&guest);
	hear_nothing(&host, 0);
	channel_close(&host);
}

/* Its descriptor is not readable for it. */
static void what_comes_along_with_the_mark_is_kept(void **state)
{
	struct channel guest, host;

	pair_make(&guest, &host);
	assert_int_equal(guest.ops->connected(&guest), -ENOLINK);
	assert_int_equal(host.ops->connected(&host), -ENOLINK);
	assert_int_equal(guest.ops->connected(&guest), 0);
	say(&guest, "hello");
	assert_int_equal(host.ops->connected(&host), 0);
	assert_true(host.ops->pending(&host));
	hear(&host, "hello");
	assert_false(host.ops->pending(&host));
	channel_close(&guest);
	channel_close(&host);
}

/* The agent in the guest is started again, and the port's socket knows nothing of it. */
static void successor_ends_the_link(void **state)
{
	struct channel guest, successor, host;

	pair_make(&guest, &host);
	both_stand(&guest, &host);
	say(&guest, "last word");
	over(dup(guest.fd), &successor);
	channel_close(&guest);
	assert_int_equal(successor.ops->connected(&successor), -ENOLINK);
	hear(&host, "last word");
	assert_true(host.ops->pending(&host));
	hear_nothing(&host, 0);
	channel_close(&successor);
	channel_close(&host);
}

static void socket_that_is_closed_has_failed(void **state)
{
	struct channel guest, host;

	pair_make(&guest, &host);
	assert_int_equal(host.ops->connected(&host), -ENOLINK);
	assert_int_equal(guest.ops->connected(&guest), -ENOLINK);
	channel_close(&guest);
	assert_int_equal(host.ops->connected(&host), -EPIPE);
	channel_close(&host);
}

/* Every byte of it is stuffed, so that a write may end between the two halves of one. */
static void full_port_takes_all_in_the_end(void **state)
{
	enum { COUNT = 300000, PIECE = 777 }; /* odd, so that pairs are cut in reading as well */
	CLEANUP_FREE uint8_t *bytes = malloc(COUNT), *got = malloc(COUNT + PIECE);
	size_t sent = 0, received = 0;
	struct channel guest, host;
	int least = 1;

	pair_make(&guest, &host);
	both_stand(&guest, &host);
	setsockopt(guest.fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	for (size_t i = 0; i < COUNT; i++)
		bytes[i] = i % 3 ? 0x7d : 0x7e;
	while (received < COUNT) {
		ssize_t count = guest.ops->send(&guest, bytes + sent, COUNT - sent);

		if (sent < COUNT)
			assert_true(count > 0 || count == -EAGAIN);
		sent += sent < COUNT && count > 0 ? (size_t)count : 0;
		count = host.ops->receive(&host, got + received, PIECE);
		assert_true(count > 0 || count == -EAGAIN);
		received += count > 0 ? (size_t)count : 0;
	}
	assert_memory_equal(bytes, got, COUNT);
	channel_close(&guest);
	channel_close(&host);
}

struct terminal {
	int master;
	char path[64];
};

static int line_open(const struct terminal *terminal)
{
	struct termios line;
	int fd = open(terminal->path, O_RDWR | O_NONBLOCK | O_NOCTTY);

	assert_true(fd >= 0);
	tcgetattr(fd, &line);
	cfmakeraw(&line);
	tcsetattr(fd, TCSANOW, &line);
	return fd;
}

static void terminal_make(struct terminal *terminal)
{
	terminal->master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_int_equal(grantpt(terminal->master), 0);
	assert_int_equal(unlockpt(terminal->master), 0);
	assert_int_equal(ptsname_r(terminal->master, terminal->path, sizeof(terminal->path)), 0);
	close(line_open(terminal)); /* from now on it is said that nobody is there */
}

static void device_says_that_nobody_is_there(void **state)
{
	struct pollfd poll_fd = {.events = POLLIN};
	struct terminal terminal;
	struct channel guest, host;
	int line;

	terminal_make(&terminal);
	over(terminal.master, &guest);
	poll_fd.fd = guest.fd;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(poll(&poll_fd, 1, 0), 1);
		assert_true(poll_fd.revents & POLLHUP);
		assert_int_equal(guest.ops->connected(&guest), -EHOSTDOWN);
	}
	for (int i = 0; i < 2; i++) { /* the host's agent, and the one after it */
		line = line_open(&terminal);
		assert_int_equal(guest.ops->connected(&guest), -ENOLINK);
		close(line);
		assert_int_equal(guest.ops->connected(&guest), -EHOSTDOWN);
	}
	over(line_open(&terminal), &host);
	both_stand(&guest, &host);
	say(&host, "down");
	hear(&guest, "down");
	channel_close(&host);
	hear_nothing(&guest, 0);
	channel_close(&guest);
}

static void path_says_which_end_it_is(void **state)
{
	struct channel guest = {.fd = -1}, host = {.fd = -1}, accepted;
	struct terminal terminal;
	struct place place;
	int listener, fd;

	place_make(&place);
	assert_int_equal(channel_virtio_ops.connect(&host, place.path), -ENOENT);
	assert_int_equal(channel_unix_listen(place.path, 0600, &listener), 0);
	assert_int_equal(channel_virtio_ops.connect(&host, place.path), -EINPROGRESS);
	fd = accept(listener, NULL, NULL);
	over(fd, &accepted);
	both_stand(&host, &accepted);
	channel_close(&accepted);
	channel_close(&host);
	terminal_make(&terminal);
	assert_int_equal(channel_virtio_ops.connect(&guest, terminal.path), -EINPROGRESS);
	over(terminal.master, &host);
	both_stand(&guest, &host);
	say(&guest, "a line\r\n\x03\x04");
	hear(&host, "a line\r\n\x03\x04");
	channel_close(&guest);
	channel_close(&host);
	close(listener);
	place_remove(&place);
}

/* And may be plugged in again, as another device. */
static void device_that_is_unplugged_has_failed(void **state)
{
	struct channel guest = {.fd = -1};
	struct terminal terminal;

	terminal_make(&terminal);
	assert_int_equal(channel_virtio_ops.connect(&guest, terminal.path), -EINPROGRESS);
	assert_int_equal(guest.ops->connected(&guest), -ENOLINK);
	close(terminal.master);
	assert_int_equal(guest.ops->connected(&guest), -ENODEV);
	channel_close(&guest);
}

/* It costs the host little, however much it says. */
static void guest_without_a_session_is_listened_to_slowly(void **state)
{
	static uint8_t rubbish[4096];
	struct channel guest, host;
	int err = -ENOLINK;

	pair_make(&guest, &host);
	for (size_t sent = 0; sent <= 4 << 20; sent += sizeof(rubbish)) {
		assert_int_equal(err, -ENOLINK);
		assert_int_equal(write(guest.fd, rubbish, sizeof(rubbish)), sizeof(rubbish));
		err = host.ops->connected(&host);
	}
	assert_int_equal(err, -EHOSTDOWN);
	for (int i = 0; i < 3; i++) {
		guest.ops->connected(&guest);
		err = host.ops->connected(&host);
	}
	assert_int_equal(err, 0);
	channel_close(&guest);
	channel_close(&host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(both_ends_meet),
	        cmocka_unit_test(what_comes_along_with_the_mark_is_kept),
	        cmocka_unit_test(successor_ends_the_link),
	        cmocka_unit_test(socket_that_is_closed_has_failed),
	        cmocka_unit_test(full_port_takes_all_in_the_end),
	        cmocka_unit_test(device_says_that_nobody_is_there),
	        cmocka_unit_test(path_says_which_end_it_is),
	        cmocka_unit_test(device_that_is_unplugged_has_failed),
	        cmocka_unit_test(guest_without_a_session_is_listened_to_slowly),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("notifier_channel_virtio", tests, NULL, NULL);
}
