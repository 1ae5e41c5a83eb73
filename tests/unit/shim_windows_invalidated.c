/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Invalidation, by their owner or its peer: it is done once, and what it has ended stays so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/memory_windows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

static void a_peer_invalidates_by_the_key_it_knows(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = mw->rkey;

	for (int i = 0; i < MOVES; i++) {
		rkey = bound(h, &h->vm, mw, ibv_inc_rkey(rkey));
		harness_move(h);
		peer_invalidates(h, rkey);
		vm_hears_of_it(h, rkey);
	}
	harness_move(h);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* The first window is made by another thread while a queue pair is, which both must notice. */
static void a_queue_pair_is_told_once_for_all(void **state)
{
	struct harness *h = *state;
	struct queue_pair *qp = queue_pair_of(h->vm.qp);
	struct ibv_mw *mw;

	assert_false(qp->looks_at_receives);
	windows_look_at(qp);
	assert_false(qp->looks_at_receives);
	qp->looks_at_receives = true; /* by who has found it in the list, before it looks itself */
	windows_look_at(qp);
	assert_true(qp->looks_at_receives);
	qp->looks_at_receives = false;
	mw = window_of(&h->vm, IBV_MW_TYPE_1);
	assert_false(qp->looks_at_receives);
	dealloc(mw);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_true(qp->looks_at_receives);
	qp->looks_at_receives = false; /* one that was not in the list yet */
	windows_look_at(qp);
	assert_true(qp->looks_at_receives);
	dealloc(mw);
}

static void what_was_invalidated_is_not_bound_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	post_invalidate(&h->vm, rkey, 7);
	harness_move(h);
	completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* The bind is done, its completion is behind that of a message without acknowledgement. */
static void invalidation_may_be_seen_before_the_bind(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	message_arrives(&h->vm, &h->peer, 1);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	message_arrives(&h->vm, &h->peer, 3);
	assert_int_equal(harness_poll(h, &h->peer), 2);
	peer_invalidates(h, rkey);
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 4);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* It stays in the log behind a READ that is unanswered through two moves. */
static void what_a_bind_has_done_is_noted_once(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	end_rdma(&h->vm, &h->peer, IBV_WR_RDMA_READ, 1, 0, 8, IBV_SEND_SIGNALED);
	fake_execute(real_of(h->vm.qp), 1, false);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	message_arrives(&h->vm, &h->peer, 3);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	harness_move(h);
	peer_invalidates(h, rkey);
	vm_hears_of_it(h, rkey);
	harness_move(h);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

/* Its queue pair took the bind's completion with it; the key is used again. */
static void an_early_end_is_of_one_bind(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	message_arrives(&h->vm, &h->peer, 1);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	post_bind(&h->vm, mw, rkey, 2, IBV_SEND_SIGNALED);
	peer_invalidates(h, rkey);
	vm_hears_of_it(h, rkey);
	make_new_queue_pairs(h);
	mw->rkey = rkey;
	bound(h, &h->vm, mw, rkey);
	harness_move(h);
	must_let_in(h, rkey);
	dealloc(mw);
}

static void invalidation_that_arrived_is_not_repeated(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	end_receive(&h->vm, 11, 0, 8);
	post_send_invalidate(&h->peer, rkey, 12);
	fake_execute(real_of(h->peer.qp), 1, false);
	harness_move(h);
	assert_int_equal(fake_pending(real_of(h->peer.qp)), 0);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	vm_hears_of_it(h, rkey);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

static void invalidation_that_did_not_arrive_is_replayed(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	post_send_invalidate(&h->peer, rkey, 12);
	harness_move(h);
	end_receive(&h->vm, 11, 0, 8);
	assert_int_equal(fake_execute(real_of(h->peer.qp), 9, true), 1);
	completes(h, &h->peer, 12, IBV_WC_SEND);
	vm_hears_of_it(h, rkey);
	must_not_let_in(h, rkey);
	dealloc(mw);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_peer_invalidates_by_the_key_it_knows),
	        TEST(a_queue_pair_is_told_once_for_all),
	        TEST(what_was_invalidated_is_not_bound_again),
	        TEST(invalidation_may_be_seen_before_the_bind),
	        TEST(what_a_bind_has_done_is_noted_once),
	        TEST(an_early_end_is_of_one_bind),
	        TEST(invalidation_that_arrived_is_not_repeated),
	        TEST(invalidation_that_did_not_arrive_is_replayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
