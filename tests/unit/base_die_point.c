/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "notifier/base/die_point.h"

static void only_the_named_place_and_step_match(void **state)
{
	unsigned left = 1;

	assert_false(die_point_matches("relay:STOP", &left, DIE_RELAY, "SETTLE"));
	assert_false(die_point_matches("relay:STOP", &left, DIE_SMD_ASK, "STOP"));
	assert_false(die_point_matches("relay:STOPPING", &left, DIE_RELAY, "STOP"));
	assert_false(die_point_matches("relay:STOP", &left, DIE_RELAY, "STOPPING"));
	assert_int_equal(left, 1);
	assert_true(die_point_matches("relay:STOP", &left, DIE_RELAY, "STOP"));
}

static void the_counted_passage_matches_and_no_other(void **state)
{
	unsigned left = 3;

	assert_false(die_point_matches("relay:STOP:3", &left, DIE_RELAY, "STOP"));
	assert_false(die_point_matches("relay:STOP:3", &left, DIE_RELAY, "STOP"));
	assert_true(die_point_matches("relay:STOP:3", &left, DIE_RELAY, "STOP"));
	assert_false(die_point_matches("relay:STOP:3", &left, DIE_RELAY, "STOP"));
}

static void process_dies_at_the_second_passage(void **state)
{
	int status;
	pid_t child = fork();

	if (!child) {
		setenv("TETHER_DIE_AT", "shim-end:STOP:2", 1);
		die_point(DIE_SHIM_END, "STOP");
		die_point(DIE_SHIM_END, "SETTLE");
		die_point(DIE_SHIM_END, "STOP");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void process_stops_and_goes_on(void **state)
{
	int status;
	pid_t child = fork();

	if (!child) {
		setenv("TETHER_STOP_AT", "relay:STOP", 1);
		die_point(DIE_RELAY, "STOP");
		die_point(DIE_RELAY, "STOP");
		_exit(7);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 7);
}

enum { STOPS = 100 };

/* Comes to its place, and says so if it gets past. */
static void *come_to_the_place(void *said)
{
	die_point(DIE_SHIM_END, "STOP");
	(void)!write(*(int *)said, "x", 1);
	return NULL;
}

/* In the child: as libtether's own thread does, while the program's sleeps. */
static void stop_in_another_thread(int said)
{
	pthread_t thread;

	setenv("TETHER_STOP_AT", "shim-end:STOP", 1);
	pthread_create(&thread, NULL, come_to_the_place, &said);
	for (;;)
		pause();
}

/* A signal to a process may be taken by any of its threads, and whoever has sent it goes on for a
 * while. */
static void nothing_is_done_behind_the_place(void **state)
{
	int passed = 0;

	for (int i = 0; i < STOPS; i++) {
		struct pollfd said = {.events = POLLIN};
		int ends[2], status;
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		child = fork();
		if (!child)
			stop_in_another_thread(ends[1]);
		said.fd = ends[0];
		waitpid(child, &status, WUNTRACED);
		passed += poll(&said, 1, 0);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(ends[0]);
		close(ends[1]);
		assert_true(WIFSTOPPED(status));
	}
	assert_int_equal(passed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_the_named_place_and_step_match),
	        cmocka_unit_test(the_counted_passage_matches_and_no_other),
	        cmocka_unit_test(process_dies_at_the_second_passage),
	        cmocka_unit_test(process_stops_and_goes_on),
	        cmocka_unit_test(nothing_is_done_behind_the_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
