/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Keys of windows and regions that are no more: they are nobody's, wherever their owner is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/memory_windows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

static void a_dead_window_lets_nobody_in(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	harness_move(h);
	must_let_in(h, rkey);
	assert_int_equal(ibv_dealloc_mw(mw), 0);
	must_not_let_in(h, rkey);
}

/* What peers knew its key as may be anybody's where the VM is then. */
static void a_dead_key_is_nobodys_after_the_next_move(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2), *heir;
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey)), real;

	harness_move(h);
	must_let_in(h, rkey);
	real = window_key_to_real(container_of(mw, struct memory_window, shown), rkey);
	dealloc(mw);
	harness_move(h);
	fake_next_number(real >> 8);
	heir = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_equal(heir->rkey >> 8, real >> 8);
	must_let_in(h, bound(h, &h->vm, heir, real));
	must_not_let_in(h, rkey);
	dealloc(heir);
}

static void a_dead_key_of_a_region_is_nobodys_after_the_next_move(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS), *heir;
	uint32_t rkey = mr->rkey, real;

	harness_move(h);
	must_let_in(h, rkey);
	real = container_of(mr, struct memory_region, shown)->real->rkey;
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_move(h);
	fake_next_number(real);
	heir = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS);
	assert_int_equal(heir->rkey, real);
	must_let_in(h, real);
	must_not_let_in(h, rkey);
	assert_int_equal(ibv_dereg_mr(heir), 0);
}

/* As harness_go_on does, up to the arrival. */
static void goes_away(struct harness *h)
{
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	fake.slot = (fake.slot + 1) % 4;
}

/* It ends before anybody was told what it has become. */
static void what_ends_on_the_way_is_nobodys(void **state)
{
	struct harness *h = *state;
	struct ibv_mr *mr = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS), *later;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2), *heir;
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey)), old = mr->rkey;

	goes_away(h);
	dealloc(mw);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_arrive(h);
	fake_next_number(old);
	later = ibv_reg_mr(h->vm.pd, h->vm.memory, HARNESS_BYTES, ACCESS);
	assert_int_not_equal(later->rkey, old);
	assert_int_equal(ibv_dereg_mr(later), 0);
	fake_next_number(rkey >> 8);
	heir = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(heir->rkey >> 8, rkey >> 8);
	must_not_let_in(h, rkey);
	dealloc(heir);
}

/* Another window really has its number. */
static void a_dead_key_invalidates_nothing(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_2);
	struct memory_window *heir = container_of(other, struct memory_window, shown);
	uint32_t number = mw->rkey >> 8, rkey = bound(h, &h->vm, other, ibv_inc_rkey(other->rkey));

	harness_move(h);
	dealloc(mw);
	goes_away(h);
	fake_next_number(number - 1); /* the region first */
	harness_arrive(h);
	assert_int_equal(heir->real->rkey >> 8, number);
	must_let_in(h, rkey);
	post_invalidate(&h->vm, window_key_to_real(heir, rkey), 7);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 7);
	assert_int_equal(h->wc[0].status, IBV_WC_MW_BIND_ERR);
	dealloc(other);
}

/* Peers would take it for the one that they know. */
static void what_is_made_later_has_no_key_of_a_window(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *old = window_of(&h->vm, IBV_MW_TYPE_2), *mw;
	uint32_t number = old->rkey >> 8;
	struct ibv_mr *mr;

	harness_move(h);
	fake_next_number(number);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(mw->rkey >> 8, number);
	dealloc(old);
	fake_next_number(number);
	old = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(old->rkey >> 8, number);
	fake_next_number(number << 8 | 0x7e);
	mr = ibv_reg_mr(h->vm.pd, h->vm.memory, 64, IBV_ACCESS_LOCAL_WRITE);
	assert_non_null(mr);
	assert_int_not_equal(mr->rkey >> 8, number);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	fake_next_number(h->vm.mr->rkey >> 8);
	dealloc(mw);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	assert_int_not_equal(mw->rkey >> 8, h->vm.mr->rkey >> 8);
	dealloc(mw);
	dealloc(old);
}

/* Peers translate the numbers of windows that were there when it moved, and no others. */
static void numbers_of_later_windows_are_given_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw;
	uint32_t number;

	harness_move(h);
	mw = window_of(&h->vm, IBV_MW_TYPE_2);
	number = mw->rkey >> 8;
	for (int i = 0; i < MOVES; i++) {
		assert_int_equal(mw->rkey >> 8, number);
		dealloc(mw);
		fake_next_number(number);
		mw = window_of(&h->vm, IBV_MW_TYPE_2);
	}
	dealloc(mw);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_dead_window_lets_nobody_in),
	        TEST(a_dead_key_is_nobodys_after_the_next_move),
	        TEST(a_dead_key_of_a_region_is_nobodys_after_the_next_move),
	        TEST(what_ends_on_the_way_is_nobodys),
	        TEST(a_dead_key_invalidates_nothing),
	        TEST(what_is_made_later_has_no_key_of_a_window),
	        TEST(numbers_of_later_windows_are_given_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
