/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* TETHER_UNPLANNED=reconnect: a peer that misses its other end has work on memory windows open. No
 * answer to it comes any more, so nobody waits for one: evidence says what it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/shim_unplanned_ends.h"
#include "tests/unit/shim_windows_ends.h"

static void reads(uint64_t wr_id)
{
	assert_int_equal(
	        end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_READ, wr_id, 0, 8, IBV_SEND_SIGNALED), 0);
}

/* The VM has received what was behind it. */
static void a_bind_that_a_message_followed_is_done(void **state)
{
	struct ibv_mw *mw = window_of(&h.peer, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	reads(1);
	assert_int_equal(end_run_unacknowledged(&h.peer, 1), 1);
	post_bind(&h.peer, mw, rkey, 2, IBV_SEND_SIGNALED);
	message_arrives(&h.peer, &h.vm, 3);
	lose_without_a_word();
	peer_gives_up();
	recover();
	harness_expect_one(&h, &h.vm, 20);
	assert_int_equal(end_run(&h.peer, 1), 1);
	complete_in_order(&h, &h.peer, 3);
	assert_int_equal(h.wc[1].opcode, IBV_WC_BIND_MW);
	assert_int_equal(writes(&h, &h.vm, &h.peer, rkey), IBV_WC_SUCCESS);
	dealloc(mw);
}

static void one_of_which_nobody_can_tell_ends_its_queue_pair(void **state)
{
	struct ibv_mw *mw = window_of(&h.peer, IBV_MW_TYPE_2);

	assert_int_equal(write8(&h.peer, &h.vm, 1), 0);
	post_bind(&h.peer, mw, ibv_inc_rkey(mw->rkey), 2, IBV_SEND_SIGNALED);
	lose_without_a_word();
	peer_gives_up();
	recover();
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR);
	dealloc(mw);
}

/* While it is stopped: as above. */
static void an_invalidation_that_is_given_up_in_a_stop_is_not_waited_for(void **state)
{
	struct ibv_mw *mw = window_of(&h.peer, IBV_MW_TYPE_2);
	uint32_t rkey = bound(&h, &h.peer, mw, ibv_inc_rkey(mw->rkey));

	assert_int_equal(write8(&h.peer, &h.vm, 1), 0);
	post_invalidate(&h.peer, rkey, 2);
	lose_without_a_word();
	fake.slot = 1;
	step(TETHER__STEP__STEP_PREPARE);
	fake_give_up(real_of(h.peer.qp));
	step(TETHER__STEP__STEP_STOP);
	step(TETHER__STEP__STEP_SETTLE);
	step(TETHER__STEP__STEP_RELEASE);
	harness_arrive(&h);
	EXPECT(&h.peer, IBV_WC_RETRY_EXC_ERR, IBV_WC_WR_FLUSH_ERR);
	dealloc(mw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_bind_that_a_message_followed_is_done),
	        TEST(one_of_which_nobody_can_tell_ends_its_queue_pair),
	        TEST(an_invalidation_that_is_given_up_in_a_stop_is_not_waited_for),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
