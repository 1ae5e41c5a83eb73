/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A device that is taken away by surprise, and gives nothing back: what the application gets all
 * the same, how it is noticed, and what becomes of a migration in whichever step it happens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>

#include "preload/lost_devices.h"
#include "preload/objects.h"
#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"

static struct harness h;

static int setup_with(struct harness wanted)
{
	assert_int_equal(lost_devices_begin(), 0);
	harness_begin(&h, wanted);
	return 0;
}

static int setup(void **state)
{
	return setup_with((struct harness){0});
}

static int setup_shared(void **state)
{
	return setup_with((struct harness){.with_srq = true});
}

static int setup_channel(void **state)
{
	return setup_with((struct harness){.with_channel = true});
}

static int setup_datagrams(void **state)
{
	return setup_with((struct harness){.type = IBV_QPT_UD});
}

static int teardown(void **state)
{
	harness_close(&h);
	lost_devices_forget();
	return 0;
}

/* ---- what happens ---- */

static struct ibv_context *real_context(const struct end *end)
{
	return context_of(end->context)->real;
}

static void device_tells(const struct end *end, enum ibv_event_type type)
{
	fake_async_event(real_context(end),
	        (struct ibv_async_event){.element.port_num = 1, .event_type = type});
}

/* The VM's, which is where fake.slot says. */
static void take_away(void)
{
	fake.gone |= 1u << fake.slot;
	device_tells(&h.vm, IBV_EVENT_DEVICE_FATAL);
	fake.slot = -1;
}

static void service_looks(void)
{
	lost_devices_tick(h.now_ms);
}

static void lose_device(void)
{
	take_away();
	service_looks();
}

/* ---- what the application sees ---- */

static int get_event(const struct end *end, struct ibv_async_event *event)
{
	int fd = end->context->async_fd;

	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
	if (ibv_get_async_event(end->context, event)) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	ibv_ack_async_event(event);
	return 1;
}

static unsigned fatal_events(const struct end *end)
{
	struct ibv_async_event event;
	unsigned count = 0;

	while (get_event(end, &event))
		count += event.event_type == IBV_EVENT_DEVICE_FATAL;
	return count;
}

static void expect_lost(const struct end *end)
{
	assert_int_equal(fatal_events(end), 1);
	assert_int_equal(context_of(end->context)->phase, PHASE_LOST);
	assert_null(real_context(end));
}

static void expect_alive(const struct end *end)
{
	assert_int_equal(fatal_events(end), 0);
	assert_int_equal(context_of(end->context)->phase, PHASE_RUNNING);
	assert_non_null(real_context(end));
}

static void expect_wc(unsigned nth, uint64_t wr_id, enum ibv_wc_status status)
{
	assert_int_equal(h.wc[nth].wr_id, wr_id);
	assert_int_equal(h.wc[nth].status, status);
	assert_int_equal(h.wc[nth].qp_num, h.vm.qp->qp_num);
}

static int send(uint64_t wr_id, unsigned flags)
{
	return end_rdma(&h.vm, &h.peer, IBV_WR_RDMA_WRITE, wr_id, 0, 8, flags);
}

static void step(Tether__Step step)
{
	harness_expect(&h, step, DONE);
}

static void step_fails(Tether__Step step, const char *why)
{
	harness_expect(&h, step, FAILED);
	assert_string_equal(harness_reason(&h), why);
}

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

/* ---- how it is noticed ---- */

static int64_t looks_until_due(unsigned times)
{
	int64_t next = lost_devices_tick(h.now_ms);

	for (unsigned i = 1; i < times && next >= 0; i++) {
		h.now_ms += (uint64_t)next;
		next = lost_devices_tick(h.now_ms);
	}
	return next;
}

/* As of rxe. */
static void one_that_answers_no_more_is_lost(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	fake.gone |= 1;
	device_tells(&h.vm, IBV_EVENT_GID_CHANGE);
	assert_true(looks_until_due(19) > 0);
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_RUNNING);
	looks_until_due(2);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_lost(&h.vm);
}

static void one_that_answers_in_between_is_kept(void **state)
{
	struct ibv_async_event event;

	device_tells(&h.vm, IBV_EVENT_PKEY_CHANGE);
	for (int i = 0; i < 6; i++) {
		fake.gone = i % 2 == 0;
		assert_true(looks_until_due(2) > 0);
	}
	fake.gone = 0;
	assert_int_equal(looks_until_due(1000), -1);
	assert_int_equal(get_event(&h.vm, &event), 1);
	assert_int_equal(event.event_type, IBV_EVENT_PKEY_CHANGE);
	expect_alive(&h.vm);
}

/* Its firmware was busy with something else. */
static void one_that_is_silent_for_a_second_is_kept(void **state)
{
	fake.gone |= 1;
	device_tells(&h.vm, IBV_EVENT_GID_CHANGE);
	assert_true(looks_until_due(11) > 0);
	fake.gone = 0;
	assert_int_equal(looks_until_due(1000), -1);
	expect_alive(&h.vm);
}

/* It says something, answers for as long as it is asked, and goes while it is. */
static void one_that_goes_at_the_end_is_lost(void **state)
{
	device_tells(&h.vm, IBV_EVENT_GID_CHANGE);
	assert_true(looks_until_due(19) > 0);
	fake.gone |= 1;
	looks_until_due(21);
	expect_lost(&h.vm);
}

static void nobody_is_asked_of_whom_nothing_is_heard(void **state)
{
	assert_int_equal(lost_devices_tick(h.now_ms), -1);
	fake.gone = 1;
	assert_int_equal(looks_until_due(10), -1);
	fake.gone = 0;
	expect_alive(&h.vm);
}

static void tell_and_look(void)
{
	fake_async_event(
	        fake.asked, (struct ibv_async_event){.event_type = IBV_EVENT_DEVICE_FATAL});
	service_looks();
}

/* The service thread hears of it before it knows whose it is. */
static void one_that_goes_while_it_is_opened_is_lost(void **state)
{
	struct end other = {0};

	fake.inside = tell_and_look;
	end_open(&other, FAKE_LID_VM, false);
	assert_null(fake.inside);
	service_looks();
	expect_lost(&other);
	end_close(&other);
	expect_alive(&h.vm);
}

/* ---- who is kept waiting ---- */

static sem_t is_inside, may_leave;

static void stay_inside(void)
{
	sem_post(&is_inside);
	sem_wait(&may_leave);
}

static void *alloc_pd(void *end)
{
	return ibv_alloc_pd(((struct end *)end)->context);
}

static void *look_as_service(void *unused)
{
	service_looks();
	return NULL;
}

static void *close_end(void *end)
{
	end_close(end);
	return NULL;
}

static void start_inside(struct watched *thread, void *(*what)(void *), void *argument)
{
	sem_init(&is_inside, 0, 0);
	sem_init(&may_leave, 0, 0);
	fake.inside = stay_inside;
	watched_start(thread, what, argument);
	sem_wait(&is_inside);
}

/* Whoever is slow in a control verb keeps nobody waiting, though the device has told @event. */
static void look_beside_a_verb(struct ibv_async_event event)
{
	struct watched slow, service, quick;
	struct ibv_async_event got;
	bool has_looked, is_quick;

	start_inside(&slow, alloc_pd, &h.vm);
	fake_async_event(real_context(&h.vm), event);
	watched_start(&service, look_as_service, NULL);
	has_looked = watched_ends_at_once(&service);
	watched_start(&quick, alloc_pd, &h.vm);
	is_quick = watched_ends_at_once(&quick);
	sem_post(&may_leave);
	watched_join(&service);
	assert_int_equal(ibv_dealloc_pd(watched_join(&slow)), 0);
	assert_int_equal(ibv_dealloc_pd(watched_join(&quick)), 0);
	assert_true(has_looked && is_quick);
	assert_int_equal(get_event(&h.vm, &got), 1);
	assert_int_equal(got.event_type, event.event_type);
}

static void an_event_of_a_queue_pair_keeps_nobody_waiting(void **state)
{
	look_beside_a_verb((struct ibv_async_event){
	        .element.qp = real_of(h.vm.qp), .event_type = IBV_EVENT_COMM_EST});
}

static void an_event_of_the_device_keeps_nobody_waiting(void **state)
{
	look_beside_a_verb((struct ibv_async_event){
	        .element.port_num = 1, .event_type = IBV_EVENT_PKEY_CHANGE});
}

static void *arm_limit(void *limit)
{
	struct ibv_srq_attr attr = {.srq_limit = *(const uint32_t *)limit};

	assert_int_equal(ibv_modify_srq(h.vm.srq, &attr, IBV_SRQ_LIMIT), 0);
	return NULL;
}

/* It is armed again while the service thread has read that it was reached, and not noted it. */
static void a_limit_that_is_read_of_is_not_the_next_one(void **state)
{
	const struct shared_receive_queue *srq = shared_receive_queue_of(h.vm.srq);
	uint32_t limits[] = {1, 2};
	struct watched service, arms;
	bool is_armed;

	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(end_receive(&h.vm, i, 0, 64), 0);
	arm_limit(&limits[0]);
	fake_async_event(real_context(&h.vm), (struct ibv_async_event){.element.srq = srq->real,
	                                              .event_type = IBV_EVENT_SRQ_LIMIT_REACHED});
	start_inside(&service, look_as_service, NULL);
	watched_start(&arms, arm_limit, &limits[1]);
	is_armed = watched_ends_at_once(&arms);
	sem_post(&may_leave);
	watched_join(&service);
	watched_join(&arms);
	assert_false(is_armed);
	assert_int_equal(srq->limit, limits[1]);
}

/* A device that is slow to answer: but for who closes it. */
static void who_is_asked_is_closed_afterwards(void **state)
{
	struct watched service, quick, closes;
	struct end other = {0};
	bool is_quick, is_closed;

	end_open(&other, FAKE_LID_VM, false);
	device_tells(&other, IBV_EVENT_PKEY_CHANGE);
	start_inside(&service, look_as_service, NULL);
	watched_start(&quick, alloc_pd, &h.vm);
	is_quick = watched_ends_at_once(&quick);
	watched_start(&closes, close_end, &other);
	is_closed = watched_ends_at_once(&closes);
	sem_post(&may_leave);
	watched_join(&service);
	watched_join(&closes);
	assert_int_equal(ibv_dealloc_pd(watched_join(&quick)), 0);
	assert_true(is_quick);
	assert_false(is_closed);
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

/* ---- in a migration ---- */

static void in_prepare_it_ends_at_stop(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	step(TETHER__STEP__STEP_PREPARE);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	step_fails(TETHER__STEP__STEP_STOP, "device-lost");
	expect_lost(&h.vm);
	step(TETHER__STEP__STEP_ABORT);
	assert_int_equal(context_of(h.vm.context)->phase, PHASE_LOST);
}

/* The VM was given another one, and the root begins again. */
static void it_begins_again_with_the_next_one(void **state)
{
	struct end lost = h.vm, peer = h.peer;

	step(TETHER__STEP__STEP_PREPARE);
	lose_device();
	step_fails(TETHER__STEP__STEP_STOP, "device-lost");
	step(TETHER__STEP__STEP_ABORT);
	fake.slot = 1;
	end_open(&h.vm, FAKE_LID_VM, false);
	end_open(&h.peer, FAKE_LID_PEER, false);
	harness_connect(&h);
	h.migration--;
	h.begun_again++;
	harness_move(&h);
	expect_alive(&h.vm);
	end_close(&lost);
	end_close(&peer);
}

/* What was kept back was never with the device, and is flushed like all else. */
static void in_stop_it_ends_at_settle(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 0, 64);
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	send(2, IBV_SEND_SIGNALED);
	lose_device();
	assert_int_equal(harness_poll(&h, &h.vm), 3);
	expect_wc(0, 1, IBV_WC_WR_FLUSH_ERR);
	expect_wc(1, 2, IBV_WC_WR_FLUSH_ERR);
	expect_wc(2, 10, IBV_WC_WR_FLUSH_ERR);
	step_fails(TETHER__STEP__STEP_SETTLE, "device-lost");
	step(TETHER__STEP__STEP_ABORT);
	assert_int_equal(send(3, 0), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_lost(&h.vm);
	expect_alive(&h.peer);
	assert_int_equal(
	        end_rdma(&h.peer, &h.vm, IBV_WR_RDMA_WRITE, 1, 0, 8, IBV_SEND_SIGNALED), 0);
	assert_int_equal(end_pending(&h.peer), 1);
}

static void before_the_lease_ends_it_is_not_opened(void **state)
{
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	lose_device();
	harness_time_passes(&h, 6000);
	assert_int_equal(send(1, IBV_SEND_SIGNALED), 0);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_wc(0, 1, IBV_WC_WR_FLUSH_ERR);
	expect_lost(&h.vm);
}

/* All that settlement needs was read before: the application does not even notice. */
static void behind_the_vote_the_move_goes_on(void **state)
{
	strcpy((char *)h.vm.memory, "exact");
	send(1, IBV_SEND_SIGNALED);
	send(2, IBV_SEND_SIGNALED);
	end_run_unacknowledged(&h.vm, 1);
	end_send(&h.peer, 3, 0, 64, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 256, 64);
	end_run_unacknowledged(&h.peer, 1);
	harness_stop(&h);
	lose_device();
	service_looks();
	step(TETHER__STEP__STEP_RELEASE);
	fake.slot = 1;
	harness_arrive(&h);
	expect_alive(&h.vm);
	assert_int_equal(end_pending(&h.vm), 1);
	assert_int_equal(end_run(&h.vm, 1), 1);
	assert_int_equal(harness_poll(&h, &h.vm), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(h.wc[i].status, IBV_WC_SUCCESS);
	harness_expect_one(&h, &h.peer, 3);
}

static void behind_the_vote_an_abort_ends_it(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.vm, 10, 0, 64);
	harness_stop(&h);
	lose_device();
	step(TETHER__STEP__STEP_ABORT);
	step(TETHER__STEP__STEP_SETTLE);
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	assert_int_not_equal(h.wc[0].status, IBV_WC_SUCCESS);
	expect_wc(1, 10, IBV_WC_WR_FLUSH_ERR);
	expect_lost(&h.vm);
}

static void the_next_one_is_lost_before_resume(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	harness_stop(&h);
	step(TETHER__STEP__STEP_RELEASE);
	fake.slot = 1;
	step(TETHER__STEP__STEP_ATTACH);
	lose_device();
	step(TETHER__STEP__STEP_RECONNECT);
	step(TETHER__STEP__STEP_RESUME);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	assert_int_not_equal(h.wc[0].status, IBV_WC_SUCCESS);
	expect_lost(&h.vm);
}

static void behind_the_vote_the_overall_deadline_ends_it(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	harness_stop(&h);
	lose_device();
	harness_time_passes(&h, 30000);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_lost(&h.vm);
}

/* The VM's queue pair ends with an error, since its other end has no evidence any more. */
static void a_peers_device_is_lost(void **state)
{
	send(1, IBV_SEND_SIGNALED);
	end_receive(&h.peer, 10, 0, 64);
	step(TETHER__STEP__STEP_PREPARE);
	step(TETHER__STEP__STEP_STOP);
	fake.peer_is_gone = true;
	device_tells(&h.peer, IBV_EVENT_DEVICE_FATAL);
	service_looks();
	assert_int_equal(harness_poll(&h, &h.peer), 1);
	expect_lost(&h.peer);
	step(TETHER__STEP__STEP_SETTLE);
	harness_go_on(&h);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_wc(0, 1, IBV_WC_RETRY_EXC_ERR);
	expect_alive(&h.vm);
	assert_int_equal(end_receive(&h.peer, 11, 0, 64), 0);
	assert_int_equal(harness_poll(&h, &h.peer), 1);
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SHARED(name)    cmocka_unit_test_setup_teardown(name, setup_shared, teardown)
#define CHANNEL(name)   cmocka_unit_test_setup_teardown(name, setup_channel, teardown)
#define DATAGRAMS(name) cmocka_unit_test_setup_teardown(name, setup_datagrams, teardown)

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
	        TEST(one_that_answers_no_more_is_lost),
	        TEST(one_that_answers_in_between_is_kept),
	        TEST(one_that_is_silent_for_a_second_is_kept),
	        TEST(one_that_goes_at_the_end_is_lost),
	        TEST(nobody_is_asked_of_whom_nothing_is_heard),
	        TEST(one_that_goes_while_it_is_opened_is_lost),
	        TEST(an_event_of_a_queue_pair_keeps_nobody_waiting),
	        TEST(an_event_of_the_device_keeps_nobody_waiting),
	        SHARED(a_limit_that_is_read_of_is_not_the_next_one),
	        TEST(who_is_asked_is_closed_afterwards),
	        TEST(verbs_that_need_a_device_fail),
	        TEST(the_device_that_comes_next_is_opened_used_and_moved),
	        TEST(in_prepare_it_ends_at_stop),
	        TEST(it_begins_again_with_the_next_one),
	        TEST(in_stop_it_ends_at_settle),
	        TEST(before_the_lease_ends_it_is_not_opened),
	        TEST(behind_the_vote_the_move_goes_on),
	        TEST(behind_the_vote_an_abort_ends_it),
	        TEST(the_next_one_is_lost_before_resume),
	        TEST(behind_the_vote_the_overall_deadline_ends_it),
	        TEST(a_peers_device_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
