/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Memory windows: keys reach what is bound, and nothing else, however often their owner or its peer
 * has moved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

static void keys_reach_a_window_wherever_it_is(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	must_let_in(h, rkey);
	for (int i = 0; i < MOVES; i++) {
		harness_move(h);
		must_let_in(h, rkey);
		post_invalidate(&h->vm, rkey, 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->vm, mw, ibv_inc_rkey(rkey));
		must_let_in(h, rkey);
	}
	dealloc(mw);
}

/* The tag is the application's: any. */
static void tags_are_the_applications(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t number = mw->rkey & ~0xffu, rkey = bound(h, &h->vm, mw, number | 0xff);

	for (uint32_t tag = 0; tag < 256; tag += 51) {
		harness_move(h);
		must_let_in(h, rkey);
		post_invalidate(&h->vm, rkey, 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->vm, mw, number | tag);
		must_let_in(h, rkey);
	}
	harness_move(h);
	must_not_let_in(h, ibv_inc_rkey(rkey));
	dealloc(mw);
}

/* Providers of some devices set it where a bind is posted, and programs for these rely on it. */
static void the_key_is_shown_as_the_provider_does(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = mw->rkey;

	bound(h, &h->vm, mw, ibv_inc_rkey(rkey));
	assert_int_equal(mw->rkey, rkey);
	fake.sets_window_keys = true;
	for (int i = 0; i < MOVES; i++) {
		post_invalidate(&h->vm, ibv_inc_rkey(rkey), 7);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		rkey = bound(h, &h->vm, mw, rkey + 2);
		assert_int_equal(mw->rkey, rkey);
		must_let_in(h, mw->rkey);
		harness_stop(h);
		post_invalidate(&h->vm, rkey, 7);
		post_bind(&h->vm, mw, ++rkey, 8, 0);
		assert_int_equal(mw->rkey, rkey); /* though it is kept */
		harness_go_on(h);
		completes(h, &h->vm, 7, IBV_WC_LOCAL_INV);
		must_let_in(h, mw->rkey);
		rkey--;
	}
	dealloc(mw);
}

/* Type 2 knows no bind to nothing: an error of the work, not of the program. */
static void type_2_cannot_be_bound_to_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_send_wr wr = {.wr_id = 1,
	        .opcode = IBV_WR_BIND_MW,
	        .bind_mw = {mw, ibv_inc_rkey(mw->rkey), part_of(&h->vm)}};

	wr.bind_mw.bind_info.length = 0;
	assert_int_equal(post(&h->vm, &wr), 0);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_equal(h->wc[0].status, IBV_WC_MW_BIND_ERR);
	dealloc(mw);
}

static void a_device_without_windows_has_none(void **state)
{
	struct harness *h = *state;
	struct end bare = {0};

	fake.has_no_windows = true;
	end_open(&bare, FAKE_LID_PEER, false);
	errno = 0;
	assert_null(ibv_alloc_mw(bare.pd, IBV_MW_TYPE_1));
	assert_int_equal(errno, EOPNOTSUPP);
	end_close(&bare);
	assert_non_null(h);
}

static void datagrams_know_no_windows(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {.bind_info = part_of(&h->vm)};
	struct ibv_send_wr wrs[] = {
	        {.opcode = IBV_WR_BIND_MW, .bind_mw = {mw, mw->rkey, part_of(&h->vm)}},
	        {.opcode = IBV_WR_LOCAL_INV, .invalidate_rkey = mw->rkey},
	        {.opcode = IBV_WR_SEND_WITH_INV, .invalidate_rkey = mw->rkey},
	};

	for (int i = 0; i < 3; i++)
		assert_int_equal(post(&h->vm, &wrs[i]), EINVAL);
	assert_int_equal(ibv_bind_mw(h->vm.qp, other, &bind), EINVAL);
	dealloc(mw);
	dealloc(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(keys_reach_a_window_wherever_it_is),
	        TEST(tags_are_the_applications),
	        TEST(the_key_is_shown_as_the_provider_does),
	        TEST(type_2_cannot_be_bound_to_nothing),
	        TEST(a_device_without_windows_has_none),
	        cmocka_unit_test_setup_teardown(
	                datagrams_know_no_windows, harness_setup_datagrams, harness_teardown),
	};

	return HARNESS_RUN_WHEREVER_ENDS_ARE(tests);
}
