/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * An end that has refused a request is in ERR for its device before a move takes it there. What its
 * program has open then, and posts behind it, is flushed, as without the move. Where the other end
 * has not been told, it asks again, and is refused again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/real_verbs.h"
#include "tests/unit/shim_fake_loss.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_sides.h"

/* Once with a VM that refuses, once with its peer; the other end is @s.to. */
#define WHOEVER_REFUSES(name)                                                                      \
	static void name(struct harness *h, struct sides s);                                       \
	static void name##_at_the_vm(void **state)                                                 \
	{                                                                                          \
		name(*state, from_vm(*state));                                                     \
	}                                                                                          \
	static void name##_at_the_peer(void **state)                                               \
	{                                                                                          \
		name(*state, from_peer(*state));                                                   \
	}                                                                                          \
	static void name(struct harness *h, struct sides s)

static void post(struct sides s, uint64_t wr_id)
{
	assert_int_equal(write8(s, wr_id, "own", IBV_SEND_SIGNALED), 0);
}

static void ask_wrongly(struct sides s)
{
	s.from->mr->rkey ^= 0x4000;
	assert_int_equal(
	        end_rdma(s.to, s.from, IBV_WR_RDMA_WRITE, 90, 512, 8, IBV_SEND_SIGNALED), 0);
	s.from->mr->rkey ^= 0x4000;
}

static void goes_to_error(struct sides s)
{
	fake_fail(real_of(s.from->qp), IBV_WC_WR_FLUSH_ERR);
}

static void expect_refused(struct harness *h, struct sides s)
{
	end_run(s.to, 1);
	assert_int_equal(harness_poll(h, s.to), 1);
	assert_int_equal(h->wc[0].wr_id, 90);
	assert_int_equal(h->wc[0].status, IBV_WC_REM_ACCESS_ERR);
}

static void refuse(struct harness *h, struct sides s)
{
	expect_refused(h, s);
	goes_to_error(s);
}

static void expect_flushed(struct harness *h, struct end *end, unsigned count)
{
	assert_int_equal(harness_poll(h, end), count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(h->wc[i].wr_id, 1 + i);
		assert_int_equal(h->wc[i].status, IBV_WC_WR_FLUSH_ERR);
	}
}

/* And so is what is posted from now on. */
static void expect_in_error(struct harness *h, struct sides s)
{
	assert_int_equal(real_of(s.from->qp)->state, IBV_QPS_ERR);
	post(s, 1);
	expect_flushed(h, s.from, 1);
}

static void stop(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, DONE);
}

static void vote_and_go_on(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_go_on(h);
}

WHOEVER_REFUSES(what_is_posted_behind_it_is_flushed)
{
	ask_wrongly(s);
	refuse(h, s);
	stop(h);
	post(s, 1);
	post(s, 2);
	vote_and_go_on(h);
	expect_flushed(h, s.from, 2);
	expect_in_error(h, s);
}

WHOEVER_REFUSES(what_was_open_is_flushed)
{
	post(s, 1);
	ask_wrongly(s);
	stop(h);
	refuse(h, s);
	post(s, 2);
	assert_int_equal(harness_poll(h, s.from), 0);
	vote_and_go_on(h);
	expect_flushed(h, s.from, 2);
	expect_in_error(h, s);
}

WHOEVER_REFUSES(its_receives_are_flushed)
{
	end_receive(s.from, 1, 1024, 8);
	ask_wrongly(s);
	stop(h);
	refuse(h, s);
	end_receive(s.from, 2, 1032, 8);
	vote_and_go_on(h);
	expect_flushed(h, s.from, 2);
	expect_in_error(h, s);
}

WHOEVER_REFUSES(it_is_flushed_by_an_abort_behind_the_vote)
{
	ask_wrongly(s);
	refuse(h, s);
	stop(h);
	post(s, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	expect_flushed(h, s.from, 1);
	expect_in_error(h, s);
}

/* The other end has heard of it, and is no more. */
WHOEVER_REFUSES(it_is_flushed_where_nobody_is_there)
{
	ask_wrongly(s);
	refuse(h, s);
	stop(h);
	post(s, 1);
	assert_int_equal(ibv_destroy_qp(s.to->qp), 0);
	s.to->qp = NULL;
	vote_and_go_on(h);
	expect_flushed(h, s.from, 1);
	expect_in_error(h, s);
}

/* What it had received before is told as it came. */
WHOEVER_REFUSES(a_message_that_came_before_is_not_flushed)
{
	fake.hold_receives = true;
	end_receive(s.from, 50, 1024, 8);
	end_send(s.to, 60, 1024, 8, IBV_SEND_SIGNALED);
	assert_int_equal(end_run(s.to, 1), 1);
	harness_expect_one(h, s.to, 60);
	ask_wrongly(s);
	refuse(h, s);
	stop(h);
	post(s, 1);
	harness_expect(h, TETHER__STEP__STEP_SETTLE, DONE);
	fake_release_receives();
	harness_go_on(h);
	assert_int_equal(harness_poll(h, s.from), 2);
	assert_int_equal(h->wc[0].wr_id, 50);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(h->wc[1].wr_id, 1);
	assert_int_equal(h->wc[1].status, IBV_WC_WR_FLUSH_ERR);
}

/* The refusal was lost on its way. */
WHOEVER_REFUSES(who_has_not_heard_of_it_is_refused_again)
{
	ask_wrongly(s);
	stop(h);
	goes_to_error(s);
	post(s, 1);
	vote_and_go_on(h);
	assert_int_equal(real_of(s.from->qp)->state, IBV_QPS_RTS);
	assert_int_equal(end_pending(s.to), 1);
	expect_refused(h, s);
}

/* It has refused nothing: the other end does not answer, and will not. */
WHOEVER_REFUSES(own_retries_that_ran_out_are_no_refusal)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	post(s, 1);
	stop(h);
	fake_give_up(real_of(s.from->qp));
	assert_int_equal(ibv_modify_qp(s.to->qp, &attr, IBV_QP_STATE), 0);
	vote_and_go_on(h);
	assert_int_equal(real_of(s.from->qp)->state, IBV_QPS_RTS);
	assert_int_equal(end_pending(s.from), 1);
	assert_int_equal(harness_poll(h, s.from), 0);
}

/* Why it is in ERR is still to be said: its retries may have run out. */
WHOEVER_REFUSES(what_has_not_come_tells_of_no_refusal)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	post(s, 1);
	stop(h);
	fake.hold_flushes = true;
	goes_to_error(s);
	assert_int_equal(ibv_modify_qp(s.to->qp, &attr, IBV_QP_STATE), 0);
	vote_and_go_on(h);
	fake_release_flushes();
	assert_int_equal(real_of(s.from->qp)->state, IBV_QPS_RTS);
	assert_int_equal(end_pending(s.from), 1);
	assert_int_equal(harness_poll(h, s.from), 0);
}

/* The stop alone has taken it to ERR. */
WHOEVER_REFUSES(a_stop_is_no_refusal)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	post(s, 1);
	stop(h);
	assert_int_equal(ibv_modify_qp(s.to->qp, &attr, IBV_QP_STATE), 0);
	vote_and_go_on(h);
	assert_int_equal(real_of(s.from->qp)->state, IBV_QPS_RTS);
	assert_int_equal(end_pending(s.from), 1);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
#define WHOEVER(test)   CONNECTED(test##_at_the_vm), CONNECTED(test##_at_the_peer)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        WHOEVER(what_is_posted_behind_it_is_flushed),
	        WHOEVER(what_was_open_is_flushed),
	        WHOEVER(its_receives_are_flushed),
	        WHOEVER(it_is_flushed_by_an_abort_behind_the_vote),
	        WHOEVER(it_is_flushed_where_nobody_is_there),
	        WHOEVER(a_message_that_came_before_is_not_flushed),
	        WHOEVER(who_has_not_heard_of_it_is_refused_again),
	        WHOEVER(own_retries_that_ran_out_are_no_refusal),
	        WHOEVER(what_has_not_come_tells_of_no_refusal),
	        WHOEVER(a_stop_is_no_refusal),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
