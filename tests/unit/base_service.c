/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/base/service.h"

struct manager {
	int fd;
	char folder[32], heard[1024];
};

/* Listens as a service manager does; @abstract: where no file stands. */
static void manager_start(struct manager *m, int abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64];
	size_t length;

	strcpy(m->folder, "/tmp/base_service.XXXXXX");
	assert_non_null(mkdtemp(m->folder));
	snprintf(name, sizeof(name), "%s%s/notify", abstract ? "@" : "", m->folder);
	length = strlen(name);
	memcpy(address.sun_path, name, length);
	if (abstract)
		address.sun_path[0] = '\0';
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&address,
	                         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
	        0);
	setenv("NOTIFY_SOCKET", name, 1);
}

/* The next message; "" where there is none. */
static const char *hears(struct manager *m)
{
	ssize_t length = recv(m->fd, m->heard, sizeof(m->heard) - 1, 0);

	m->heard[length < 0 ? 0 : length] = '\0';
	return m->heard;
}

static void manager_end(struct manager *m)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/notify", m->folder);
	unlink(path);
	close(m->fd);
	rmdir(m->folder);
	unsetenv("NOTIFY_SOCKET");
}

static void manager_is_told(void **state)
{
	for (int abstract = 0; abstract < 2; abstract++) {
		struct manager m;

		manager_start(&m, abstract);
		service_ready();
		assert_string_equal(hears(&m), "READY=1");
		service_status("%d VMs, %s", 3, "no root");
		assert_string_equal(hears(&m), "STATUS=3 VMs, no root");
		service_reloading();
		assert_int_equal(strncmp(hears(&m), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
		service_stopping();
		assert_string_equal(hears(&m), "STOPPING=1");
		assert_string_equal(hears(&m), "");
		manager_end(&m);
	}
}

static void status_is_one_line_of_bounded_length(void **state)
{
	struct manager m;
	char long_text[2000];

	manager_start(&m, 0);
	service_status("a\nREADY=1");
	assert_string_equal(hears(&m), "STATUS=a");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	service_status("%s", long_text);
	assert_true(strlen(hears(&m)) < 600);
	manager_end(&m);
}

static void watched_are_those_whom_the_manager_watches(void **state)
{
	char own[32];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	assert_int_equal(service_alive_us(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(service_alive_us(), 15000000);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(service_alive_us(), 0);
	setenv("WATCHDOG_PID", own, 1);
	assert_int_equal(service_alive_us(), 15000000);
	for (const char *const *text = (const char *const[]){"", "-1", "x", "1x", "1 ", "1", NULL};
	        *text; text++) {
		setenv("WATCHDOG_USEC", *text, 1);
		assert_int_equal(service_alive_us(), 0);
	}
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void nobody_there_is_fine(void **state)
{
	static const char *const paths[] = {"", "x", "/", "@", "relative", "/nonexistent/notify"};
	char long_path[300];

	unsetenv("NOTIFY_SOCKET");
	service_ready();
	memset(long_path, '/', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", long_path, 1);
	service_ready();
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		setenv("NOTIFY_SOCKET", paths[i], 1);
		errno = EXDEV;
		service_ready();
		assert_int_equal(errno, EXDEV);
	}
	unsetenv("NOTIFY_SOCKET");
}

/* A manager that does not read costs its messages, and nobody waits for it. */
static void manager_that_does_not_read_is_not_waited_for(void **state)
{
	struct manager m;

	manager_start(&m, 0);
	for (size_t i = 0; i < 5000; i++)
		service_ready();
	assert_string_equal(hears(&m), "READY=1");
	manager_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(manager_is_told),
	        cmocka_unit_test(status_is_one_line_of_bounded_length),
	        cmocka_unit_test(watched_are_those_whom_the_manager_watches),
	        cmocka_unit_test(nobody_there_is_fine),
	        cmocka_unit_test(manager_that_does_not_read_is_not_waited_for),
	};

	return cmocka_run_group_tests_name("base_service", tests, NULL, NULL);
}
