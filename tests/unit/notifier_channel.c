/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Unix sockets: whom they replace, and what is known of the process at the other end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "notifier/channel/channel_unix.h"
#include "tests/unit/socket_place.h"

static void only_a_stale_socket_is_replaced(void **state)
{
	struct stat status;
	struct place place;
	int first, second;
	FILE *file;

	place_make(&place);
	assert_int_equal(channel_unix_listen(place.path, 0620, &first), 0);
	assert_int_equal(stat(place.path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0620);
	assert_int_equal(channel_unix_listen(place.path, 0600, &second), -EADDRINUSE);
	close(first); /* as a killed owner leaves it */
	assert_int_equal(channel_unix_listen(place.path, 0600, &second), 0);
	close(second);
	unlink(place.path);
	file = fopen(place.path, "w");
	fclose(file);
	assert_int_equal(channel_unix_listen(place.path, 0600, &second), -EADDRINUSE);
	assert_int_equal(access(place.path, F_OK), 0);
	place_remove(&place);
}

static void end_of_the_peers_process_is_known(void **state)
{
	struct channel_unix_peer peer = {.pidfd = -1};
	struct place place;
	struct channel channel;
	int listener, fd;
	pid_t child;

	place_make(&place);
	assert_int_equal(channel_unix_listen(place.path, 0600, &listener), 0);
	fcntl(listener, F_SETFL, 0); /* the test may wait */
	child = fork();
	if (!child) {
		struct channel out = {.fd = -1};

		channel_unix_ops.connect(&out, place.path);
		pause();
		_exit(0);
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(channel_unix_accepted(fd, &channel, &peer), 0);
	assert_int_equal(peer.pid, child);
	assert_false(channel_unix_peer_ended(&peer));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(channel_unix_peer_ended(&peer));
	close(peer.pidfd);
	channel.ops->close(&channel);
	close(listener);
	place_remove(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_a_stale_socket_is_replaced),
	        cmocka_unit_test(end_of_the_peers_process_is_known),
	};

	return cmocka_run_group_tests_name("notifier_channel", tests, NULL, NULL);
}
