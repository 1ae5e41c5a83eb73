/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Windows of type 1: keys count on over moves, and each is bound again within its domain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/memory_windows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

static void type_1_counts_on_after_moves(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	uint32_t rkey = bound_type_1(h, &h->vm, mw);

	for (int i = 0; i < MOVES; i++) {
		harness_move(h);
		must_let_in(h, rkey);
		rkey = bound_type_1(h, &h->vm, mw);
		must_let_in(h, rkey);
		rkey = bound_type_1(h, &h->vm, mw);
	}
	must_let_in(h, rkey);
	must_not_let_in(h, rkey - 1);
	dealloc(mw);
}

static void unbind(struct harness *h, struct ibv_mw *mw, struct ibv_mw_bind_info nothing)
{
	struct ibv_mw_bind bind = {
	        .wr_id = 6, .send_flags = IBV_SEND_SIGNALED, .bind_info = nothing};

	assert_int_equal(ibv_bind_mw(h->vm.qp, mw, &bind), 0);
}

/* An unbind is to complete. Bound again after a move it serves; unbound again it stays so. */
static void check_unbound(struct harness *h, struct ibv_mw *mw, struct ibv_mw_bind_info nothing)
{
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	harness_move(h);
	bound_type_1(h, &h->vm, mw);
	must_let_in(h, mw->rkey);
	unbind(h, mw, nothing);
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	harness_move(h);
	must_not_let_in(h, mw->rkey);
}

static void type_1_that_was_unbound_stays_so(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind_info nothing = {0};

	bound_type_1(h, &h->vm, mw);
	unbind(h, mw, nothing);
	check_unbound(h, mw, nothing);
	dealloc(mw);
}

/* Of no length, though it says where and of which region: devices are told just so. */
static struct ibv_mw_bind_info nothing_of(const struct end *end)
{
	struct ibv_mw_bind_info nothing = part_of(end);

	nothing.length = 0;
	return nothing;
}

static void unbinding_may_name_the_region(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);

	bound_type_1(h, &h->vm, mw);
	unbind(h, mw, nothing_of(&h->vm));
	completes(h, &h->vm, 6, IBV_WC_BIND_MW);
	must_not_let_in(h, mw->rkey);
	dealloc(mw);
}

static void unbinding_may_name_the_region_while_it_moves(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);

	bound_type_1(h, &h->vm, mw);
	harness_stop(h);
	unbind(h, mw, nothing_of(&h->vm));
	harness_go_on(h);
	check_unbound(h, mw, nothing_of(&h->vm));
	dealloc(mw);
}

static unsigned milliseconds;

static void a_millisecond_passes(struct harness *h)
{
	milliseconds++;
	assert_non_null(h);
}

/* Through one queue pair for many, not all of them in one piece of ATTACH. */
static void many_of_type_1_are_bound_again_piece_by_piece(void **state)
{
	enum { MANY = 1000 };
	struct harness *h = *state;
	struct ibv_mw *mws[MANY];
	unsigned made;

	for (int i = 0; i < MANY; i++) {
		mws[i] = window_of(&h->vm, IBV_MW_TYPE_1);
		bound_type_1(h, &h->vm, mws[i]);
	}
	harness_stop(h);
	harness_expect(h, TETHER__STEP__STEP_RELEASE, DONE);
	made = fake.qps_made;
	fake.slot++;
	milliseconds = 0;
	h->meanwhile = a_millisecond_passes;
	harness_expect(h, TETHER__STEP__STEP_ATTACH, DONE);
	h->meanwhile = NULL;
	assert_in_range(milliseconds, 1, MANY / 10);
	assert_in_range(fake.qps_made - made, 2, MANY / 10);
	harness_expect(h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(h, TETHER__STEP__STEP_RESUME, DONE);
	for (int i = 0; i < MANY; i++) {
		must_let_in(h, mws[i]->rkey);
		dealloc(mws[i]);
	}
}

/* Of two domains in turn. */
static void each_domain_has_its_windows_again(void **state)
{
	struct harness *h = *state;
	struct end other = {0};
	struct ibv_mw *mine = window_of(&h->vm, IBV_MW_TYPE_1), *theirs, *last;

	bound_type_1(h, &h->vm, mine);
	other = h->vm;
	other.pd = ibv_alloc_pd(h->vm.context);
	other.mr = region_for_windows(other.pd, other.memory);
	theirs = window_of(&other, IBV_MW_TYPE_1);
	last = window_of(&h->vm, IBV_MW_TYPE_1);
	bound_type_1(h, &h->vm, last);
	container_of(theirs, struct memory_window, shown)->bound =
	        (struct window_binding){.mr = container_of(other.mr, struct memory_region, shown),
	                .addr = (uintptr_t)other.memory + AT,
	                .length = SIZE,
	                .access = ACCESS,
	                .rkey = theirs->rkey};
	harness_move(h);
	must_let_in(h, mine->rkey);
	must_let_in(h, theirs->rkey);
	must_let_in(h, last->rkey);
	dealloc(mine);
	dealloc(theirs);
	dealloc(last);
	assert_int_equal(ibv_dereg_mr(other.mr), 0);
	assert_int_equal(ibv_dealloc_pd(other.pd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(type_1_counts_on_after_moves),
	        TEST(type_1_that_was_unbound_stays_so),
	        TEST(unbinding_may_name_the_region),
	        TEST(unbinding_may_name_the_region_while_it_moves),
	        TEST(many_of_type_1_are_bound_again_piece_by_piece),
	        TEST(each_domain_has_its_windows_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
