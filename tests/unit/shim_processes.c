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

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notifier/wire/rows.h"
#include "preload/async_events.h"
#include "preload/objects.h"
#include "preload/queue_pair.h"
#include "preload/reserved_numbers.h"
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
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake.opens, opens);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	end(child);
}

/* ---- a child that goes on with what it inherited ---- */

enum { DEADLOCK_S = 20 };

/* What @verbs says in a child; it has to come to an end there. */
static int in_child(struct harness *h, int (*verbs)(struct harness *h))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		alarm(DEADLOCK_S);
		_exit(verbs(h));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int modify_to_reset(struct harness *h)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};

	return ibv_modify_qp(h->vm.qp, &reset, IBV_QP_STATE);
}

static int modify_both_to_reset(struct harness *h)
{
	struct ibv_qp_attr reset = {.qp_state = IBV_QPS_RESET};
	int err = ibv_modify_qp(h->peer.qp, &reset, IBV_QP_STATE);

	return err ? err : modify_to_reset(h);
}

static int write_and_execute(struct harness *h)
{
	int err = harness_write(h, 1);

	return err ? err : fake_execute(real_of(h->vm.qp), 9, true) != 1;
}

static void who_is_forked_behind_a_stop_waits_for_no_resume(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(in_child(h, write_and_execute), 0);
	assert_int_equal(in_child(h, modify_both_to_reset), 0);
}

static int post_and_be_flushed(struct harness *h)
{
	int err = harness_write(h, 1);

	if (err)
		return err;
	return harness_poll(h, &h->vm) != 1 || h->wc[0].status != IBV_WC_WR_FLUSH_ERR;
}

static void who_is_forked_without_a_device_does_not_wait_for_one(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(in_child(h, modify_to_reset), ENODEV);
	assert_int_equal(in_child(h, post_and_be_flushed), 0);
}

/* The service thread is in the middle of a step. */
static void who_is_forked_while_a_queue_is_closed_finds_it_open(void **state)
{
	struct harness *h = *state;
	struct queue_pair *qp = queue_pair_of(h->vm.qp);

	queue_pair_close(qp);
	pthread_mutex_lock(&qp->context->lists_lock);
	assert_int_equal(in_child(h, write_and_execute), 0);
	assert_int_equal(in_child(h, modify_to_reset), 0);
	pthread_mutex_unlock(&qp->context->lists_lock);
	queue_pair_open(qp);
}

/* ---- its events and the parent's ---- */

static bool is_readable(int descriptor)
{
	struct pollfd fd = {.fd = descriptor, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static int get_event(struct harness *h)
{
	struct ibv_cq *cq;
	void *context;

	if (!is_readable(h->vm.channel->fd))
		return 1;
	if (ibv_get_cq_event(h->vm.channel, &cq, &context))
		return 2;
	ibv_ack_cq_events(cq, 1);
	return is_readable(h->vm.channel->fd) ? 3 : 0;
}

static int be_flushed_and_told(struct harness *h)
{
	int err = post_and_be_flushed(h);

	return err ? err : get_event(h);
}

static void flush_in_a_child_wakes_the_child_alone(void **state)
{
	struct harness *h = *state;

	assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	assert_int_equal(in_child(h, post_and_be_flushed), 0);
	assert_false(is_readable(h->vm.channel->fd));
	assert_int_equal(in_child(h, be_flushed_and_told), 0);
	assert_false(is_readable(h->vm.channel->fd));
}

static int destroy_queues(struct harness *h)
{
	int err = ibv_destroy_qp(h->vm.qp);

	return err ? err : ibv_destroy_cq(h->vm.cq);
}

/* One is read already, since the queue was armed again: the bell stands for it. */
static void queues_destroyed_in_a_child_leave_the_parent_its_events(void **state)
{
	struct harness *h = *state;
	struct ibv_async_event event = {.event_type = IBV_EVENT_QP_FATAL, .element.qp = h->vm.qp};

	assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, true), 1);
	assert_int_equal(ibv_req_notify_cq(h->vm.cq, 0), 0);
	async_events_raise(context_of(h->vm.context), &event);
	assert_int_equal(in_child(h, get_event), 0);
	assert_int_equal(in_child(h, destroy_queues), 0);
	assert_int_equal(get_event(h), 0);
	assert_true(is_readable(h->vm.context->async_fd));
	assert_int_equal(ibv_get_async_event(h->vm.context, &event), 0);
	ibv_ack_async_event(&event);
	assert_int_equal(harness_poll(h, &h->vm), 1);
}

static int enter_what_another_thread_was_in(struct harness *h)
{
	struct gate *poll_gate = &completion_queue_of(h->vm.cq)->poll_gate;
	struct gate *build_gate = &queue_pair_of(h->vm.qp)->build_gate;

	gate_leave(poll_gate, gate_enter(poll_gate));
	gate_leave(build_gate, gate_enter(build_gate));
	return 0;
}

static void who_is_forked_while_another_thread_polls_or_builds_may_do_so(void **state)
{
	struct harness *h = *state;
	struct gate *poll_gate = &completion_queue_of(h->vm.cq)->poll_gate;
	struct gate *build_gate = &queue_pair_of(h->vm.qp)->build_gate;

	gate_close(poll_gate);
	gate_close(build_gate);
	assert_int_equal(in_child(h, enter_what_another_thread_was_in), 0);
	gate_open(build_gate);
	gate_open(poll_gate);
}

static int is_still_inside(struct harness *h)
{
	return gate_enter(&queue_pair_of(h->vm.qp)->build_gate) != GATE_NESTED;
}

static void who_forks_while_it_builds_goes_on_building(void **state)
{
	struct harness *h = *state;
	struct gate *build_gate = &queue_pair_of(h->vm.qp)->build_gate;
	enum gate_pass pass = gate_enter(build_gate);

	assert_int_equal(pass, GATE_OWNED);
	assert_int_equal(in_child(h, is_still_inside), 0);
	gate_leave(build_gate, pass);
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

static uint32_t number_made(struct harness *h)
{
	struct ibv_qp_init_attr attr = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_send_wr = 1, .max_send_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(h->vm.pd, &attr);
	uint32_t number;

	assert_non_null(qp);
	number = qp->qp_num;
	assert_int_equal(ibv_destroy_qp(qp), 0);
	return number;
}

/* The other process had it before the VM moved, and is known by it. */
static void a_number_that_means_another_process_is_held_aside(void **state)
{
	struct harness *h = *state;
	struct qp_row others = {.local_lid = FAKE_LID_VM,
	        .local_qpn = 0x3400,
	        .real_qpn = 0x2222,
	        .remote_lid = FAKE_LID_PEER,
	        .remote_qpn = 1};

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = 1;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	assert_int_equal(qp_rows_append(h->attached->qps, &others), 0);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	fake_next_number(0x3400);
	assert_int_equal(number_made(h), 0x3401);
	/* Nor is the one that it has had since: to those who know it by the other, it means that.
	 */
	fake_next_number(0x2222);
	assert_int_equal(number_made(h), 0x2223);
}

static void many_numbers_in_a_row_may_mean_others(void **state)
{
	struct harness *h = *state;
	uint32_t taken[200];

	for (uint32_t i = 0; i < 200; i++)
		taken[i] = 0x4000 + i;
	assert_int_equal(reserved_numbers_add(taken, 200), 0);
	fake_next_number(0x4000);
	assert_int_equal(number_made(h), 0x4000 + 200);
}

/* Two had the same number and were refused: if it is asked again they need not. */
static void a_number_that_nobody_knows_is_drawn_again_at_prepare(void **state)
{
	struct harness *h = *state;
	const struct context *vm = context_of(h->vm.context);
	uint32_t before = vm->number;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_not_equal(vm->number, before);
	harness_stop(h);
	harness_go_on(h);
	before = vm->number;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(vm->number, before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
#define TEST_CHANNEL(name)                                                                         \
	cmocka_unit_test_setup_teardown(name, harness_setup_channel, harness_teardown)

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
	        TEST(who_is_forked_behind_a_stop_waits_for_no_resume),
	        TEST(who_is_forked_without_a_device_does_not_wait_for_one),
	        TEST(who_is_forked_while_a_queue_is_closed_finds_it_open),
	        TEST_CHANNEL(flush_in_a_child_wakes_the_child_alone),
	        TEST_CHANNEL(queues_destroyed_in_a_child_leave_the_parent_its_events),
	        TEST(who_is_forked_while_another_thread_polls_or_builds_may_do_so),
	        TEST(who_forks_while_it_builds_goes_on_building),
	        TEST(contexts_of_processes_of_the_same_id_have_numbers_of_their_own),
	        TEST(a_number_that_means_another_process_is_held_aside),
	        TEST(many_numbers_in_a_row_may_mean_others),
	        TEST(a_number_that_nobody_knows_is_drawn_again_at_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
