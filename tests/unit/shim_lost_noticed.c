/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* How it is noticed that a device has been taken away, and who waits for whom meanwhile. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
