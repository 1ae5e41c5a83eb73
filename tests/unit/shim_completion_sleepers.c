/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Threads that sleep on a completion channel, or wait for an acknowledgement: who is blocked holds
 * no move up and is woken, interrupted and cancelled as in libibverbs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "preload/completion_channel.h"
#include "preload/control.h"
#include "tests/unit/shim_channels.h"
#include "tests/unit/shim_harness.h"
#include "tests/unit/shim_watched.h"

static struct harness h;

static int setup(void **state)
{
	harness_begin(&h, (struct harness){.with_channel = true});
	return 0;
}

static int teardown(void **state)
{
	harness_close(&h);
	assert_int_equal(fake_unread_events(), 0);
	return 0;
}

/* ---- who sleeps ---- */

struct sleeper {
	struct watched thread;
	struct end *end;
	unsigned got;
};

static void *sleep_for_event(void *at)
{
	struct sleeper *sleeper = at;
	struct ibv_cq *cq;
	void *context;

	if (ibv_get_cq_event(sleeper->end->channel, &cq, &context))
		return NULL;
	__atomic_add_fetch(&sleeper->got, cq == sleeper->end->cq, __ATOMIC_RELAXED);
	ibv_ack_cq_events(cq, 1);
	return NULL;
}

static void fall_asleep(struct sleeper *sleeper, void *(*what)(void *))
{
	watched_start(&sleeper->thread, what, sleeper);
	assert_false(watched_ends_at_once(&sleeper->thread));
}

static void who_is_blocked_holds_nothing_up_and_is_woken(void **state)
{
	struct sleeper sleepers[3];

	for (int i = 0; i < 3; i++) {
		sleepers[i] = (struct sleeper){.end = i < 2 ? &h.vm : &h.peer};
		fall_asleep(&sleepers[i], sleep_for_event);
	}
	end_arm(&h.vm, 0);
	end_arm(&h.peer, 0);
	harness_move(&h);
	harness_move(&h);
	end_message(&h.peer, &h.vm, 1, IBV_SEND_SIGNALED);
	while (!__atomic_load_n(&sleepers[0].got, __ATOMIC_RELAXED) &&
	        !__atomic_load_n(&sleepers[1].got, __ATOMIC_RELAXED))
		sched_yield();
	harness_expect_one(&h, &h.vm, 1);
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 2, IBV_SEND_SIGNALED);
	for (int i = 0; i < 3; i++) {
		watched_join(&sleepers[i].thread);
		assert_int_equal(sleepers[i].got, 1);
	}
}

static void count_signal(int number)
{
}

static void install(int flags)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};

	sigaction(SIGALRM, &action, NULL);
}

/* read(2), which libibverbs sleeps in, is restarted or not as the handler wants it. */
static void signal_interrupts_as_it_would_a_read(void **state)
{
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct sleeper sleeper = {.end = &h.vm};
	struct ibv_cq *cq;
	void *context;
	sigset_t alarm, before;

	install(0);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_int_equal(ibv_get_cq_event(h.vm.channel, &cq, &context), -1);
	assert_int_equal(errno, EINTR);
	setitimer(ITIMER_REAL, &never, NULL);
	install(SA_RESTART);
	fall_asleep(&sleeper, sleep_for_event);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	end_arm(&h.vm, 0);
	harness_move(&h);
	end_message(&h.peer, &h.vm, 1, 0);
	watched_join(&sleeper.thread);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(sleeper.got, 1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGALRM, SIG_DFL);
}

/* AddressSanitizer does not see a cancelled thread leave its frames, which are below. */
extern void __asan_unpoison_memory_region(void const volatile *, size_t) __attribute__((weak));

static void frames_are_left(void *unused)
{
	enum { BELOW = 16384 };
	char *here = __builtin_frame_address(0);

	if (__asan_unpoison_memory_region)
		__asan_unpoison_memory_region(here - BELOW, BELOW);
}

static void *sleep_until_cancelled(void *at)
{
	void *got;

	pthread_cleanup_push(frames_are_left, NULL);
	got = sleep_for_event(at);
	pthread_cleanup_pop(0);
	return got;
}

static void who_sleeps_can_be_cancelled(void **state)
{
	struct sleeper sleeper = {.end = &h.vm};

	fall_asleep(&sleeper, sleep_until_cancelled);
	pthread_cancel(sleeper.thread.thread);
	assert_ptr_equal(watched_join(&sleeper.thread), PTHREAD_CANCELED);
	harness_move(&h);
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 1, 0);
	end_expect_event(&h.vm);
}

/* ---- acknowledgement ---- */

static void *destroy(void *cq)
{
	return (void *)(intptr_t)ibv_destroy_cq(cq);
}

static void destroying_waits_for_acknowledgement_from_before_the_move(void **state)
{
	struct watched destroyer;
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(h.vm.channel->fd);
	end_arm(&h.vm, 0);
	end_message(&h.peer, &h.vm, 1, 0);
	assert_int_equal(ibv_get_cq_event(h.vm.channel, &cq, &context), 0);
	harness_move(&h);
	assert_int_equal(ibv_destroy_cq(h.vm.cq), EBUSY);
	assert_int_equal(ibv_destroy_qp(h.vm.qp), 0);
	h.vm.qp = NULL;
	watched_start(&destroyer, destroy, h.vm.cq);
	harness_time_passes(&h, 20);
	assert_false(watched_ends_at_once(&destroyer));
	ibv_ack_cq_events(cq, 1);
	assert_null(watched_join(&destroyer)); /* no error */
	h.vm.cq = ibv_create_cq(h.vm.context, 4, &h.vm, h.vm.channel, 0);
}

static bool is_gone_from_device(const struct completion_queue *cq)
{
	bool is_gone;

	control_exclusive_begin();
	is_gone = !cq->real;
	control_exclusive_end();
	return is_gone;
}

static bool has_dropped_events(struct completion_queue *cq)
{
	bool has_dropped;

	pthread_mutex_lock(&cq->channel->lock);
	has_dropped = !cq->events_due;
	pthread_mutex_unlock(&cq->channel->lock);
	return has_dropped;
}

static bool one_is_got(struct completion_queue *cq)
{
	bool is_got;

	pthread_mutex_lock(&cq->shown.mutex);
	is_got = cq->events_shown != cq->shown.comp_events_completed;
	pthread_mutex_unlock(&cq->shown.mutex);
	return is_got;
}

static void *take_over(void *channel)
{
	completion_channel_take_over(channel);
	return NULL;
}

/* One event is due; the other, read in passing by another queue, nobody has judged. */
static struct ibv_cq *leave_an_event_unjudged(void)
{
	struct ibv_cq *other = ibv_create_cq(h.vm.context, 4, &h.vm, h.vm.channel, 0);

	for (uint64_t i = 1; i < 3; i++) {
		end_arm(&h.vm, 0);
		end_message(&h.peer, &h.vm, i, 0);
		harness_expect_one(&h, &h.vm, i);
	}
	completion_channel_collect(completion_queue_of(other));
	return other;
}

static struct ibv_async_event asynchronous_event(struct completion_queue *cq)
{
	struct ibv_async_event event = {.event_type = IBV_EVENT_CQ_ERR, .element.cq = cq->real};

	fake_async_event(context_of(h.vm.context)->real, event);
	assert_int_equal(ibv_get_async_event(h.vm.context, &event), 0);
	return event;
}

/* The one that destroys waits first for the asynchronous event, then for the move. */
static void queue_that_goes_while_a_move_judges_its_event_leaves_none(void **state)
{
	struct completion_queue *cq = completion_queue_of(h.vm.cq);
	struct completion_channel *channel = cq->channel;
	struct watched destroyer;
	struct ibv_cq *other = leave_an_event_unjudged();
	struct ibv_async_event event = asynchronous_event(cq);
	pthread_t service;

	assert_int_equal(ibv_destroy_qp(h.vm.qp), 0);
	h.vm.qp = NULL;
	watched_start(&destroyer, destroy, h.vm.cq);
	while (!is_gone_from_device(cq))
		sched_yield();
	gate_close(&cq->gate);
	pthread_create(&service, NULL, take_over, channel);
	while (!one_is_got(cq))
		sched_yield();
	ibv_ack_async_event(&event);
	while (!has_dropped_events(cq))
		sched_yield();
	gate_open(&cq->gate);
	pthread_join(service, NULL);
	assert_null(watched_join(&destroyer)); /* no error */
	assert_int_equal(completion_channel_give_back(channel), 0);
	h.vm.cq = other;
	end_expect_silence(&h.vm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(who_is_blocked_holds_nothing_up_and_is_woken),
	        TEST(signal_interrupts_as_it_would_a_read),
	        TEST(who_sleeps_can_be_cancelled),
	        TEST(destroying_waits_for_acknowledgement_from_before_the_move),
	        TEST(queue_that_goes_while_a_move_judges_its_event_leaves_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
