/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Children that share the open device keep it where it is, those that do not do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/shim_harness.h"

/* Lives until it is killed. */
static pid_t fork_sleeper(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child)
		return child;
	for (;;)
		pause();
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_forked_child_is_refused_by_name_until_it_ends(void **state)
{
	struct harness *h = *state;
	pid_t first = fork_sleeper(), second = fork_sleeper();

	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	end(first);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	end(second);
	harness_move(h);
}

static void a_grandchild_counts(void **state)
{
	struct harness *h = *state;
	int told[2];
	pid_t child, grandchild = 0;

	assert_int_equal(pipe(told), 0);
	child = fork();
	if (!child) {
		grandchild = fork_sleeper();
		_exit(write(told[1], &grandchild, sizeof(grandchild)) < 0);
	}
	assert_int_equal(read(told[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	assert_int_equal(waitpid(child, NULL, 0), child);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	kill(grandchild, SIGKILL);
	while (harness_step(h, TETHER__STEP__STEP_PREPARE) != DONE)
		; /* it is not ours to wait for */
	close(told[0]);
	close(told[1]);
}

/* It has called exec: it says so by the end of a pipe that exec closes. */
static pid_t start(pid_t (*how)(void))
{
	int execs[2];
	char none;
	pid_t child;

	assert_int_equal(pipe2(execs, O_CLOEXEC), 0);
	child = how();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	assert_true(child > 0);
	close(execs[1]);
	assert_int_equal(read(execs[0], &none, 1), 0);
	close(execs[0]);
	return child;
}

static void a_child_that_has_called_exec_shares_nothing(void **state)
{
	struct harness *h = *state;
	pid_t child = start(fork);

	harness_move(h);
	end(child);
}

/* By spawning, as vfork and exec do it. */
static pid_t spawn(void)
{
	char *argv[] = {(char *)"sleep", (char *)"1000", NULL};
	pid_t child;

	return posix_spawn(&child, "/bin/sleep", NULL, NULL, argv, environ) ? -1 : child;
}

/* By fork and exec, by spawning, and by fork alone for a child that ends at once. */
static void start_some(pid_t children[2])
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	children[0] = start(fork);
	children[1] = start(spawn);
}

static void who_starts_others_at_every_step_moves(void **state)
{
	static const Tether__Step steps[] = {TETHER__STEP__STEP_PREPARE, TETHER__STEP__STEP_STOP,
	        TETHER__STEP__STEP_SETTLE, TETHER__STEP__STEP_RELEASE, TETHER__STEP__STEP_ATTACH,
	        TETHER__STEP__STEP_RECONNECT, TETHER__STEP__STEP_RESUME};
	enum { STEPS = sizeof(steps) / sizeof(*steps) };
	struct harness *h = *state;
	pid_t children[STEPS][2];

	assert_int_equal(harness_write(h, 1), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		start_some(children[i]);
		if (steps[i] == TETHER__STEP__STEP_ATTACH)
			fake.slot = 1;
		harness_expect(h, steps[i], DONE);
	}
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	for (unsigned i = 0; i < STEPS; i++) {
		end(children[i][0]);
		end(children[i][1]);
	}
}

static void a_child_of_before_the_device_was_open_shares_nothing(void **state)
{
	struct harness *h = *state;
	pid_t child;

	harness_close(h);
	child = fork_sleeper();
	harness_setup(state);
	harness_move(h);
	end(child);
}

/* Every one of them holds a file of the device that the kernel waits for. */
static void a_child_is_not_forgotten_when_the_device_is_opened_again(void **state)
{
	struct harness *h = *state;
	pid_t child = fork_sleeper();

	harness_close(h);
	harness_setup(state);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	end(child);
	harness_move(h);
}

static void who_forks_after_prepare_is_refused_at_stop(void **state)
{
	struct harness *h = *state;
	pid_t child;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	child = fork_sleeper();
	harness_expect(h, TETHER__STEP__STEP_STOP, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	end(child);
}

/* After the vote: it goes on where it is. */
static void who_forks_after_the_vote_is_not_released(void **state)
{
	struct harness *h = *state;
	unsigned opens = fake.opens;
	pid_t child;

	assert_int_equal(harness_write(h, 1), 0);
	harness_stop(h);
	opens = fake.opens;
	child = fork_sleeper();
	harness_expect(h, TETHER__STEP__STEP_RELEASE, FAILED);
	assert_string_equal(harness_reason(h), "not-released");
	harness_arrive(h);
	assert_int_equal(fake.opens, opens);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	end(child);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_forked_child_is_refused_by_name_until_it_ends),
	        TEST(a_grandchild_counts),
	        TEST(a_child_that_has_called_exec_shares_nothing),
	        TEST(who_starts_others_at_every_step_moves),
	        TEST(a_child_of_before_the_device_was_open_shares_nothing),
	        TEST(a_child_is_not_forgotten_when_the_device_is_opened_again),
	        TEST(who_forks_after_prepare_is_refused_at_stop),
	        TEST(who_forks_after_the_vote_is_not_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
