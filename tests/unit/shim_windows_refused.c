/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What cannot be bound again after a move: whom that concerns, and by which key it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "preload/memory_windows.h"
#include "preload/objects.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_windows_ends.h"

enum { PAGE = 4096 };

/* On two pages, of which one goes. */
static struct ibv_mr *bound_to_less(struct harness *h, struct ibv_mw *mw)
{
	uint8_t *pages =
	        mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct end on_pages = h->vm;

	on_pages.mr =
	        ibv_reg_mr(h->vm.pd, pages, 2 * PAGE, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
	on_pages.memory = pages + PAGE - AT - SIZE / 2;
	if (mw->type == IBV_MW_TYPE_1)
		bound_type_1(h, &on_pages, mw);
	else
		bound(h, &on_pages, mw, ibv_inc_rkey(mw->rkey));
	munmap(pages + PAGE, PAGE);
	return on_pages.mr;
}

static void of_one_page_less(struct ibv_mr *mr)
{
	uint8_t *page = mr->addr;

	assert_int_equal(ibv_dereg_mr(mr), 0);
	munmap(page, PAGE);
}

static void serves_as_before(struct harness *h, struct ibv_mw *mw)
{
	must_let_in(h, bound_type_1(h, &h->vm, mw));
	must_let_in(h, bound_type_1(h, &h->vm, mw));
	harness_move(h);
	must_let_in(h, mw->rkey);
	must_let_in(h, bound_type_1(h, &h->vm, mw));
}

/* The device still has the key before it. */
static void type_1_that_stays_unbound_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mr *mr = bound_to_less(h, mw);

	harness_move(h);
	serves_as_before(h, mw);
	dealloc(mw);
	of_one_page_less(mr);
}

static void type_1_that_a_device_refuses_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_pd *pd = ibv_alloc_pd(h->vm.context);
	struct ibv_mr *mr = region_for_windows(pd, h->vm.memory);

	bound_type_1(h, &h->vm, mw);
	container_of(mw, struct memory_window, shown)->bound.mr =
	        container_of(mr, struct memory_region, shown);
	harness_move(h);
	serves_as_before(h, mw);
	dealloc(mw);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	assert_int_equal(ibv_dealloc_pd(pd), 0);
}

/* When it is posted already: too long. */
static void type_1_that_a_provider_refuses_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_1);
	struct window_binding *is_bound = &container_of(mw, struct memory_window, shown)->bound;

	bound_type_1(h, &h->vm, mw);
	is_bound->length = UINT64_C(1) << 32;
	is_bound->mr->access |= IBV_ACCESS_ON_DEMAND;
	harness_move(h);
	serves_as_before(h, mw);
	dealloc(mw);
}

/* And what is given back does not take it for bound, either. */
static void type_2_that_stays_unbound_is_bound_by_its_next_key(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_mr *mr = bound_to_less(h, mw);

	harness_move(h);
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	post_bind(&h->vm, mw, mw->rkey + 2, 2, IBV_SEND_SIGNALED);
	abort_behind_the_vote(h);
	end_receive(&h->peer, 20, 0, 8);
	assert_int_equal(end_run(&h->vm, 9), 1);
	assert_int_equal(harness_poll(h, &h->vm), 2);
	assert_int_equal(h->wc[1].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, &h->peer), 1);
	must_let_in(h, mw->rkey + 2);
	dealloc(mw);
	of_one_page_less(mr);
}

static void what_is_bound_to_a_dead_region_is_not_bound_again(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_1);
	struct ibv_mr *mr = region_for_windows(h->vm.pd, h->vm.memory);
	struct end with = h->vm;

	with.mr = mr;
	bound(h, &with, mw, ibv_inc_rkey(mw->rkey));
	bound_type_1(h, &with, other);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_move(h);
	bound(h, &h->vm, mw, mw->rkey + 2);
	must_let_in(h, mw->rkey + 2);
	must_not_let_in(h, other->rkey);
	dealloc(mw);
	dealloc(other);
}

/* Its region went before its turn came: as a device would say, an error. */
static void a_bind_to_a_dead_region_ends_the_queue_pair(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2);
	struct ibv_mr *mr = region_for_windows(h->vm.pd, h->vm.memory);
	struct end with = h->vm;

	with.mr = mr;
	harness_stop(h);
	post_bind(&with, mw, ibv_inc_rkey(mw->rkey), 1, 0);
	assert_int_equal(ibv_dereg_mr(mr), 0);
	harness_go_on(h);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_equal(h->wc[0].wr_id, 1);
	assert_int_not_equal(h->wc[0].status, IBV_WC_SUCCESS);
	dealloc(mw);
}

static void a_window_that_is_refused_ends_its_queue_pair_alone(void **state)
{
	struct harness *h = *state;
	struct ibv_mw *mw = window_of(&h->vm, IBV_MW_TYPE_2),
	              *other = window_of(&h->vm, IBV_MW_TYPE_2),
	              *elsewhere = window_of(&h->vm, IBV_MW_TYPE_2);
	struct end vm = h->vm, peer = h->peer;
	uint32_t rkey = ibv_inc_rkey(elsewhere->rkey);
	struct memory_window *mine;
	uint64_t began_ms;

	end_create_qp(&vm, h);
	end_create_qp(&peer, h);
	end_connect(&vm, &peer, FAKE_LID_PEER);
	end_connect(&peer, &vm, FAKE_LID_VM);
	bound(h, &vm, elsewhere, rkey);
	bound(h, &h->vm, mw, ibv_inc_rkey(mw->rkey));
	bound(h, &h->vm, other, ibv_inc_rkey(other->rkey));
	mine = container_of(mw, struct memory_window, shown);
	harness_stop(h);
	mine->bound.access = 0;
	mine->bound.length = 0; /* a bind to nothing, which type 2 does not know */
	began_ms = h->now_ms;
	harness_go_on(h);
	assert_true(h->now_ms - began_ms < 100); /* no deadline had to pass */
	end_send(&h->vm, 1, 0, 8, IBV_SEND_SIGNALED);
	assert_int_equal(harness_poll(h, &h->vm), 1);
	assert_int_not_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(writes(h, &peer, &vm, rkey), IBV_WC_SUCCESS);
	post_invalidate(&vm, rkey, 7);
	completes(h, &vm, 7, IBV_WC_LOCAL_INV);
	assert_int_equal(ibv_destroy_qp(vm.qp), 0);
	assert_int_equal(ibv_destroy_qp(peer.qp), 0);
	dealloc(elsewhere);
	dealloc(mw);
	dealloc(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(type_1_that_stays_unbound_is_bound_by_its_next_key),
	        TEST(type_1_that_a_device_refuses_is_bound_by_its_next_key),
	        TEST(type_1_that_a_provider_refuses_is_bound_by_its_next_key),
	        TEST(type_2_that_stays_unbound_is_bound_by_its_next_key),
	        TEST(what_is_bound_to_a_dead_region_is_not_bound_again),
	        TEST(a_bind_to_a_dead_region_ends_the_queue_pair),
	        TEST(a_window_that_is_refused_ends_its_queue_pair_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
