/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Local work on windows that is open where a move begins: done once, in its turn, or waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

/* Peers may have heard of it: it is bound before they go on. */
static void a_bind_that_a_message_followed_is_done(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	message_arrives(&h->vm, &h->peer, 1);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	message_arrives(&h->vm, &h->peer, 3);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->vm.qp)), 0);
	complete_in_order(h, &h->vm, 3);
	assert_int_equal(h->wc[1].opcode, IBV_WC_BIND_MW);
	assert_int_equal(h->wc[1].byte_len, 0);
	must_let_in(h, rkey);
	dealloc(mw);
}

static void a_bind_that_waited_is_done_in_its_turn(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	/* No RECV is there for it. */
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	post_invalidate(&h->vm, rkey, 2);
	post_bind(&h->vm, mw, ibv_inc_rkey(rkey), 3, 0);
	end_send(&h->vm, 4, 0, 8, IBV_SEND_SIGNALED);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	must_let_in(h, rkey); /* still */
	end_receive(&h->peer, 20, 0, 8);
	end_receive(&h->peer, 21, 8, 8);
	assert_int_equal(fake_execute(real_of(h->vm.qp), 9, true), 2);
	assert_int_equal(harness_poll(h, &h->vm), 3);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[1].wr_id, 2);
	assert_int_equal(h->wc[2].wr_id, 4);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	must_let_in(h, ibv_inc_rkey(rkey));
	dealloc(mw);
}

static void what_is_posted_while_it_moves_is_done_afterwards(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {
	        .wr_id = 3, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(&h->vm)};
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	bound_type_1(h, &h->vm, other);
	harness_stop(h);
	post_invalidate(&h->vm, rkey, 1);
	post_bind(&h->vm, mw, rkey + 5, 2, IBV_SEND_SIGNALED);
	assert_int_equal(ibv_bind_mw(h->vm.qp, other, &bind), 0);
	assert_int_equal(ibv_bind_mw(h->vm.qp, other, &bind), 0);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 4);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h->wc[i].wr_id, i + 1);
	must_let_in(h, rkey + 5);
	must_let_in(h, other->rkey);
	harness_move(h);
	must_let_in(h, rkey + 5);
	must_let_in(h, other->rkey);
	dealloc(mw);
	dealloc(other);
}

static void binds_that_nobody_asked_after_are_not_shown(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	post_bind(&h->vm, mw, ibv_inc_rkey(mw->rkey), 1, 0);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	must_let_in(h, ibv_inc_rkey(mw->rkey));
	assert_int_equal(harness_poll(h, &h->vm), 0);
	dealloc(mw);
}

static void bind_again(struct end *end, struct ibv_mw *mw, uint64_t wr_id)
{
	struct ibv_mw_bind bind = {
	        .wr_id = wr_id, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(end)};

	if (mw->type == IBV_MW_TYPE_1)
		assert_int_equal(ibv_bind_mw(end->qp, mw, &bind), 0);
	else
		post_bind(end, mw, ibv_inc_rkey(mw->rkey), wr_id, IBV_SEND_SIGNALED);
}

static uint32_t key_of_open_bind(const struct ibv_mw *mw)
{
	return mw->type == IBV_MW_TYPE_1 ? mw->rkey : ibv_inc_rkey(mw->rkey);
}

static void stop_is_refused(struct harness *h)
{
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_STOP, FAILED);
	assert_string_equal(harness_reason(h), "window-unanswered");
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
}

/* Done, and its completion is behind that of a message without acknowledgement. */
static void check_an_open_bind(struct harness *h, enum ibv_mw_type type)
{
	struct ibv_mw *mw = window_of(&h->peer, type);

	message_arrives(&h->peer, &h->vm, 1);
	bind_again(&h->peer, mw, 2);
	stop_is_refused(h);
	fake_acknowledge(real_of(h->peer.qp));
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	harness_move(h);
	assert_int_equal(writes(h, &h->vm, &h->peer, key_of_open_bind(mw)), IBV_WC_SUCCESS);
	dealloc(mw);
}

/* Whether it was done nobody could tell afterwards, and twice is an error. */
static void an_open_bind_is_not_broken_where_reset_keeps_it(void **state)
{
	fake.reset_keeps_windows = true;
	check_an_open_bind(*state, IBV_MW_TYPE_2);
}

/* Its key stays. */
static void an_open_bind_is_not_broken_where_reset_ends_it(void **state)
{
	check_an_open_bind(*state, IBV_MW_TYPE_2);
}

/* No RESET ends it. */
static void an_open_bind_of_type_1_is_not_broken(void **state)
{
	check_an_open_bind(*state, IBV_MW_TYPE_1);
	fake.reset_keeps_windows = true;
	check_an_open_bind(*state, IBV_MW_TYPE_1);
}

/* No RECV is there for what is before it. */
static void a_peers_binds_that_wait_are_not_broken(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->peer, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->peer, mw, ibv_inc_rkey(mw->rkey));

	end_send(&h->peer, 1, 0, 8, IBV_SEND_SIGNALED);
	post_invalidate(&h->peer, rkey, 2);
	post_bind(&h->peer, mw, ibv_inc_rkey(rkey), 3, IBV_SEND_SIGNALED);
	stop_is_refused(h);
	end_receive(&h->vm, 20, 0, 8);
	assert_int_equal(end_run(&h->peer, 9), 1);
	complete_in_order(h, &h->peer, 3);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	harness_move(h);
	assert_int_equal(writes(h, &h->vm, &h->peer, ibv_inc_rkey(rkey)), IBV_WC_SUCCESS);
	dealloc(mw);
}

static void its_message_is_acknowledged(struct harness *h)
{
	fake_acknowledge(real_of(h->peer.qp));
	h->meanwhile = NULL;
}

static void an_open_bind_is_waited_for(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->peer, IBV_MW_TYPE_1);

	message_arrives(&h->peer, &h->vm, 1);
	bind_again(&h->peer, mw, 2);
	h->meanwhile = its_message_is_acknowledged;
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(writes(h, &h->vm, &h->peer, mw->rkey), IBV_WC_SUCCESS);
	dealloc(mw);
}

static void a_window_may_go_before_its_bind_is_done(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	message_arrives(&h->vm, &h->peer, 1);
	post_bind(&h->vm, mw, ibv_inc_rkey(mw->rkey), 2, IBV_SEND_SIGNALED);
	dealloc(mw);
	fake_acknowledge(real_of(h->vm.qp));
	assert_int_equal(harness_poll(h, &h->vm), 2);
	harness_move(h);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	/* There the device stays with its connection, or with its windows. */
	const struct CMUnitTest of_who_stays[] = {
	        TEST(an_open_bind_is_not_broken_where_reset_ends_it),
	        TEST(an_open_bind_of_type_1_is_not_broken),
	        TEST(a_peers_binds_that_wait_are_not_broken),
	};
	const struct CMUnitTest tests[] = {
	        TEST(a_bind_that_a_message_followed_is_done),
	        TEST(a_bind_that_waited_is_done_in_its_turn),
	        TEST(what_is_posted_while_it_moves_is_done_afterwards),
	        TEST(binds_that_nobody_asked_after_are_not_shown),
	        TEST(an_open_bind_is_not_broken_where_reset_keeps_it),
	        TEST(an_open_bind_is_waited_for),
	        TEST(a_window_may_go_before_its_bind_is_done),
	};

	return cmocka_run_group_tests(of_who_stays, NULL, NULL) +
	       HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
