/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* TETHER_UNPLANNED=reconnect: binds and invalidations that a device refuses as it goes are kept, as
 * other work is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/shim_unplanned_ends.h"
#include "tests/unit/shim_windows_ends.h"

static int setup_ex(void **state)
{
	return setup_with((struct harness){.with_ex = true});
}

static void device_refuses(void)
{
	fake.refuses_work = true;
}

static void device_is_there_after_all(void)
{
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	fake.refuses_work = false;
	for (int i = 0; i < 21; i++, h.now_ms += 100)
		service_looks();
}

static void another_device_comes(void)
{
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	lose_without_a_word();
	fake.refuses_work = false;
	recover();
}

typedef void happens(void);

static void all_that_was_refused_is_done(happens *then)
{
	struct ibv_mw *mw = window_of(&h.vm, IBV_MW_TYPE_2),
	              *other = window_of(&h.vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {
	        .wr_id = 4, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(&h.vm)};
	uint32_t rkey = bound(&h, &h.vm, mw, ibv_inc_rkey(mw->rkey));

	device_refuses();
	post_invalidate(&h.vm, rkey, 1);
	post_bind(&h.vm, mw, rkey + 5, 2, IBV_SEND_SIGNALED);
	assert_int_equal(write8(&h.vm, &h.peer, 3), 0);
	assert_int_equal(ibv_bind_mw(h.vm.qp, other, &bind), 0);
	then();
	assert_int_equal(end_run(&h.vm, 1), 1);
	complete_in_order(&h, &h.vm, 4);
	must_let_in(&h, rkey + 5);
	must_let_in(&h, other->rkey);
	dealloc(mw);
	dealloc(other);
}

static void it_is_given_again(void **state)
{
	all_that_was_refused_is_done(device_is_there_after_all);
}

static void it_is_done_on_the_next_device(void **state)
{
	all_that_was_refused_is_done(another_device_comes);
}

/* Of type 1 as of the others: it is the first that is refused. */
static void a_bind_of_type_1_alone(void **state)
{
	struct ibv_mw *mw = window_of(&h.vm, IBV_MW_TYPE_1);
	struct ibv_mw_bind bind = {
	        .wr_id = 1, .send_flags = IBV_SEND_SIGNALED, .bind_info = part_of(&h.vm)};

	device_refuses();
	assert_int_equal(ibv_bind_mw(h.vm.qp, mw, &bind), 0);
	device_is_there_after_all();
	complete_in_order(&h, &h.vm, 1);
	must_let_in(&h, mw->rkey);
	dealloc(mw);
}

/* It goes in the midst of one list: it has taken the first. */
static void what_is_built_is_kept_from_the_first_on_that_it_refuses(void **state)
{
	struct ibv_qp_ex *qpx = ibv_qp_to_qp_ex(h.vm.qp);
	struct ibv_mw *mw = window_of(&h.vm, IBV_MW_TYPE_2);
	struct ibv_mw_bind_info info = part_of(&h.vm);
	uint32_t rkey = ibv_inc_rkey(mw->rkey);

	fake.inside = device_refuses;
	qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_start(qpx);
	for (qpx->wr_id = 1; qpx->wr_id <= 3; qpx->wr_id++) {
		if (qpx->wr_id == 2) {
			ibv_wr_bind_mw(qpx, mw, rkey, &info);
			continue;
		}
		ibv_wr_rdma_write(qpx, h.peer.mr->rkey, (uintptr_t)h.peer.memory);
		ibv_wr_set_sge(qpx, h.vm.mr->lkey, (uintptr_t)h.vm.memory, 8);
	}
	assert_int_equal(ibv_wr_complete(qpx), 0);
	assert_int_equal(end_pending(&h.vm), 1);
	device_is_there_after_all();
	assert_int_equal(end_run(&h.vm, 2), 2);
	complete_in_order(&h, &h.vm, 3);
	must_let_in(&h, rkey);
	dealloc(mw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(it_is_given_again),
	        TEST(it_is_done_on_the_next_device),
	        TEST(a_bind_of_type_1_alone),
	        cmocka_unit_test_setup_teardown(
	                what_is_built_is_kept_from_the_first_on_that_it_refuses, setup_ex,
	                teardown),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
