/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Handlers of signals that use verbs: what they interrupt is in the middle of another queue, and
 * somebody may be about to close both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "preload/objects.h"
#include "tests/unit/shim_harness.h"

/* A deadlock ends the program: the rest of the tests cannot run in it. */
enum { DEADLOCK_S = 20, INTERRUPTED = 1, POSTED_BY_HANDLER = 2 };

static struct harness harness;
static struct end *interrupted, *other; /* the handler posts to the latter */
static int handler_error;
static unsigned handler_runs;

static void write_to_the_other_side(struct end *from, uint64_t wr_id, int *err)
{
	struct end *to = from == &harness.vm ? &harness.peer : &harness.vm;

	*err = end_rdma(
	        from, to, IBV_WR_RDMA_WRITE, wr_id, (uint32_t)(8 * wr_id), 8, IBV_SEND_SIGNALED);
}

static void post_to_the_other(int number)
{
	write_to_the_other_side(other, POSTED_BY_HANDLER, &handler_error);
	handler_runs++;
}

static int setup(void **state)
{
	struct sigaction action = {.sa_handler = post_to_the_other};

	harness_begin(&harness, (struct harness){0});
	interrupted = &harness.vm;
	other = &harness.peer;
	handler_runs = 0;
	handler_error = -1;
	sigaction(SIGUSR1, &action, NULL);
	alarm(DEADLOCK_S);
	return 0;
}

static int setup_the_other_way(void **state)
{
	setup(state);
	interrupted = &harness.peer;
	other = &harness.vm;
	return 0;
}

static int teardown(void **state)
{
	alarm(0);
	signal(SIGUSR1, SIG_DFL);
	harness_close(&harness);
	return 0;
}

static void interrupt(void)
{
	raise(SIGUSR1);
}

/* One that was posted, and no more. */
static void expect_one(struct end *end, uint64_t wr_id)
{
	assert_int_equal(fake_execute(real_of(end->qp), 2, true), 1);
	assert_int_equal(harness_poll(&harness, end), 1);
	assert_int_equal(harness.wc[0].wr_id, wr_id);
	assert_int_equal(harness.wc[0].status, IBV_WC_SUCCESS);
}

static void a_handler_posts_to_another_queue(void **state)
{
	int err;

	fake.inside = interrupt;
	write_to_the_other_side(interrupted, INTERRUPTED, &err);
	assert_int_equal(err, 0);
	assert_int_equal(handler_runs, 1);
	assert_int_equal(handler_error, 0);
	expect_one(interrupted, INTERRUPTED);
	expect_one(other, POSTED_BY_HANDLER);
}

static void a_handler_posts_in_the_middle_of_a_poll(void **state)
{
	fake.inside = interrupt;
	assert_int_equal(harness_poll(&harness, interrupted), 0);
	assert_int_equal(handler_runs, 1);
	assert_int_equal(handler_error, 0);
	expect_one(other, POSTED_BY_HANDLER);
}

/* ---- and somebody closes the gates of both ---- */

static pthread_t closer;
static Tether__Outcome stopped;

static void *stop(void *unused)
{
	stopped = harness_step(&harness, TETHER__STEP__STEP_STOP);
	return NULL;
}

static struct gate *gate_of(const struct end *end)
{
	return &queue_pair_of(end->qp)->send_gate;
}

/* Somebody has it, and waits for whoever is interrupted. */
static void await_closed(struct gate *gate)
{
	while (!pthread_mutex_trylock(&gate->lock)) {
		pthread_mutex_unlock(&gate->lock);
		sched_yield();
	}
}

static void begin_stop_and_interrupt(void)
{
	assert_int_equal(pthread_create(&closer, NULL, stop, NULL), 0);
	await_closed(gate_of(other));
	interrupt();
}

static void a_handler_gets_through_where_a_stop_waits_for_what_it_interrupted(void **state)
{
	int err;

	harness_expect(&harness, TETHER__STEP__STEP_PREPARE, DONE);
	/* Each has its owner. */
	write_to_the_other_side(other, 3, &err);
	write_to_the_other_side(interrupted, 3, &err);
	fake_execute(real_of(other->qp), 1, true);
	fake_execute(real_of(interrupted->qp), 1, true);
	harness_poll(&harness, &harness.vm);
	harness_poll(&harness, &harness.peer);
	fake.inside = begin_stop_and_interrupt;
	write_to_the_other_side(interrupted, INTERRUPTED, &err);
	assert_int_equal(err, 0);
	assert_int_equal(handler_error, 0);
	fake_execute(real_of(interrupted->qp), 1, true);
	fake_execute(real_of(other->qp), 1, true);
	pthread_join(closer, NULL);
	assert_int_equal(stopped, DONE);
	assert_int_equal(harness_poll(&harness, interrupted), 1);
	assert_int_equal(harness.wc[0].wr_id, INTERRUPTED);
	assert_int_equal(harness_poll(&harness, other), 1);
	assert_int_equal(harness.wc[0].wr_id, POSTED_BY_HANDLER);
}

static void *modify_to_error(void *unused)
{
	struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};

	stopped = ibv_modify_qp(other->qp, &error, IBV_QP_STATE) ? FAILED : DONE;
	return NULL;
}

static void begin_modify_and_interrupt(void)
{
	assert_int_equal(pthread_create(&closer, NULL, modify_to_error, NULL), 0);
	await_closed(gate_of(other));
	interrupt();
}

/* It has interrupted ibv_poll_cq, which the closer waits for last. */
static void a_handler_gets_through_where_a_verb_closes_queue_pair_and_completions(void **state)
{
	int err;

	write_to_the_other_side(other, 3, &err);
	fake_execute(real_of(other->qp), 1, true);
	harness_poll(&harness, other);
	fake.inside = begin_modify_and_interrupt;
	harness_poll(&harness, other);
	pthread_join(closer, NULL);
	assert_int_equal(stopped, DONE);
	assert_int_equal(handler_error, 0);
	assert_int_equal(harness_poll(&harness, other), 1);
	assert_int_equal(harness.wc[0].wr_id, POSTED_BY_HANDLER);
	assert_int_equal(harness.wc[0].status, IBV_WC_WR_FLUSH_ERR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define BACK(name) cmocka_unit_test_setup_teardown(name, setup_the_other_way, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_handler_posts_to_another_queue),
	        TEST(a_handler_posts_in_the_middle_of_a_poll),
	        TEST(a_handler_gets_through_where_a_stop_waits_for_what_it_interrupted),
	        BACK(a_handler_gets_through_where_a_stop_waits_for_what_it_interrupted),
	        TEST(a_handler_gets_through_where_a_verb_closes_queue_pair_and_completions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
