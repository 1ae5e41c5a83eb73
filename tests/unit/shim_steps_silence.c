/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Silence: what a process does when nobody speaks any more, or its device never comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "notifier/wire/rows.h"
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_harness.h"

static void the_lease_reopens_gates_before_the_vote(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_write(h, 1);
	harness_time_passes(h, 4900);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_time_passes(h, 200);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void post_atomic(struct harness *h, uint64_t wr_id)
{
	assert_int_equal(end_fetch_add(&h->vm, &h->peer, wr_id, 64, 1), 0);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 1, false), 1);
}

static void reopen_alone(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_time_passes(h, 5100);
}

/* It reopened alone and has posted since; the late SETTLE stops it again, and then nobody speaks.
 */
static void who_had_reopened_is_held_and_has_no_vote(void **state)
{
	struct harness *h = *state;

	reopen_alone(h);
	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, FAILED);
	assert_string_equal(harness_reason(h), "lease-over");
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_RTS);
	assert_int_equal(real_of(h->peer.qp)->state, IBV_QPS_RTS);
	harness_write(h, 2);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_time_passes(h, 5100);
	assert_int_equal(end_pending(&h->vm), 1);
	fake_execute(real_of(h->vm.qp), 9, true);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

/* All have had their answers then. */
static void who_is_stopped_again_votes(void **state)
{
	struct harness *h = *state;

	reopen_alone(h);
	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, FAILED);
	fake_acknowledge(real_of(h->vm.qp));
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	harness_expect_one(h, &h->vm, 1);
}

/* To refuse would help nobody: the connection is mended by what both say. */
static void who_hears_that_another_has_voted_votes_though_it_had_reopened(void **state)
{
	struct harness *h = *state;
	Tether__EvidenceRows rows = TETHER__EVIDENCE_ROWS__INIT;
	struct evidence_row row = {
	        .local_lid = FAKE_LID_PEER, .flags = TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN};
	Tether__Event event;

	reopen_alone(h);
	evidence_rows_append(&rows, &row);
	harness_event_fill(h, &event, TETHER__STEP__STEP_SETTLE);
	event.evidence = &rows;
	assert_int_equal(harness_event(h, &event), DONE);
	assert_int_equal(real_of(h->vm.qp)->state, IBV_QPS_ERR);
	rows_clear(&rows.base);
}

/* A short lease, and an atomic that nobody answers; what is posted next waits, or does not. */
static void stop_in_vain(struct harness *h, bool has_deadline, const char *reason)
{
	Tether__Event event;

	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_event_fill(h, &event, TETHER__STEP__STEP_STOP);
	event.lease_ms = 300;
	if (!has_deadline)
		event.deadline_ms = 0;
	assert_int_equal(harness_event(h, &event), FAILED);
	assert_string_equal(harness_reason(h), reason);
	harness_write(h, 2);
}

static void a_lease_does_not_end_in_the_middle_of_a_step(void **state)
{
	struct harness *h = *state;

	stop_in_vain(h, true, "atomic-unanswered");
	assert_int_equal(end_pending(&h->vm), 0);
	harness_time_passes(h, 400);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void a_step_without_a_deadline_ends_with_the_lease(void **state)
{
	struct harness *h = *state;

	stop_in_vain(h, false, "lease-over");
	assert_int_equal(end_pending(&h->vm), 1);
}

/* The transport's retries are used up: STOP has nothing to wait for. */
static void an_atomic_that_was_given_up_is_not_waited_for(void **state)
{
	struct harness *h = *state;
	uint64_t begun_ms;

	post_atomic(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	fake_give_up(real_of(h->vm.qp));
	begun_ms = h->now_ms;
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	assert_string_equal(harness_reason(h), "atomic-unanswered");
	assert_true(h->now_ms - begun_ms < 20);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
}

/* The vote neither: what the other end has not had goes out again, once. */
static void an_atomic_that_was_given_up_is_settled_by_evidence(void **state)
{
	struct harness *h = *state;
	uint64_t begun_ms, *counter = (uint64_t *)(void *)(h->peer.memory + 64);

	*counter = 40;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(end_fetch_add(&h->vm, &h->peer, 1, 64, 2), 0);
	fake_give_up(real_of(h->vm.qp));
	begun_ms = h->now_ms;
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	assert_true(h->now_ms - begun_ms < 20);
	harness_go_on(h);
	assert_int_equal(end_run(&h->vm, 9), 1);
	harness_expect_one(h, &h->vm, 1);
	assert_int_equal(*counter, 42);
}

/* Its answer was the other end's alone. */
static void one_that_was_executed_and_given_up_ends_its_queue_pair(void **state)
{
	struct harness *h = *state;
	uint64_t *counter = (uint64_t *)(void *)(h->peer.memory + 64);

	*counter = 40;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	assert_int_equal(end_fetch_add(&h->vm, &h->peer, 1, 64, 2), 0);
	assert_int_equal(end_run_unacknowledged(&h->vm, 1), 1);
	fake_give_up(real_of(h->vm.qp));
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(*counter, 42);
}

static void after_the_vote_nobody_decides_alone(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_write(h, 1);
	harness_time_passes(h, 15000);
	assert_int_equal(end_pending(&h->vm), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_go_on(h);
	assert_int_equal(end_pending(&h->vm), 1);
}

static void at_the_overall_deadline_work_ends_with_errors(void **state)
{
	struct harness *h = *state;

	end_receive(&h->vm, 50, 0, 8);
	harness_write(h, 1);
	harness_write(h, 2);
	harness_stop(h);
	harness_time_passes(h, 21000);
	assert_int_equal(harness_poll(h, &h->vm), 3);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_RETRY_EXC_ERR);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h->wc[2].wr_id, 50);
	assert_int_equal(h->wc[2].status, IBV_WC_WR_FLUSH_ERR);
}

static void without_a_device_later_work_is_flushed_too(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ERROR, DONE);
	assert_int_equal(harness_write(h, 3), 0);
	assert_int_equal(end_receive(&h->vm, 51, 0, 8), 0);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_null(ibv_reg_mr(h->vm.pd, h->vm.memory, 8, 0));
	assert_int_equal(errno, ENODEV);
}

static void a_device_that_never_comes_is_a_failure(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = -1;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, FAILED);
	assert_string_equal(harness_reason(h), "no-device");
	fake.slot = 2;
	harness_arrive(h);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(the_lease_reopens_gates_before_the_vote),
	        CONNECTED(who_had_reopened_is_held_and_has_no_vote),
	        CONNECTED(who_is_stopped_again_votes),
	        CONNECTED(who_hears_that_another_has_voted_votes_though_it_had_reopened),
	        CONNECTED(a_lease_does_not_end_in_the_middle_of_a_step),
	        CONNECTED(a_step_without_a_deadline_ends_with_the_lease),
	        CONNECTED(an_atomic_that_was_given_up_is_not_waited_for),
	        CONNECTED(an_atomic_that_was_given_up_is_settled_by_evidence),
	        CONNECTED(one_that_was_executed_and_given_up_ends_its_queue_pair),
	        CONNECTED(after_the_vote_nobody_decides_alone),
	        CONNECTED(at_the_overall_deadline_work_ends_with_errors),
	        CONNECTED(without_a_device_later_work_is_flushed_too),
	        CONNECTED(a_device_that_never_comes_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
