/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Links over a virtio-serial port, in the loop. A terminal's master side is as the device in a VM.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/channel/channel_virtio.h"
#include "notifier/link/connection.h"

enum { FRAME_MS = 40, WAIT_MS = 4 * FRAME_MS };

static const struct connection_settings quick = {
        .reconnect_ms = 1,
        .reconnect_max_ms = 20,
        .frame_ms = FRAME_MS,
        .queue_max_bytes = 100000,
};

struct end {
	struct event_base *base;
	struct connection *connection;
	unsigned opened, closed, frames;
	int reason;
};

static void on_opened(struct connection *connection, void *owner)
{
	((struct end *)owner)->opened++;
}

static void on_frame(struct connection *connection, const Tether__Frame *frame, void *owner)
{
	((struct end *)owner)->frames++;
}

static void on_closed(struct connection *connection, int reason, const char *text, void *owner)
{
	((struct end *)owner)->closed++;
	((struct end *)owner)->reason = reason;
}

static const struct connection_callbacks callbacks = {
        .opened = on_opened,
        .frame = on_frame,
        .closed = on_closed,
};

static void end_open(struct end *end, struct event_base *base, int fd)
{
	struct channel channel;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	assert_int_equal(channel_virtio_over(fd, &channel), 0);
	*end = (struct end){.base = base};
	end->connection = connection_accept(base, &channel, &quick, &callbacks, end);
	assert_non_null(end->connection);
}

static int line_open(int master)
{
	struct termios line;
	char path[64];
	int fd;

	assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
	assert_true(fd >= 0);
	tcgetattr(fd, &line);
	cfmakeraw(&line);
	tcsetattr(fd, TCSANOW, &line);
	return fd;
}

/* Nobody has the other side open, and it is said so from now on. */
static int master_make(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	close(line_open(master));
	return master;
}

static void on_time(evutil_socket_t fd, short what, void *at)
{
	*(bool *)at = true;
}

/* Turns of the loop meanwhile. */
static unsigned turns_in(struct event_base *base, unsigned ms)
{
	struct timeval wait = {.tv_usec = ms * 1000};
	unsigned turns = 0;
	bool over = false;

	event_base_once(base, -1, EV_TIMEOUT, on_time, &over, &wait);
	while (!over) {
		event_base_loop(base, EVLOOP_ONCE);
		turns++;
	}
	return turns;
}

static void loop_until(struct event_base *base, const unsigned *count, unsigned wanted)
{
	while (*count < wanted)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void beat(struct end *end)
{
	Tether__Frame frame = TETHER__FRAME__INIT;
	Tether__Interest interest = TETHER__INTEREST__INIT;

	frame.body_case = TETHER__FRAME__BODY_INTEREST;
	frame.interest = &interest;
	assert_int_equal(connection_send(end->connection, &frame), 0);
}

/* Longer than anything that has begun may take, and the loop is not kept busy by a device that says
 * all the time that nobody is there. */
static void guest_waits_for_its_host(void **state)
{
	struct event_base *base = event_base_new();
	int master = master_make();
	struct end guest, host;

	end_open(&guest, base, dup(master));
	assert_in_range(turns_in(base, WAIT_MS), 1, 20);
	assert_int_equal(guest.opened + guest.closed, 0);
	end_open(&host, base, line_open(master));
	loop_until(base, &guest.opened, 1);
	loop_until(base, &host.opened, 1);
	beat(&guest);
	beat(&host);
	loop_until(base, &host.frames, 1);
	loop_until(base, &guest.frames, 1);
	connection_destroy(host.connection);
	loop_until(base, &guest.closed, 1);
	assert_int_equal(guest.reason, -EPIPE);
	connection_destroy(guest.connection);
	close(master);
	event_base_free(base);
}

static void host_waits_for_a_guest(void **state)
{
	struct event_base *base = event_base_new();
	int master = master_make(), line = line_open(master);
	struct end guest, host;

	end_open(&host, base, line);
	assert_in_range(turns_in(base, WAIT_MS), 1, 20);
	assert_int_equal(host.opened + host.closed, 0);
	end_open(&guest, base, dup(master));
	loop_until(base, &host.opened, 1);
	connection_destroy(guest.connection);
	end_open(&guest, base, dup(master)); /* the port stays, another agent has it */
	loop_until(base, &host.closed, 1);
	assert_int_equal(host.reason, -EPIPE);
	connection_destroy(host.connection);
	connection_destroy(guest.connection);
	close(master);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(guest_waits_for_its_host),
	        cmocka_unit_test(host_waits_for_a_guest),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("notifier_port_links", tests, NULL, NULL);
}
