/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* The plugin's socket: who may take it, what a connection gets, and that its end is told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "sm-side/plugin/sm_request.h"
#include "sm-side/plugin/sm_server.h"

static char directory[] = "/tmp/tether-sm-server-XXXXXX";
static char path[64];

/* What the callbacks have seen. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned closed;
	unsigned last_closed;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* "NUMBER:LINE"; a line "end" ends the connection. */
static char *echo(void *owner, unsigned connection, const char *line, size_t bytes)
{
	char *answer = malloc(bytes + 32);

	if (bytes == 3 && !memcmp(line, "end", 3)) {
		free(answer);
		return NULL;
	}
	sprintf(answer, "%u:%.*s", connection, (int)bytes, line);
	return answer;
}

static void closed(void *owner, unsigned connection)
{
	pthread_mutex_lock(&seen.lock);
	seen.closed++;
	seen.last_closed = connection;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

/* Which one was the last. */
static unsigned wait_closed(unsigned count)
{
	unsigned last;

	pthread_mutex_lock(&seen.lock);
	while (seen.closed < count)
		pthread_cond_wait(&seen.changed, &seen.lock);
	last = seen.last_closed;
	pthread_mutex_unlock(&seen.lock);
	return last;
}

static const struct sm_server_callbacks callbacks = {.answer = echo, .closed = closed};

static struct sm_server *serve(void)
{
	struct sm_server *server;

	seen.closed = 0;
	assert_int_equal(sm_server_create(path, &callbacks, NULL, &server), 0);
	return server;
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Up to and with the next newline; "" at the end. */
static const char *hear(int fd)
{
	static char line[256];
	size_t used = 0;

	while (used < sizeof(line) - 1 && recv(fd, line + used, 1, 0) == 1)
		if (line[used++] == '\n')
			break;
	line[used] = 0;
	return line;
}

static void lines_are_answered_in_order_however_they_arrive(void **state)
{
	struct sm_server *server = serve();
	int fd = dial();

	say(fd, "one\ntwo\nth");
	assert_string_equal(hear(fd), "1:one\n");
	assert_string_equal(hear(fd), "1:two\n");
	say(fd, "ree\n");
	assert_string_equal(hear(fd), "1:three\n");
	close(fd);
	wait_closed(1);
	sm_server_destroy(server);
}

static void the_end_of_a_connection_is_told_with_its_number(void **state)
{
	struct sm_server *server = serve();
	int first = dial(), second;

	say(first, "a\n");
	hear(first);
	second = dial();
	say(second, "b\n");
	assert_string_equal(hear(second), "2:b\n");
	close(second);
	assert_int_equal(wait_closed(1), 2);
	say(first, "end\n");
	assert_string_equal(hear(first), "");
	wait_closed(2);
	close(first);
	sm_server_destroy(server);
}

static void a_line_without_end_ends_the_connection(void **state)
{
	struct sm_server *server = serve();
	char *flood = malloc(SM_REQUEST_BYTES_MAX);
	int fd = dial();

	memset(flood, 'x', SM_REQUEST_BYTES_MAX);
	assert_int_equal(send(fd, flood, SM_REQUEST_BYTES_MAX, MSG_NOSIGNAL), SM_REQUEST_BYTES_MAX);
	assert_string_equal(hear(fd), "");
	wait_closed(1);
	close(fd);
	free(flood);
	sm_server_destroy(server);
}

static void there_is_room_again_after_a_connection_has_ended(void **state)
{
	struct sm_server *server = serve();
	int fds[SM_CONNECTIONS_MAX], one_more;

	for (int i = 0; i < SM_CONNECTIONS_MAX; i++) {
		fds[i] = dial();
		say(fds[i], "x\n");
		assert_string_not_equal(hear(fds[i]), "");
	}
	one_more = dial();
	assert_string_equal(hear(one_more), "");
	close(one_more);
	close(fds[3]);
	wait_closed(1);
	fds[3] = dial();
	say(fds[3], "x\n");
	assert_string_equal(hear(fds[3]), "17:x\n");
	for (int i = 0; i < SM_CONNECTIONS_MAX; i++)
		close(fds[i]);
	sm_server_destroy(server);
}

static void destroying_ends_connections_and_removes_the_socket(void **state)
{
	struct sm_server *server = serve();
	int fd = dial();

	say(fd, "x\n");
	hear(fd);
	sm_server_destroy(server);
	assert_int_equal(seen.closed, 1);
	assert_string_equal(hear(fd), "");
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
}

static void only_its_owner_may_connect(void **state)
{
	struct sm_server *server;
	mode_t before = umask(0);
	struct stat status;

	server = serve();
	umask(before);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	sm_server_destroy(server);
}

static void a_live_listener_is_not_displaced(void **state)
{
	struct sm_server *server = serve(), *another = NULL;
	int fd;

	assert_int_equal(sm_server_create(path, &callbacks, NULL, &another), -EADDRINUSE);
	assert_null(another);
	fd = dial();
	say(fd, "x\n");
	assert_string_not_equal(hear(fd), "");
	close(fd);
	sm_server_destroy(server);
}

static void a_dead_one_is_replaced(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sm_server *server;

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	server = serve();
	fd = dial();
	say(fd, "x\n");
	assert_string_not_equal(hear(fd), "");
	close(fd);
	sm_server_destroy(server);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	struct sm_server *server;

	close(fd);
	assert_int_equal(sm_server_create(path, &callbacks, NULL, &server), -ENOTSOCK);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
}

static void a_path_that_no_socket_can_have_is_refused(void **state)
{
	char longer[200];
	struct sm_server *server;

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(sm_server_create(longer, &callbacks, NULL, &server), -ENAMETOOLONG);
	assert_int_equal(
	        sm_server_create("/nonexistent/x.sock", &callbacks, NULL, &server), -ENOENT);
}

/* The server's accept4 and poll, to take the descriptors away. */
static struct {
	atomic_uint left; /* so often there is none */
	atomic_bool failed;
	atomic_uint hurried; /* listening went on at once all the same */
} scarce;

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict length, int flags)
{
	if (atomic_load(&scarce.left)) {
		atomic_fetch_sub(&scarce.left, 1);
		atomic_store(&scarce.failed, true);
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address, length, flags);
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (atomic_exchange(&scarce.failed, false) && (count != 1 || timeout_ms <= 0))
		atomic_fetch_add(&scarce.hurried, 1);
	return (int)syscall(SYS_poll, fds, count, timeout_ms);
}

static void without_descriptors_accepting_pauses_and_goes_on(void **state)
{
	struct sm_server *server = serve();
	int fd;

	atomic_store(&scarce.left, 2);
	fd = dial();
	say(fd, "one\n");
	assert_string_equal(hear(fd), "1:one\n");
	assert_int_equal(atomic_load(&scarce.left), 0);
	assert_int_equal(atomic_load(&scarce.hurried), 0);
	close(fd);
	wait_closed(1);
	sm_server_destroy(server);
}

static int set_up(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/sm.sock", directory);
	return 0;
}

static int tear_down(void **state)
{
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lines_are_answered_in_order_however_they_arrive),
	        cmocka_unit_test(the_end_of_a_connection_is_told_with_its_number),
	        cmocka_unit_test(a_line_without_end_ends_the_connection),
	        cmocka_unit_test(there_is_room_again_after_a_connection_has_ended),
	        cmocka_unit_test(destroying_ends_connections_and_removes_the_socket),
	        cmocka_unit_test(without_descriptors_accepting_pauses_and_goes_on),
	        cmocka_unit_test(only_its_owner_may_connect),
	        cmocka_unit_test(a_live_listener_is_not_displaced),
	        cmocka_unit_test(a_dead_one_is_replaced),
	        cmocka_unit_test(what_is_no_socket_is_left_alone),
	        cmocka_unit_test(a_path_that_no_socket_can_have_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
