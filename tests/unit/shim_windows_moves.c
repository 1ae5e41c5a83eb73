/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What a move does to windows: they are bound again, and nothing of theirs goes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "preload/memory_windows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"
#include "tests/unit/shim_windows_ends.h"

/* One queue pair, of a depth that they exceed. */
static void many_windows_are_bound_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mws[3 * HARNESS_DEPTH];

	for (int i = 0; i < 3 * HARNESS_DEPTH; i++) {
		mws[i] = window_of(&h->vm, i % 4 ? IBV_MW_TYPE_2 : IBV_MW_TYPE_1);
		if (i % 4)
			bound(h, &h->vm, mws[i], ibv_inc_rkey(mws[i]->rkey));
		else
			bound_type_1(h, &h->vm, mws[i]);
	}
	harness_move(h);
	assert_int_equal(harness_poll(h, &h->vm), 0);
	for (int i = 0; i < 3 * HARNESS_DEPTH; i++) {
		must_let_in(h, i % 4 ? ibv_inc_rkey(mws[i]->rkey) : mws[i]->rkey);
		dealloc(mws[i]);
	}
}

static struct watched goes;
static struct ibv_mw *going;

static void *dealloc_it(void *mw)
{
	return (void *)(intptr_t)ibv_dealloc_mw(mw);
}

static void *deregister_it(void *mr)
{
	return (void *)(intptr_t)ibv_dereg_mr(mr);
}

/* Once the bind is with the device. */
static void something_goes(struct harness *h, void *(*what)(void *), void *object)
{
	if (!fake.delays_local_work || !queue_pair_of(h->vm.qp)->migration.rebinding)
		return;
	watched_start(&goes, what, object);
	assert_false(watched_ends_at_once(&goes));
	fake.delays_local_work = false;
	fake_execute(real_of(h->vm.qp), 0, false);
}

static void the_window_goes(struct harness *h)
{
	something_goes(h, dealloc_it, going);
}

static void the_region_goes(struct harness *h)
{
	something_goes(
	        h, deregister_it, container_of(going, struct memory_window, shown)->bound.mr);
}

static void check_going(struct harness *h, void (*meanwhile)(struct harness *h))
{
	struct end with = h->vm;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	uint32_t rkey = bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));

	with.mr = region_for_windows(h->vm.pd, h->vm.memory);
	going = window_of(&h->vm, IBV_MW_TYPE_2);
	bound(h, &with, going, ibv_inc_rkey(going->rkey));
	harness_stop(h);
	fake.delays_local_work = true;
	h->meanwhile = meanwhile;
	harness_go_on(h);
	h->meanwhile = NULL;
	assert_false(fake.delays_local_work);
	assert_null(watched_join(&goes));
	must_let_in(h, rkey);
	dealloc(mw);
	if (meanwhile == the_window_goes)
		assert_int_equal(ibv_dereg_mr(with.mr), 0);
	else
		dealloc(going);
}

/* A bind of what is gone would be refused, and the queue pair be in error. */
static void a_window_stays_while_it_is_bound_again(void **state)
{
	check_going(*state, the_window_goes);
}

static void a_region_stays_while_it_is_bound_again(void **state)
{
	check_going(*state, the_region_goes);
}

static void a_queue_pair_takes_its_windows_with_it(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);

	bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));
	bound_type_1(h, &h->vm, other);
	make_new_queue_pairs(h);
	harness_move(h);
	bound(h, &h->vm, mw, mw->rkey + 2);
	must_let_in(h, mw->rkey + 2);
	must_let_in(h, other->rkey); /* goes by its domain */
	dealloc(mw);
	dealloc(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(many_windows_are_bound_again),
	        TEST(a_window_stays_while_it_is_bound_again),
	        TEST(a_region_stays_while_it_is_bound_again),
	        TEST(a_queue_pair_takes_its_windows_with_it),
	};

	return HARNESS_RUN_WHEREVER_ON_EACH_LINK(tests);
}
