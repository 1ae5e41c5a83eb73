/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(only_the_named_place_and_step_match),
	        cmocka_unit_test(the_counted_passage_matches_and_no_other),
	        cmocka_unit_test(process_dies_at_the_second_passage),
	        cmocka_unit_test(process_stops_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
