/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_sleepers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "tests/unit/shim_sleeper_turns.h"

enum { UNACKNOWLEDGED_MAX = 5 };

/* ---- events ---- */

static struct heard_cq *heard_of(struct sleeper *sleeper, const struct ibv_cq *cq)
{
	for (int i = 0; i < SLEEPER_CQS; i++) {
		if (sleeper->cqs[i].cq == cq)
			return &sleeper->cqs[i];
	}
	return NULL;
}

static void acknowledge(struct heard_cq *heard)
{
	ibv_ack_cq_events(heard->cq, heard->unacknowledged);
	heard->unacknowledged = 0;
}

/* @was: before it was armed again. */
static void hold_against_its_arm(
        struct sleeper *sleeper, const struct heard_cq *heard, const struct heard_cq *was)
{
	unsigned seen = was->seen + heard->seen;
	unsigned solicited = was->seen_solicited + heard->seen_solicited;

	if (was->is_armed && (was->solicited_only ? solicited : seen))
		return;
	if (was->is_armed && seen) {
		sleeper->doubtful++;
		return;
	}
	if (!sleeper->made_up++)
		snprintf(sleeper->what_was_made_up, sizeof(sleeper->what_was_made_up),
		        "queue %d, armed %d, solicited only %d", (int)(heard - sleeper->cqs),
		        was->is_armed, was->solicited_only);
}

/* Armed again, then looked at, as everybody has to; sometimes looked at before as well. */
static void completion_event(struct sleeper *sleeper, struct ibv_cq *cq)
{
	struct heard_cq *heard = heard_of(sleeper, cq);
	struct heard_cq was;

	LOCK_GUARD(&sleeper->lock);
	heard->events++;
	if (++heard->unacknowledged > sleeper_draw(sleeper, UNACKNOWLEDGED_MAX))
		acknowledge(heard);
	if (sleeper_draw(sleeper, 2))
		sleeper_poll(sleeper, heard);
	was = *heard;
	sleeper_arm(sleeper, heard);
	sleeper_poll(sleeper, heard);
	hold_against_its_arm(sleeper, heard, &was);
	sleeper_go_on(sleeper);
}

static void async_event(struct sleeper *sleeper, struct ibv_async_event *event)
{
	LOCK_GUARD(&sleeper->lock);
	if (event->event_type == IBV_EVENT_SRQ_LIMIT_REACHED &&
	        event->element.srq == sleeper->srq) {
		sleeper->made_up += !sleeper->limit_is_armed;
		sleeper->limit_is_armed = false;
		sleeper->starves = true;
		sleeper->limits++;
	} else {
		sleeper->strange_events++;
	}
	ibv_ack_async_event(event);
	sleeper_go_on(sleeper);
}

/* ---- sleeping ---- */

static void read_completion_events(struct sleeper *sleeper)
{
	struct ibv_cq *cq;
	void *context;

	if (ibv_get_cq_event(sleeper->channel, &cq, &context)) {
		sleeper->false_alarms++;
		return;
	}
	do
		completion_event(sleeper, cq);
	while (!ibv_get_cq_event(sleeper->channel, &cq, &context));
	sleeper_expect(sleeper, errno == EAGAIN, "there is no event any more");
}

static void read_async_events(struct sleeper *sleeper)
{
	struct ibv_async_event event;

	if (ibv_get_async_event(sleeper->context, &event)) {
		sleeper->false_alarms++;
		return;
	}
	do
		async_event(sleeper, &event);
	while (!ibv_get_async_event(sleeper->context, &event));
	sleeper_expect(sleeper, errno == EAGAIN, "there is no event any more");
}

static void watch(int set, int fd, uint32_t how)
{
	struct epoll_event wanted = {.events = EPOLLIN | how, .data.fd = fd};

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) ||
	        epoll_ctl(set, EPOLL_CTL_ADD, fd, &wanted))
		abort();
}

static void *sleep_in_epoll(void *at)
{
	struct sleeper *sleeper = at;
	uint32_t how = sleeper->way == SLEEPS_IN_EPOLL_FOR_EDGES ? EPOLLET : 0;
	CLEANUP_CLOSE int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ready;

	watch(set, sleeper->channel->fd, how);
	watch(set, sleeper->context->async_fd, how);
	watch(set, sleeper->stop, 0);
	while (epoll_wait(set, &ready, 1, -1) == 1 && ready.data.fd != sleeper->stop) {
		if (ready.data.fd == sleeper->channel->fd)
			read_completion_events(sleeper);
		else
			read_async_events(sleeper);
	}
	return NULL;
}

/* A signal without SA_RESTART ends it. */
static void *block_for_completions(void *at)
{
	struct sleeper *sleeper = at;
	struct ibv_cq *cq;
	void *context;

	while (!ibv_get_cq_event(sleeper->channel, &cq, &context))
		completion_event(sleeper, cq);
	return errno == EINTR ? NULL : sleeper;
}

static void *block_for_async_events(void *at)
{
	struct sleeper *sleeper = at;
	struct ibv_async_event event;

	while (!ibv_get_async_event(sleeper->context, &event))
		async_event(sleeper, &event);
	return errno == EINTR ? NULL : sleeper;
}

/* ---- beginning and end ---- */

static void open_one(struct sleeper *sleeper, uint16_t lid)
{
	struct ibv_srq_init_attr attr = {.attr = {.max_wr = SLEEPER_DEPTH, .max_sge = 1}};
	struct end end = {0};

	end_open(&end, lid, false);
	assert_int_equal(ibv_destroy_cq(end.cq), 0);
	sleeper->context = end.context;
	sleeper->pd = end.pd;
	sleeper->mr = end.mr;
	sleeper->memory = end.memory;
	sleeper->channel = ibv_create_comp_channel(sleeper->context);
	sleeper->srq = ibv_create_srq(sleeper->pd, &attr);
	assert_non_null(sleeper->channel);
	assert_non_null(sleeper->srq);
	for (int i = 0; i < SLEEPER_CQS; i++) {
		sleeper->cqs[i].cq = ibv_create_cq(
		        sleeper->context, 4 * SLEEPER_DEPTH, NULL, sleeper->channel, 0);
		assert_non_null(sleeper->cqs[i].cq);
	}
	sleeper->stop = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&sleeper->lock, NULL);
}

static struct ibv_qp *qp_of(struct sleeper *sleeper, int flow)
{
	struct ibv_qp_init_attr attr = {.send_cq = sleeper->cqs[flow ? 2 : 0].cq,
	        .recv_cq = sleeper->cqs[flow ? 2 : 1].cq,
	        .srq = flow ? sleeper->srq : NULL,
	        .cap = {.max_send_wr = SLEEPER_DEPTH,
	                .max_recv_wr = SLEEPER_DEPTH,
	                .max_send_sge = 1,
	                .max_recv_sge = 1},
	        .qp_type = IBV_QPT_RC};
	struct ibv_qp *qp = ibv_create_qp(sleeper->pd, &attr);

	assert_non_null(qp);
	return qp;
}

static void connect_flow(
        struct sleeper *one, uint16_t lid, struct sleeper *other, uint16_t other_lid, int flow)
{
	struct end from = {.qp = qp_of(one, flow)}, to = {.qp = qp_of(other, flow)};

	end_connect(&from, &to, other_lid);
	end_connect(&to, &from, lid);
	one->flows[flow].qp = from.qp;
	other->flows[flow].qp = to.qp;
	one->flows[flow].my_turn = true;
}

void sleepers_open(struct sleeper *one, struct sleeper *other, bool one_is_peer)
{
	uint16_t lid = one_is_peer ? FAKE_LID_PEER : FAKE_LID_VM;
	uint16_t other_lid = one_is_peer ? FAKE_LID_VM : FAKE_LID_PEER;

	one->other = other;
	other->other = one;
	open_one(one, lid);
	open_one(other, other_lid);
	for (int flow = 0; flow < SLEEPER_FLOWS; flow++)
		connect_flow(one, lid, other, other_lid, flow);
}

/* All is armed before anything is sent. */
static void prepare(struct sleeper *sleeper)
{
	for (uint64_t wr_id = 0; wr_id < SLEEPER_DEPTH; wr_id++)
		sleeper_give_receive(sleeper, wr_id);
	for (uint32_t i = 0; i < SLEEPER_DEPTH; i++)
		sleeper->idle[sleeper->idle_count++] = SLEEPER_DEPTH + i;
	sleeper->starves = true;
	for (int i = 0; i < SLEEPER_CQS; i++)
		sleeper_arm(sleeper, &sleeper->cqs[i]);
	sleeper_refill(sleeper);
}

static void start_threads(struct sleeper *sleeper)
{
	if (sleeper->way != IS_BLOCKED) {
		pthread_create(&sleeper->threads[0], NULL, sleep_in_epoll, sleeper);
		return;
	}
	pthread_create(&sleeper->threads[0], NULL, block_for_completions, sleeper);
	pthread_create(&sleeper->threads[1], NULL, block_for_completions, sleeper);
	pthread_create(&sleeper->threads[2], NULL, block_for_async_events, sleeper);
}

void sleepers_start(struct sleeper *one, struct sleeper *other)
{
	prepare(one);
	prepare(other);
	sleeper_go_on(one);
	start_threads(one);
	start_threads(other);
}

static void interrupt(int number)
{
}

/* It may be on its way into its sleep: until it has woken up. */
static void end_blocked(pthread_t thread)
{
	struct sigaction action = {.sa_handler = interrupt};
	void *result;

	sigaction(SIGUSR1, &action, NULL);
	do {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	} while (pthread_tryjoin_np(thread, &result));
	assert_null(result);
}

static void end_threads(struct sleeper *sleeper)
{
	if (sleeper->way != IS_BLOCKED) {
		eventfd_write(sleeper->stop, 1);
		pthread_join(sleeper->threads[0], NULL);
		return;
	}
	for (int i = 0; i < SLEEPER_THREADS; i++)
		end_blocked(sleeper->threads[i]);
}

static void close_one(struct sleeper *sleeper)
{
	for (int i = 0; i < SLEEPER_FLOWS; i++)
		assert_int_equal(ibv_destroy_qp(sleeper->flows[i].qp), 0);
	for (int i = 0; i < SLEEPER_CQS; i++) {
		acknowledge(&sleeper->cqs[i]);
		assert_int_equal(ibv_destroy_cq(sleeper->cqs[i].cq), 0);
	}
	assert_int_equal(ibv_destroy_comp_channel(sleeper->channel), 0);
	assert_int_equal(ibv_destroy_srq(sleeper->srq), 0);
	assert_int_equal(ibv_dereg_mr(sleeper->mr), 0);
	assert_int_equal(ibv_dealloc_pd(sleeper->pd), 0);
	assert_int_equal(ibv_close_device(sleeper->context), 0);
	free(sleeper->memory);
	close(sleeper->stop);
}

void sleepers_end(struct sleeper *one, struct sleeper *other)
{
	end_threads(one);
	end_threads(other);
	close_one(one);
	close_one(other);
}

void sleeper_describe(struct sleeper *sleeper)
{
	print_message("%s: %u made up, %u strange, %u in disorder, %u false alarms\n",
	        sleeper->name, sleeper->made_up, sleeper->strange_events, sleeper->disorders,
	        sleeper->false_alarms);
	if (sleeper->made_up)
		print_message("  made up: %s\n", sleeper->what_was_made_up);
	print_message("  limit armed %d, starves %d, %u idle, %u errors: %s, status %d\n",
	        sleeper->limit_is_armed, sleeper->starves, sleeper->idle_count, sleeper->errors,
	        sleeper->first_error ? sleeper->first_error : "none", sleeper->status);
	for (int i = 0; i < SLEEPER_FLOWS; i++) {
		const struct flow *flow = &sleeper->flows[i];

		print_message("  flow %d: my turn %d, %u outstanding, %u sent, %u received\n", i,
		        flow->my_turn, flow->outstanding, flow->sent, flow->received);
	}
	for (int i = 0; i < SLEEPER_CQS; i++) {
		const struct heard_cq *heard = &sleeper->cqs[i];

		print_message("  queue %d: armed %d, solicited only %d, %" PRIu64 " arms, %" PRIu64
		              " events, %u seen since\n",
		        i, heard->is_armed, heard->solicited_only, heard->arms, heard->events,
		        heard->seen);
	}
}
