/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What the application gets of a device that is taken away by surprise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <semaphore.h>
#include <string.h>

#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_lost_ends.h"
#include "tests/unit/shim_watched.h"

/* ---- completions ---- */

static void what_is_outstanding_is_flushed_once(void **state)
{
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(send(i, i % 2 ? IBV_SEND_SIGNALED : 0), 0);
	assert_int_equal(end_receive(&h.vm, 10, 0, 64), 0);
	assert_int_equal(end_receive(&h.vm, 11, 0, 64), 0);
	/* 0 and 1 are done and acknowledged, 2 and 3 are done. */
	assert_int_equal(end_run(&h.vm, 2), 2);
	assert_int_equal(end_run_unacknowledged(&h.vm, 2), 2);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 7);
	expect_wc(0, 1, IBV_WC_SUCCESS);
	for (unsigned i = 1; i < 5; i++)
		expect_wc(i, i + 1, IBV_WC_WR_FLUSH_ERR);
	expect_wc(5, 10, IBV_WC_WR_FLUSH_ERR);
	expect_wc(6, 11, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	expect_lost(&h.vm);
}

/* The device had begun to give work back, and did not get to the end. */
static void what_the_device_has_flushed_is_not_flushed_again(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_ERR};

	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 0, 64);
	assert_int_equal(below.ibv_modify_qp(real_of(h.vm.qp), &attr, IBV_QP_STATE), 0);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	assert_int_equal(h.wc[0].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h.wc[1].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(h.wc[0].wr_id + h.wc[1].wr_id, 11);
	expect_lost(&h.vm);
}

static void what_is_posted_afterwards_is_flushed(void **state)
{
	struct ibv_qp_attr attr;
	struct ibv_qp_init_attr init;

	lose_device();
	assert_int_equal(send(1, 0), 0);
	assert_int_equal(send(2, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_receive(&h.vm, 10, 0, 64), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h.wc[i].status, IBV_WC_WR_FLUSH_ERR);
	assert_int_equal(ibv_query_qp(h.vm.qp, &attr, IBV_QP_STATE, &init), 0);
	assert_int_equal(attr.qp_state, IBV_QPS_ERR);
	expect_lost(&h.vm);
}

/* They are in no queue pair: as on a device they complete with nobody. */
static void buffers_of_a_shared_queue_stay_in_it(void **state)
{
	struct ibv_async_event event;

	for (uint64_t i = 0; i < HARNESS_DEPTH; i++)
		assert_int_equal(end_receive(&h.vm, i, 0, 64), 0);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 0);
	assert_int_equal(end_receive(&h.vm, 1, 0, 64), ENOMEM);
	assert_int_equal(get_event(&h.vm, &event), 1);
	assert_int_equal(event.event_type, IBV_EVENT_QP_LAST_WQE_REACHED);
	expect_lost(&h.vm);
}

static void datagrams_are_flushed(void **state)
{
	end_send(&h.vm, 1, 0, 64, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 0, 128);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	expect_wc(0, 1, IBV_WC_WR_FLUSH_ERR);
	expect_wc(1, 10, IBV_WC_WR_FLUSH_ERR);
	expect_lost(&h.vm);
}
/* ---- events ---- */

static void fatal_is_told_once_however_often_the_device_says_so(void **state)
{
	device_tells(&h.vm, IBV_EVENT_DEVICE_FATAL);
	lose_device();
	expect_lost(&h.vm);
	service_looks();
	assert_int_equal(fatal_events(&h.vm), 0);
	expect_alive(&h.peer);
}

/* Who reads it itself gets it when all else is done. */
static void who_reads_first_finds_nothing_before_all_is_flushed(void **state)
{
	struct ibv_async_event event;

	send(1, IBV_SEND_SIGNALED);
	take_away();
	assert_int_equal(get_event(&h.vm, &event), 0);
	service_looks();
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_lost(&h.vm);
}

static void each_context_is_told(void **state)
{
	struct end other = {0};

	end_open(&other, FAKE_LID_VM, false);
	fake_async_event(real_context(&other),
	        (struct ibv_async_event){.event_type = IBV_EVENT_DEVICE_FATAL});
	lose_device();
	expect_lost(&h.vm);
	expect_lost(&other);
	end_close(&other);
}

static void *sleep_on_channel(void *end)
{
	struct ibv_cq *cq;
	void *context;

	if (ibv_get_cq_event(((struct end *)end)->channel, &cq, &context))
		return NULL;
	ibv_ack_cq_events(cq, 1);
	return cq;
}

static void *sleep_for_async(void *end)
{
	static struct ibv_async_event event;

	if (ibv_get_async_event(((struct end *)end)->context, &event))
		return NULL;
	ibv_ack_async_event(&event);
	return &event;
}

static void who_sleeps_is_woken(void **state)
{
	struct watched threads[2];
	const struct ibv_async_event *event;

	send(1, IBV_SEND_SIGNALED);
	end_arm(&h.vm, 0);
	watched_start(&threads[0], sleep_on_channel, &h.vm);
	watched_start(&threads[1], sleep_for_async, &h.vm);
	for (int i = 0; i < 2; i++)
		assert_false(watched_ends_at_once(&threads[i]));
	take_away();
	/* Who sleeps may read what the device says ahead of the service thread, which is woken
	 * then. */
	while (!watched_has_ended(&threads[0]) || !watched_has_ended(&threads[1]))
		service_looks();
	assert_ptr_equal(watched_join(&threads[0]), h.vm.cq);
	event = watched_join(&threads[1]);
	assert_non_null(event);
	assert_int_equal(event->event_type, IBV_EVENT_DEVICE_FATAL);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
}

/* One for which nothing but errors counts. */
static void an_arm_for_solicited_ones_is_met(void **state)
{
	end_receive(&h.vm, 10, 0, 64);
	end_arm(&h.vm, 1);
	lose_device();
	assert_ptr_equal(sleep_on_channel(&h.vm), h.vm.cq);
}
/* ---- the end ---- */

static void verbs_that_need_a_device_fail(void **state)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_RESET};
	struct ibv_port_attr port;

	lose_device();
	assert_int_equal(___ibv_query_port(h.vm.context, 1, &port), ENODEV);
	assert_int_equal(ibv_modify_qp(h.vm.qp, &attr, IBV_QP_STATE), ENODEV);
	assert_null(ibv_reg_mr(h.vm.pd, h.vm.memory, 8, 0));
	assert_null(ibv_create_cq(h.vm.context, 1, NULL, NULL, 0));
	assert_null(ibv_alloc_pd(h.vm.context));
	attr.qp_state = IBV_QPS_ERR;
	assert_int_equal(ibv_modify_qp(h.vm.qp, &attr, IBV_QP_STATE), 0);
}

/* It has not closed what it has lost. */
static void the_device_that_comes_next_is_opened_used_and_moved(void **state)
{
	struct end lost = h.vm, peer = h.peer;

	lose_device();
	expect_lost(&h.vm);
	fake.slot = 1;
	end_open(&h.vm, FAKE_LID_VM, false);
	end_open(&h.peer, FAKE_LID_PEER, false);
	harness_connect(&h);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(1, IBV_SEND_SIGNALED), 0);
		assert_int_equal(end_run(&h.vm, 1), 1);
		harness_expect_one(&h, &h.vm, 1);
		harness_move(&h);
	}
	assert_null(real_context(&lost));
	assert_int_equal(fatal_events(&lost), 0);
	expect_alive(&h.vm);
	end_close(&lost);
	end_close(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_is_outstanding_is_flushed_once),
	        TEST(what_the_device_has_flushed_is_not_flushed_again),
	        TEST(what_is_posted_afterwards_is_flushed),
	        SHARED(buffers_of_a_shared_queue_stay_in_it),
	        DATAGRAMS(datagrams_are_flushed),
	        TEST(fatal_is_told_once_however_often_the_device_says_so),
	        TEST(who_reads_first_finds_nothing_before_all_is_flushed),
	        TEST(each_context_is_told),
	        CHANNEL(who_sleeps_is_woken),
	        CHANNEL(an_arm_for_solicited_ones_is_met),
	        TEST(verbs_that_need_a_device_fail),
	        TEST(the_device_that_comes_next_is_opened_used_and_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
