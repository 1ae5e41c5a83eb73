/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * TETHER_UNPLANNED=reconnect: errors that are kept, of queue pairs with two completion queues, and
 * of those that acknowledge nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/shim_unplanned_ends.h"

/* ---- two completion queues ---- */

/* The peer's second queue pair, whose RECVs complete elsewhere, and its other end. */
static struct end two, its_vm;
static struct ibv_cq *receives;

static int setup_two_queues(void **state)
{
	struct ibv_qp_init_attr attr = {.qp_type = IBV_QPT_RC,
	        .cap = {.max_send_wr = HARNESS_DEPTH,
	                .max_recv_wr = HARNESS_DEPTH,
	                .max_send_sge = 1,
	                .max_recv_sge = 1}};

	setup(state);
	two = h.peer;
	its_vm = h.vm;
	receives = ibv_create_cq(two.context, HARNESS_DEPTH, NULL, NULL, 0);
	attr.send_cq = two.cq;
	attr.recv_cq = receives;
	two.qp = ibv_create_qp(two.pd, &attr);
	assert_non_null(two.qp);
	end_create_qp(&its_vm, &h);
	end_connect(&its_vm, &two, FAKE_LID_PEER);
	end_connect(&two, &its_vm, FAKE_LID_VM);
	assert_int_equal(write8(&two, &its_vm, 1), 0);
	assert_int_equal(end_receive(&two, 9, 256, 64), 0);
	return 0;
}

static int teardown_two_queues(void **state)
{
	assert_int_equal(ibv_destroy_qp(two.qp), 0);
	assert_int_equal(ibv_destroy_qp(its_vm.qp), 0);
	assert_int_equal(ibv_destroy_cq(receives), 0);
	return teardown(state);
}

static int receives_there(struct ibv_wc *wc)
{
	return ibv_poll_cq(receives, 1, wc);
}

static void expect_both(enum ibv_wc_status of_sends)
{
	struct ibv_wc wc;

	EXPECT(&two, of_sends);
	assert_int_equal(receives_there(&wc), 1);
	assert_int_equal(wc.wr_id, 9);
	assert_int_equal(wc.status, IBV_WC_WR_FLUSH_ERR);
}

static void two_misses_its_peer(void)
{
	struct ibv_wc wc;

	service_asks(100);
	assert_int_equal(receives_there(&wc), 0);
	assert_int_equal(harness_poll(&h, &two), 0);
	h.now_ms += WAITS_MS;
	service_looks();
	expect_both(IBV_WC_RETRY_EXC_ERR);
}

static void a_cause_in_the_other_queue_is_found(void **state)
{
	struct ibv_wc wc;

	fake_give_up(real_of(two.qp));
	assert_int_equal(receives_there(&wc), 0);
	two_misses_its_peer();
}

static void a_cause_that_is_polled_first_stays_the_cause(void **state)
{
	struct ibv_wc wc;

	fake_give_up(real_of(two.qp));
	assert_int_equal(harness_poll(&h, &two), 0);
	assert_int_equal(receives_there(&wc), 0);
	two_misses_its_peer();
}

static void a_cause_that_is_told_in_the_other_queue_is_told_first(void **state)
{
	struct ibv_wc wc;

	fake_fail(real_of(two.qp), IBV_WC_REM_ACCESS_ERR);
	assert_int_equal(receives_there(&wc), 0);
	service_asks(21);
	expect_both(IBV_WC_REM_ACCESS_ERR);
}

/* ---- UC, UD ---- */

static int setup_uc(void **state)
{
	return setup_with((struct harness){.type = IBV_QPT_UC});
}

static void vm_sends_and_fails(void)
{
	assert_int_equal(end_send(&h.vm, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_receive(&h.vm, 9, 256, 64), 0);
	fake_fail(real_of(h.vm.qp), IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
}

static void what_acknowledges_nothing_is_told_too(void **state)
{
	vm_sends_and_fails();
	service_asks(19);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	service_asks(2);
	EXPECT(&h.vm, IBV_WC_WR_FLUSH_ERR, IBV_WC_WR_FLUSH_ERR);
}

/* What was sent is done, whether or not it was. */
static void what_acknowledges_nothing_goes_on_too(void **state)
{
	vm_sends_and_fails();
	lose_without_a_word();
	recover();
	EXPECT(&h.vm, DONE_WELL);
	assert_int_equal(fake_receives(real_of(h.vm.qp)), 1);
}

#define TWO(name) cmocka_unit_test_setup_teardown(name, setup_two_queues, teardown_two_queues)
#define UC(name)  cmocka_unit_test_setup_teardown(name, setup_uc, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TWO(a_cause_in_the_other_queue_is_found),
	        TWO(a_cause_that_is_polled_first_stays_the_cause),
	        TWO(a_cause_that_is_told_in_the_other_queue_is_told_first),
	        UC(what_acknowledges_nothing_is_told_too),
	        DATAGRAMS(what_acknowledges_nothing_is_told_too),
	        UC(what_acknowledges_nothing_goes_on_too),
	        DATAGRAMS(what_acknowledges_nothing_goes_on_too),
	};

	setenv("TETHER_UNPLANNED", "reconnect", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
