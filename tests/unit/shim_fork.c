/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Processes: children that share the open device keep it where it is, those that do not do not;
 * what is numbered by none of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

#define DONE    TETHER__OUTCOME__OUTCOME_DONE
#define REFUSED TETHER__OUTCOME__OUTCOME_REFUSED
#define FAILED  TETHER__OUTCOME__OUTCOME_FAILED

static struct harness harness;

static int setup(void **state)
{
	memset(&harness, 0, sizeof(harness));
	harness_open(&harness);
	harness_connect(&harness);
	*state = &harness;
	return 0;
}

static int teardown(void **state)
{
	harness_close(*state);
	return 0;
}

static void step(struct harness *h, Tether__Step which, Tether__Outcome outcome)
{
	assert_int_equal(harness_step(h, which), outcome);
}

/* Lives until it is killed. */
static pid_t fork_sleeper(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	while (!child)
		pause();
	return child;
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

	step(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	end(first);
	step(h, TETHER__STEP__STEP_PREPARE, REFUSED);
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
	step(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	kill(grandchild, SIGKILL);
	while (harness_step(h, TETHER__STEP__STEP_PREPARE) != DONE)
		; /* it is not ours to wait for */
	close(told[0]);
	close(told[1]);
}

/* It says so by the end of a pipe that exec closes. */
static void a_child_that_has_called_exec_shares_nothing(void **state)
{
	struct harness *h = *state;
	int execs[2];
	char none;
	pid_t child;

	assert_int_equal(pipe2(execs, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	close(execs[1]);
	assert_int_equal(read(execs[0], &none, 1), 0);
	harness_move(h);
	end(child);
	close(execs[0]);
}

static void a_child_of_before_the_device_was_open_shares_nothing(void **state)
{
	struct harness *h = *state;
	pid_t child;

	harness_close(h);
	child = fork_sleeper();
	setup(state);
	harness_move(h);
	end(child);
}

/* Every one of them holds a file of the device that the kernel waits for. */
static void a_child_is_not_forgotten_when_the_device_is_opened_again(void **state)
{
	struct harness *h = *state;
	pid_t child = fork_sleeper();

	harness_close(h);
	setup(state);
	step(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	end(child);
	harness_move(h);
}

static void who_forks_after_prepare_is_refused_at_stop(void **state)
{
	struct harness *h = *state;
	pid_t child;

	step(h, TETHER__STEP__STEP_PREPARE, DONE);
	child = fork_sleeper();
	step(h, TETHER__STEP__STEP_STOP, REFUSED);
	assert_string_equal(harness_reason(h), "veto-forked");
	end(child);
}

/* After the vote: it goes on where it is. */
static void who_forks_after_the_vote_is_not_released(void **state)
{
	struct harness *h = *state;
	unsigned opens = fake.opens;
	pid_t child;

	assert_int_equal(
	        end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	harness_stop(h);
	opens = fake.opens;
	child = fork_sleeper();
	step(h, TETHER__STEP__STEP_RELEASE, FAILED);
	assert_string_equal(harness_reason(h), "not-released");
	step(h, TETHER__STEP__STEP_ATTACH, DONE);
	step(h, TETHER__STEP__STEP_RECONNECT, DONE);
	step(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake.opens, opens);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	end(child);
}

/* Processes of two containers of a VM, whose ids are counted anew in each. */
pid_t getpid(void)
{
	return 1;
}

static uint32_t number_of_another_process(const struct harness *h)
{
	uint32_t number = 0;
	int told[2];
	pid_t child;

	assert_int_equal(pipe(told), 0);
	child = fork();
	if (!child) {
		number = context_of(ibv_open_device(h->vm.context->device))->number;
		_exit(write(told[1], &number, sizeof(number)) < 0);
	}
	assert_int_equal(read(told[0], &number, sizeof(number)), sizeof(number));
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(told[0]);
	close(told[1]);
	return number;
}

static void contexts_of_processes_of_the_same_id_have_numbers_of_their_own(void **state)
{
	uint32_t first = number_of_another_process(*state);

	assert_int_not_equal(first, number_of_another_process(*state));
}

/* Two had the same number and were refused: if it is asked again they need not. */
static void a_number_that_nobody_knows_is_drawn_again_at_prepare(void **state)
{
	struct harness *h = *state;
	const struct context *vm = context_of(h->vm.context);
	uint32_t before = vm->number;

	step(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_not_equal(vm->number, before);
	harness_stop(h);
	harness_go_on(h);
	before = vm->number;
	step(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(vm->number, before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_forked_child_is_refused_by_name_until_it_ends),
	        TEST(a_grandchild_counts),
	        TEST(a_child_that_has_called_exec_shares_nothing),
	        TEST(a_child_of_before_the_device_was_open_shares_nothing),
	        TEST(a_child_is_not_forgotten_when_the_device_is_opened_again),
	        TEST(who_forks_after_prepare_is_refused_at_stop),
	        TEST(who_forks_after_the_vote_is_not_released),
	        TEST(contexts_of_processes_of_the_same_id_have_numbers_of_their_own),
	        TEST(a_number_that_nobody_knows_is_drawn_again_at_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
