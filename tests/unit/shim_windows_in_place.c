/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Windows that stay where they are, whatever RESET does to them: of peers, and after an abort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

static void check_a_peers_window(struct harness *h)
{
	struct ibv_mw *mw = window_of(&h->peer, IBV_MW_TYPE_2),
	              *other = window_of(&h->peer, IBV_MW_TYPE_1);
	uint32_t rkey = bound(h, &h->peer, mw, ibv_inc_rkey(mw->rkey));

	bound_type_1(h, &h->peer, other);
	for (int i = 0; i < MOVES; i++) {
		harness_move(h);
		assert_int_equal(writes(h, &h->vm, &h->peer, rkey), IBV_WC_SUCCESS);
		assert_int_equal(writes(h, &h->vm, &h->peer, other->rkey), IBV_WC_SUCCESS);
		post_invalidate(&h->peer, rkey, 7);
		completes(h, &h->peer, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->peer, mw, ibv_inc_rkey(rkey));
	}
	dealloc(mw);
	dealloc(other);
}

static void a_peers_windows_stay_where_reset_ends_them(void **state)
{
	check_a_peers_window(*state);
}

static void a_peers_windows_stay_where_reset_keeps_them(void **state)
{
	fake.reset_keeps_windows = true;
	check_a_peers_window(*state);
}

static void check_an_abort(struct harness *h)
{
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	abort_behind_the_vote(h);
	must_let_in(h, rkey);
	harness_move(h);
	must_let_in(h, rkey);
	dealloc(mw);
}

static void an_abort_leaves_windows_bound_where_reset_ends_them(void **state)
{
	check_an_abort(*state);
}

static void an_abort_leaves_windows_bound_where_reset_keeps_them(void **state)
{
	fake.reset_keeps_windows = true;
	check_an_abort(*state);
}

/* They were with the device, which has given them back. */
static void an_abort_leaves_binds_that_wait_to_be_done(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *unbound = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	/* No RECV is there for it. */
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	post_invalidate(&h->vm, rkey, 2);
	post_bind(&h->vm, mw, ibv_inc_rkey(rkey), 3, IBV_SEND_SIGNALED);
	post_bind(&h->vm, unbound, ibv_inc_rkey(unbound->rkey), 4, IBV_SEND_SIGNALED);
	abort_behind_the_vote(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	must_let_in(h, rkey); /* still */
	end_receive(&h->peer, 20, 0, 8);
	assert_int_equal(end_run(&h->vm, 9), 1);
	complete_in_order(h, &h->vm, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(h->wc[i].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	must_let_in(h, ibv_inc_rkey(rkey));
	must_let_in(h, ibv_inc_rkey(unbound->rkey));
	must_not_let_in(h, rkey);
	dealloc(mw);
	dealloc(unbound);
}

static void what_reset_does_has_to_be_known(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);

	fake.makes_no_qps = true;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_string_equal(harness_reason(h), "veto-memory-window");
	fake.makes_no_qps = false;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(h, TETHER__STEP__STEP_ABORT, DONE);
	dealloc(mw);
}

/* What it is tried with is gone afterwards. */
static void finding_out_leaves_nothing_behind(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	unsigned live;

	bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));
	bound_type_1(h, &h->vm, other);
	live = fake.live_objects;
	harness_move(h);
	assert_int_equal(fake.live_objects, live);
	dealloc(mw);
	dealloc(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_peers_windows_stay_where_reset_ends_them),
	        TEST(a_peers_windows_stay_where_reset_keeps_them),
	        TEST(an_abort_leaves_windows_bound_where_reset_ends_them),
	        TEST(an_abort_leaves_windows_bound_where_reset_keeps_them),
	        TEST(an_abort_leaves_binds_that_wait_to_be_done),
	        TEST(what_reset_does_has_to_be_known),
	        TEST(finding_out_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
