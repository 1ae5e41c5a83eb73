/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Going back: what becomes of work when a move is given up, before the vote and after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_queue_pairs.h"
#include "tests/unit/shim_harness.h"

static void an_abort_before_the_vote_goes_on_as_if_nothing_had_been(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(harness_write(h, 1), 0);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(end_pending(&h->vm), 1);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
}

static void an_abort_after_the_vote_is_mended_on_the_same_device(void **state)
{
	struct harness *h = *state;
	unsigned opens;

	strcpy((char *)h->vm.memory, "sent");
	harness_write(h, 1);
	fake_execute(real_of(h->vm.qp), 1, false);
	strcpy((char *)h->peer.memory, "seen");
	end_receive(&h->peer, 50, 256, 8);
	harness_stop(h);
	opens = fake.opens;
	harness_write(h, 2);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_non_null(h->answer->evidence); /* says that it is broken */
	assert_true(h->answer->evidence->flags[0] & TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake.opens, opens);
	assert_int_equal(fake_receives(real_of(h->peer.qp)), 1);
	assert_int_equal(end_pending(&h->vm), 1);
	assert_string_equal((char *)h->peer.memory, "seen");
	fake_execute(real_of(h->vm.qp), 1, true);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
}

static void fails_while_stopped(struct harness *h, enum ibv_wc_status told)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	harness_write(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_write(h, 2);
	if (told != IBV_WC_WR_FLUSH_ERR)
		fake_complete_send((struct fake_qp *)real_of(h->vm.qp), told);
	assert_int_equal(below.ibv_modify_qp(real_of(h->vm.qp), &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, told);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
	harness_write(h, 3);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
}

/* Its transport has given up: the peer is dead. Nothing was ever broken by the stop. */
static void what_the_transport_gave_up_while_stopped_ends_with_errors_at_an_abort(void **state)
{
	fails_while_stopped(*state, IBV_WC_RETRY_EXC_ERR);
}

/* It has refused a request of the other end: its own work has failed at nothing. */
static void what_was_flushed_while_stopped_is_flushed_at_an_abort(void **state)
{
	fails_while_stopped(*state, IBV_WC_WR_FLUSH_ERR);
}

static void is_reset(struct end *end)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};

	assert_int_equal(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

/* Nothing of an error is left that was told before a RESET. */
static void what_was_told_at_an_abort_is_not_told_of_the_next_connection(void **state)
{
	struct harness *h = *state;

	fails_while_stopped(h, IBV_WC_RETRY_EXC_ERR);
	is_reset(&h->vm);
	is_reset(&h->peer);
	end_connect(&h->vm, &h->peer, harness_peer_lid());
	end_connect(&h->peer, &h->vm, FAKE_LID_VM);
	fails_while_stopped(h, IBV_WC_WR_FLUSH_ERR);
}

/* Its device has the RECVs: what it has completed is told as it is, however late that comes. */
static void a_message_that_came_before_a_failure_is_not_flushed_at_an_abort(void **state)
{
	struct harness *h = *state;
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	fake.hold_receives = true;
	fake.err_flushes_receives = false; /* they come behind it */
	end_receive(&h->vm, 50, 256, 8);
	end_send(&h->peer, 1, 256, 8, IBV_SEND_SIGNALED);
	harness_write(h, 1);
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(end_run(&h->peer, 1), 1);
	assert_int_equal(below.ibv_modify_qp(real_of(h->vm.qp), &attr, IBV_QP_STATE), 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_WR_FLUSH_ERR);
	fake_release_receives();
	harness_expect_one(h, &h->vm, 50);
}

static void an_abort_after_the_commit_is_too_late(void **state)
{
	struct harness *h = *state;

	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, REFUSED);
	assert_string_equal(harness_reason(h), "too-late");
	harness_go_on(h);
}

/* One side never heard SETTLE, the other voted: the first opened at ABORT and is stopped again. */
static void who_was_let_go_is_stopped_again_to_mend_the_others(void **state)
{
	struct harness *h = *state;

	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_write(h, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 1);
	assert_int_equal(harness_poll(h, &h->vm), 1);
}

/* The root was started again, and what it wrote last was not on its disk. */
static void who_has_voted_says_so_when_it_is_stopped_again(void **state)
{
	struct harness *h = *state;

	harness_write(h, 1);
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
	assert_int_equal(h->stopped->evidence->n_flags, 2);
	assert_true(h->stopped->evidence->flags[0] & TETHER__EVIDENCE_FLAG__EVIDENCE_BROKEN);
	harness_time_passes(h, 6000); /* its lease does not count any more */
	harness_write(h, 2);
	assert_int_equal(end_pending(&h->vm), 0);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 2);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        CONNECTED(an_abort_before_the_vote_goes_on_as_if_nothing_had_been),
	        CONNECTED(an_abort_after_the_vote_is_mended_on_the_same_device),
	        CONNECTED(what_the_transport_gave_up_while_stopped_ends_with_errors_at_an_abort),
	        CONNECTED(what_was_flushed_while_stopped_is_flushed_at_an_abort),
	        CONNECTED(what_was_told_at_an_abort_is_not_told_of_the_next_connection),
	        CONNECTED(a_message_that_came_before_a_failure_is_not_flushed_at_an_abort),
	        CONNECTED(an_abort_after_the_commit_is_too_late),
	        CONNECTED(who_was_let_go_is_stopped_again_to_mend_the_others),
	        CONNECTED(who_has_voted_says_so_when_it_is_stopped_again),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
