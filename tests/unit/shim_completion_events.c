/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Completion channels: the descriptor stays, arms and unread events move, what the application is
 * not shown wakes nobody, what is made up wakes who asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "preload/completion_channel.h"
#include "preload/control.h"
#include "tests/unit/shim_harness.h"

static struct harness h;

static void open_channels(void)
{
	harness_begin(&h, (struct harness){.with_channel = true});
}

static int setup(void **state)
{
	open_channels();
	return 0;
}

static int setup_shared(void **state)
{
	harness_begin(&h, (struct harness){.with_channel = true, .with_srq = true});
	return 0;
}

static int teardown(void **state)
{
	harness_close(&h);
	assert_int_equal(fake_unread_events(), 0);
	return 0;
}

/* ---- what a program does ---- */

static void set_nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static bool is_readable(const struct end *end)
{
	struct pollfd fd = {.fd = end->channel->fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void arm(struct end *end, int solicited_only)
{
	assert_int_equal(ibv_req_notify_cq(end->cq, solicited_only), 0);
}

static void expect_event(struct end *end)
{
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(end->channel->fd);
	assert_true(is_readable(end));
	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), 0);
	assert_ptr_equal(cq, end->cq);
	assert_ptr_equal(context, end);
	ibv_ack_cq_events(cq, 1);
}

static void expect_silence(struct end *end)
{
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(end->channel->fd);
	assert_false(is_readable(end));
	errno = 0;
	assert_int_equal(ibv_get_cq_event(end->channel, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_completion(struct end *end, uint64_t wr_id)
{
	assert_int_equal(harness_poll(&h, end), 1);
	assert_int_equal(h.wc[0].wr_id, wr_id);
	assert_int_equal(h.wc[0].status, IBV_WC_SUCCESS);
}

/* A message to @to, all of it. */
static void message(struct end *from, struct end *to, uint64_t wr_id, unsigned flags)
{
	assert_int_equal(end_receive(to, wr_id, 0, 64), 0);
	assert_int_equal(end_send(from, wr_id, 0, 64, flags), 0);
	assert_int_equal(fake_execute(real_of(from->qp), 1, true), 1);
}

/* ---- without a move: as libibverbs ---- */

static void descriptor_says_eagain_when_set_nonblocking(void **state)
{
	expect_silence(&h.vm);
	arm(&h.vm, 0);
	expect_silence(&h.vm);
	message(&h.peer, &h.vm, 1, 0);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	message(&h.peer, &h.vm, 2, 0);
	expect_silence(&h.vm);
}

static void solicited_arm_passes_over_what_is_not(void **state)
{
	arm(&h.vm, 1);
	message(&h.peer, &h.vm, 1, 0);
	expect_silence(&h.vm);
	message(&h.peer, &h.vm, 2, IBV_SEND_SOLICITED);
	expect_event(&h.vm);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
}

static void arming_again_with_an_event_unread_gives_two(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++) {
		arm(&h.vm, solicited);
		message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
		expect_completion(&h.vm, 1);
		arm(&h.vm, solicited);
		expect_event(&h.vm);
		expect_silence(&h.vm);
		message(&h.peer, &h.vm, 2, IBV_SEND_SOLICITED);
		expect_event(&h.vm);
		expect_completion(&h.vm, 2);
		expect_silence(&h.vm);
	}
}

/* The completion is seen, its event is not there yet: who polls only after one must get it. */
static void event_that_comes_after_arming_again_wakes(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++) {
		arm(&h.vm, solicited);
		fake.delays_events = true;
		message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
		arm(&h.vm, solicited);
		expect_silence(&h.vm);
		fake.delays_events = false;
		fake_delayed_events();
		expect_event(&h.vm);
		expect_completion(&h.vm, 1);
		expect_silence(&h.vm);
		message(&h.peer, &h.vm, 2, IBV_SEND_SOLICITED);
		expect_event(&h.vm);
		expect_completion(&h.vm, 2);
		expect_silence(&h.vm);
	}
}

static void event_that_comes_after_arming_again_moves(void **state)
{
	arm(&h.vm, 0);
	fake.delays_events = true;
	message(&h.peer, &h.vm, 1, 0);
	arm(&h.vm, 0);
	fake.delays_events = false;
	harness_move(&h);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	expect_silence(&h.vm);
	message(&h.peer, &h.vm, 2, 0);
	expect_event(&h.vm);
	expect_completion(&h.vm, 2);
}

static void two_events_that_come_after_arming_again_are_two(void **state)
{
	arm(&h.vm, 0);
	fake.delays_events = true;
	message(&h.peer, &h.vm, 1, 0);
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 2, 0);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	fake.delays_events = false;
	fake_delayed_events();
	expect_event(&h.vm);
	expect_event(&h.vm);
	expect_silence(&h.vm);
}

static void atomic_that_this_library_has_signalled_wakes_nobody(void **state)
{
	struct ibv_sge sge = {(uintptr_t)h.vm.memory, 8, h.vm.mr->lkey};
	struct ibv_send_wr *bad, wr = {.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
	                                 .sg_list = &sge,
	                                 .num_sge = 1,
	                                 .wr.atomic = {.remote_addr = (uintptr_t)h.peer.memory,
	                                         .rkey = h.peer.mr->rkey}};
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(h.vm.channel->fd);
	arm(&h.vm, 0);
	assert_int_equal(ibv_post_send(h.vm.qp, &wr, &bad), 0);
	assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
	/* Its arm is renewed. */
	assert_int_equal(ibv_get_cq_event(h.vm.channel, &cq, &context), -1);
	assert_int_equal(errno, EAGAIN);
	expect_silence(&h.vm);
	message(&h.peer, &h.vm, 1, 0);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
}

/* ---- arms move ---- */

static void arm_moves_both_ends(void **state)
{
	int descriptor = h.vm.channel->fd;

	arm(&h.vm, 0);
	arm(&h.peer, 0);
	harness_move(&h);
	assert_int_equal(h.vm.channel->fd, descriptor);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
	message(&h.peer, &h.vm, 1, IBV_SEND_SIGNALED);
	expect_event(&h.vm);
	expect_event(&h.peer);
	expect_completion(&h.vm, 1);
	expect_completion(&h.peer, 1);
}

static void solicited_arm_moves_as_one(void **state)
{
	arm(&h.vm, 1);
	arm(&h.peer, 1);
	message(&h.peer, &h.vm, 1, 0);
	message(&h.vm, &h.peer, 2, 0);
	harness_move(&h);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
	message(&h.peer, &h.vm, 3, IBV_SEND_SOLICITED);
	message(&h.vm, &h.peer, 4, IBV_SEND_SOLICITED);
	expect_event(&h.vm);
	expect_event(&h.peer);
	assert_int_equal(harness_poll(&h, &h.vm), 2);
	assert_int_equal(harness_poll(&h, &h.peer), 2);
}

static void who_has_not_armed_is_not_woken(void **state)
{
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 1, 0);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	assert_int_equal(end_send(&h.vm, 2, 0, 64, IBV_SEND_SIGNALED), 0);
	harness_move(&h);
	message(&h.peer, &h.vm, 3, 0);
	expect_silence(&h.vm);
	expect_completion(&h.vm, 3);
	assert_int_equal(end_receive(&h.peer, 2, 0, 64), 0);
	assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
	expect_completion(&h.vm, 2);
	expect_silence(&h.vm);
}

static void armed_while_there_is_no_device(void **state)
{
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	arm(&h.vm, 0);
	arm(&h.peer, 0);
	expect_silence(&h.vm);
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	message(&h.peer, &h.vm, 1, IBV_SEND_SIGNALED);
	expect_event(&h.vm);
	expect_event(&h.peer);
}

/* ---- unread events move ---- */

static void event_that_nobody_has_read_moves(void **state)
{
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 1, 0);
	harness_stop(&h);
	assert_true(is_readable(&h.vm));
	harness_go_on(&h);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	expect_silence(&h.vm);
}

static void solicited_event_that_nobody_has_read_moves(void **state)
{
	arm(&h.vm, 1);
	message(&h.peer, &h.vm, 1, IBV_SEND_SOLICITED);
	harness_move(&h);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	expect_silence(&h.vm);
}

static void two_unread_events_and_an_arm_move(void **state)
{
	for (uint64_t i = 1; i < 3; i++) {
		arm(&h.vm, 0);
		message(&h.peer, &h.vm, i, 0);
		expect_completion(&h.vm, i);
	}
	arm(&h.vm, 0);
	harness_move(&h);
	expect_event(&h.vm);
	expect_event(&h.vm);
	expect_silence(&h.vm);
	message(&h.peer, &h.vm, 3, 0);
	expect_event(&h.vm);
	expect_silence(&h.vm);
}

static void event_is_read_while_there_is_no_device(void **state)
{
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 1, 0);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	expect_silence(&h.vm);
	arm(&h.vm, 0);
	fake.slot = 1;
	harness_expect(&h, TETHER__STEP__STEP_ATTACH, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	expect_silence(&h.vm);
}

/* The completion is in the ring, the device's event is not there yet, and never comes. */
static void completion_without_its_event_wakes_all_the_same(void **state)
{
	arm(&h.vm, 0);
	fake.keeps_events = true;
	message(&h.peer, &h.vm, 1, 0);
	harness_move(&h);
	expect_event(&h.vm);
	expect_completion(&h.vm, 1);
	expect_silence(&h.vm);
}

static void events_of_a_destroyed_queue_are_dropped(void **state)
{
	struct ibv_cq *other = ibv_create_cq(h.vm.context, 4, &other, h.vm.channel, 0);
	struct ibv_qp_init_attr attr = {.send_cq = other,
	        .recv_cq = other,
	        .cap = {.max_send_wr = 2, .max_recv_wr = 2, .max_send_sge = 1, .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp_attr to = {.qp_state = IBV_QPS_INIT, .port_num = 1};
	struct ibv_recv_wr receive = {.wr_id = 1}, *bad;
	struct ibv_qp *qp = ibv_create_qp(h.vm.pd, &attr);

	assert_int_equal(
	        ibv_modify_qp(qp, &to,
	                IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS),
	        0);
	assert_int_equal(ibv_post_recv(qp, &receive, &bad), 0);
	assert_int_equal(ibv_req_notify_cq(other, 1), 0);
	to.qp_state = IBV_QPS_ERR;
	assert_int_equal(ibv_modify_qp(qp, &to, IBV_QP_STATE), 0);
	harness_move(&h);
	assert_true(is_readable(&h.vm));
	assert_int_equal(ibv_destroy_qp(qp), 0);
	assert_int_equal(ibv_destroy_comp_channel(h.vm.channel), EBUSY);
	assert_int_equal(ibv_destroy_cq(other), 0);
	expect_silence(&h.vm);
}

/* ---- what a move brings about ---- */

static void flushes_of_the_move_wake_nobody(void **state)
{
	for (int solicited = 0; solicited < 2; solicited++) {
		arm(&h.vm, solicited);
		arm(&h.peer, solicited);
		/* No RECV: both come back. */
		assert_int_equal(end_send(&h.vm, 1, 0, 64, IBV_SEND_SIGNALED), 0);
		assert_int_equal(end_send(&h.peer, 1, 0, 64, IBV_SEND_SIGNALED), 0);
		harness_stop(&h);
		expect_silence(&h.vm);
		expect_silence(&h.peer);
		harness_go_on(&h);
		expect_silence(&h.vm);
		expect_silence(&h.peer);
		assert_int_equal(end_receive(&h.peer, 1, 0, 64), 0);
		assert_int_equal(end_receive(&h.vm, 1, 0, 64), 0);
		assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
		assert_int_equal(fake_execute(real_of(h.peer.qp), 1, true), 1);
		if (solicited) {
			expect_silence(&h.vm);
			expect_silence(&h.peer);
		} else {
			expect_event(&h.vm);
			expect_event(&h.peer);
		}
		assert_int_equal(harness_poll(&h, &h.vm), 2);
		assert_int_equal(harness_poll(&h, &h.peer), 2);
	}
}

/* In ERR the device would give it back at once. */
static void receive_posted_to_a_broken_queue_pair_wakes_nobody(void **state)
{
	arm(&h.vm, 0);
	arm(&h.peer, 1);
	harness_stop(&h);
	assert_int_equal(end_receive(&h.vm, 1, 0, 64), 0);
	assert_int_equal(end_receive(&h.peer, 2, 0, 64), 0);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
	harness_go_on(&h);
	expect_silence(&h.vm);
	assert_int_equal(end_send(&h.peer, 3, 0, 64, 0), 0);
	assert_int_equal(end_send(&h.vm, 3, 0, 64, IBV_SEND_SOLICITED), 0);
	assert_int_equal(fake_execute(real_of(h.vm.qp), 1, true), 1);
	assert_int_equal(fake_execute(real_of(h.peer.qp), 1, true), 1);
	expect_event(&h.vm);
	expect_event(&h.peer);
	expect_completion(&h.vm, 1);
	expect_completion(&h.peer, 2);
}

/* Executed, and the acknowledgement lost with the device: success is made up. */
static void made_up_success_wakes_who_asked_for_all(void **state)
{
	struct end *ends[] = {&h.vm, &h.peer};

	for (int i = 0; i < 4; i++) {
		struct end *from = ends[i % 2], *to = ends[!(i % 2)];
		bool solicited = i / 2;

		assert_int_equal(end_receive(to, 1, 0, 64), 0);
		assert_int_equal(end_send(from, 1, 0, 64, IBV_SEND_SIGNALED), 0);
		assert_int_equal(fake_execute(real_of(from->qp), 1, false), 1);
		arm(from, solicited);
		harness_move(&h);
		if (solicited)
			expect_silence(from);
		else
			expect_event(from);
		expect_completion(from, 1);
		expect_completion(to, 1);
		expect_silence(from);
	}
}

static void error_wakes_who_asked_for_solicited(void **state)
{
	arm(&h.vm, 1);
	assert_int_equal(end_receive(&h.vm, 7, 0, 64), 0);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_RELEASE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ERROR, DONE);
	expect_event(&h.vm);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	assert_int_equal(h.wc[0].status, IBV_WC_WR_FLUSH_ERR);
	/* There is no device any more, and still. */
	arm(&h.vm, 1);
	assert_int_equal(end_receive(&h.vm, 8, 0, 64), 0);
	expect_event(&h.vm);
	assert_int_equal(harness_poll(&h, &h.vm), 1);
	expect_silence(&h.vm);
}

static void aborted_move_leaves_arms_alone(void **state)
{
	arm(&h.vm, 0);
	arm(&h.peer, 1);
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
	expect_silence(&h.vm);
	expect_silence(&h.peer);
	message(&h.vm, &h.peer, 1, IBV_SEND_SIGNALED | IBV_SEND_SOLICITED);
	expect_event(&h.vm);
	expect_event(&h.peer);
}

/* ---- who sleeps ---- */

struct sleeper {
	pthread_t thread;
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

static void who_is_blocked_holds_nothing_up_and_is_woken(void **state)
{
	struct sleeper sleepers[3];

	for (int i = 0; i < 3; i++) {
		sleepers[i] = (struct sleeper){.end = i < 2 ? &h.vm : &h.peer};
		pthread_create(&sleepers[i].thread, NULL, sleep_for_event, &sleepers[i]);
	}
	arm(&h.vm, 0);
	arm(&h.peer, 0);
	harness_move(&h);
	harness_move(&h);
	message(&h.peer, &h.vm, 1, IBV_SEND_SIGNALED);
	while (!__atomic_load_n(&sleepers[0].got, __ATOMIC_RELAXED) &&
	        !__atomic_load_n(&sleepers[1].got, __ATOMIC_RELAXED))
		sched_yield();
	expect_completion(&h.vm, 1);
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 2, IBV_SEND_SIGNALED);
	for (int i = 0; i < 3; i++) {
		pthread_join(sleepers[i].thread, NULL);
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
	pthread_create(&sleeper.thread, NULL, sleep_for_event, &sleeper);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	arm(&h.vm, 0);
	harness_move(&h);
	message(&h.peer, &h.vm, 1, 0);
	pthread_join(sleeper.thread, NULL);
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
	void *result;

	pthread_create(&sleeper.thread, NULL, sleep_until_cancelled, &sleeper);
	pthread_cancel(sleeper.thread);
	pthread_join(sleeper.thread, &result);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	harness_move(&h);
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 1, 0);
	expect_event(&h.vm);
}

/* ---- acknowledgement ---- */

struct destroyer {
	pthread_t thread;
	struct ibv_cq *cq;
	int answered;
};

static void *destroy(void *at)
{
	struct destroyer *destroyer = at;
	int err = ibv_destroy_cq(destroyer->cq);

	__atomic_store_n(&destroyer->answered, err ? -1 : 1, __ATOMIC_RELEASE);
	return NULL;
}

static void destroying_waits_for_acknowledgement_from_before_the_move(void **state)
{
	struct destroyer destroyer = {0};
	struct ibv_cq *cq;
	void *context;

	set_nonblocking(h.vm.channel->fd);
	arm(&h.vm, 0);
	message(&h.peer, &h.vm, 1, 0);
	assert_int_equal(ibv_get_cq_event(h.vm.channel, &cq, &context), 0);
	harness_move(&h);
	assert_int_equal(ibv_destroy_cq(h.vm.cq), EBUSY);
	assert_int_equal(ibv_destroy_qp(h.vm.qp), 0);
	h.vm.qp = NULL;
	destroyer.cq = h.vm.cq;
	pthread_create(&destroyer.thread, NULL, destroy, &destroyer);
	harness_time_passes(&h, 20);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	assert_int_equal(__atomic_load_n(&destroyer.answered, __ATOMIC_ACQUIRE), 0);
	ibv_ack_cq_events(cq, 1);
	pthread_join(destroyer.thread, NULL);
	assert_int_equal(destroyer.answered, 1);
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
		arm(&h.vm, 0);
		message(&h.peer, &h.vm, i, 0);
		expect_completion(&h.vm, i);
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
	struct destroyer destroyer = {.cq = h.vm.cq};
	struct ibv_cq *other = leave_an_event_unjudged();
	struct ibv_async_event event = asynchronous_event(cq);
	pthread_t service;

	assert_int_equal(ibv_destroy_qp(h.vm.qp), 0);
	h.vm.qp = NULL;
	pthread_create(&destroyer.thread, NULL, destroy, &destroyer);
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
	pthread_join(destroyer.thread, NULL);
	assert_int_equal(destroyer.answered, 1);
	assert_int_equal(completion_channel_give_back(channel), 0);
	h.vm.cq = other;
	expect_silence(&h.vm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(descriptor_says_eagain_when_set_nonblocking),
	        TEST(solicited_arm_passes_over_what_is_not),
	        TEST(arming_again_with_an_event_unread_gives_two),
	        TEST(event_that_comes_after_arming_again_wakes),
	        TEST(event_that_comes_after_arming_again_moves),
	        TEST(two_events_that_come_after_arming_again_are_two),
	        TEST(atomic_that_this_library_has_signalled_wakes_nobody),
	        TEST(arm_moves_both_ends),
	        TEST(solicited_arm_moves_as_one),
	        TEST(who_has_not_armed_is_not_woken),
	        TEST(armed_while_there_is_no_device),
	        TEST(event_that_nobody_has_read_moves),
	        TEST(solicited_event_that_nobody_has_read_moves),
	        TEST(two_unread_events_and_an_arm_move),
	        TEST(event_is_read_while_there_is_no_device),
	        TEST(completion_without_its_event_wakes_all_the_same),
	        TEST(events_of_a_destroyed_queue_are_dropped),
	        TEST(flushes_of_the_move_wake_nobody),
	        cmocka_unit_test_setup_teardown(
	                flushes_of_the_move_wake_nobody, setup_shared, teardown),
	        TEST(receive_posted_to_a_broken_queue_pair_wakes_nobody),
	        TEST(made_up_success_wakes_who_asked_for_all),
	        TEST(error_wakes_who_asked_for_solicited),
	        TEST(aborted_move_leaves_arms_alone),
	        TEST(who_is_blocked_holds_nothing_up_and_is_woken),
	        TEST(signal_interrupts_as_it_would_a_read),
	        TEST(who_sleeps_can_be_cancelled),
	        TEST(destroying_waits_for_acknowledgement_from_before_the_move),
	        TEST(queue_that_goes_while_a_move_judges_its_event_leaves_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
