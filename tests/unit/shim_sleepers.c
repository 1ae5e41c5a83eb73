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

enum {
	MESSAGE_BYTES = 64,
	BURST_MAX = 3, /* before the last one */
	LIMIT = 3,
	REFILL_FROM = 5, /* idle ones, so that more than the limit are posted again */
	UNACKNOWLEDGED_MAX = 5,
};

/* Where things are in memory. */
enum { SENDS_AT = 2 * SLEEPER_DEPTH * MESSAGE_BYTES, OTHERS_AT = 2 * SENDS_AT };

struct message {
	uint32_t number;
	uint32_t is_last; /* of its burst, and solicited */
};

static void expect(struct sleeper *sleeper, bool holds, const char *what)
{
	if (!holds && !sleeper->errors++)
		sleeper->first_error = what;
}

static unsigned draw(struct sleeper *sleeper, unsigned below)
{
	return (unsigned)rand_r(&sleeper->seed) % below;
}

/* ---- work ---- */

static struct message *received_message(struct sleeper *sleeper, uint64_t wr_id)
{
	return (struct message *)(void *)(sleeper->memory + wr_id * MESSAGE_BYTES);
}

/* Of the first flow the first half of the buffers, of the shared queue the others. */
static void give_receive(struct sleeper *sleeper, uint64_t wr_id)
{
	struct ibv_sge sge = {
	        (uintptr_t)received_message(sleeper, wr_id), MESSAGE_BYTES, sleeper->mr->lkey};
	struct ibv_recv_wr *bad, wr = {.wr_id = wr_id, .sg_list = &sge, .num_sge = 1};
	int err = wr_id < SLEEPER_DEPTH ? ibv_post_recv(sleeper->flows[0].qp, &wr, &bad)
	                                : ibv_post_srq_recv(sleeper->srq, &wr, &bad);

	/* Between RELEASE and ATTACH it is taken, too. */
	expect(sleeper, !err, "a receive is posted");
}

static void post(struct sleeper *sleeper, struct flow *flow, const struct ibv_send_wr *wr,
        uint32_t offset, uint32_t length)
{
	struct ibv_sge sge = {(uintptr_t)sleeper->memory + offset, length, sleeper->mr->lkey};
	struct ibv_send_wr posted = *wr, *bad;

	posted.sg_list = &sge;
	posted.num_sge = 1;
	flow->outstanding += !!(wr->send_flags & IBV_SEND_SIGNALED);
	expect(sleeper, !ibv_post_send(flow->qp, &posted, &bad), "a send is posted");
}

static void send_message(struct sleeper *sleeper, struct flow *flow, bool is_last)
{
	uint32_t slot = flow->sent % SLEEPER_DEPTH + (flow == sleeper->flows ? 0 : SLEEPER_DEPTH);
	uint32_t offset = SENDS_AT + slot * MESSAGE_BYTES;
	struct ibv_send_wr wr = {.opcode = IBV_WR_SEND};

	*(struct message *)(void *)(sleeper->memory + offset) =
	        (struct message){flow->sent++, is_last};
	if (is_last)
		wr.send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED;
	else if (draw(sleeper, 2))
		wr.send_flags = IBV_SEND_SIGNALED;
	post(sleeper, flow, &wr, offset, MESSAGE_BYTES);
}

/* Nobody has asked for its completion, and this library has. */
static void fetch_unsignalled(struct sleeper *sleeper, struct flow *flow)
{
	struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_READ};

	if (sleeper->uses_atomics && draw(sleeper, 2)) {
		wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		wr.wr.atomic.remote_addr = (uintptr_t)sleeper->other->memory + OTHERS_AT;
		wr.wr.atomic.rkey = sleeper->other->mr->rkey;
	} else {
		wr.wr.rdma.remote_addr = (uintptr_t)sleeper->other->memory + OTHERS_AT;
		wr.wr.rdma.rkey = sleeper->other->mr->rkey;
	}
	post(sleeper, flow, &wr, OTHERS_AT + 8, 8);
}

static void take_turn(struct sleeper *sleeper, struct flow *flow)
{
	if (!flow->my_turn || flow->outstanding)
		return;
	flow->my_turn = false;
	for (unsigned more = draw(sleeper, BURST_MAX + 1); more; more--)
		send_message(sleeper, flow, false);
	if (!draw(sleeper, 4))
		fetch_unsignalled(sleeper, flow);
	send_message(sleeper, flow, true);
	__atomic_add_fetch(&flow->turns, 1, __ATOMIC_RELAXED);
}

/* ---- completions ---- */

static void sent(struct flow *flow)
{
	flow->outstanding--;
}

static bool received(struct sleeper *sleeper, struct flow *flow, uint64_t wr_id)
{
	struct message message = *received_message(sleeper, wr_id);

	sleeper->disorders += message.number != flow->received++;
	flow->my_turn |= message.is_last;
	if (wr_id < SLEEPER_DEPTH)
		give_receive(sleeper, wr_id);
	else
		sleeper->idle[sleeper->idle_count++] = (uint32_t)wr_id;
	return message.is_last;
}

static void take_completion(
        struct sleeper *sleeper, struct heard_cq *heard, const struct ibv_wc *wc)
{
	struct flow *flow = &sleeper->flows[heard == &sleeper->cqs[2]];
	bool solicited = false;

	if (wc->status) {
		sleeper->status = wc->status;
		expect(sleeper, false, "a completion is a success");
		return;
	}
	if (wc->opcode & IBV_WC_RECV)
		solicited = received(sleeper, flow, wc->wr_id);
	else
		sent(flow);
	heard->seen++;
	heard->seen_solicited += solicited;
}

static void poll_all(struct sleeper *sleeper, struct heard_cq *heard)
{
	struct ibv_wc wc[4];
	int got;

	while ((got = ibv_poll_cq(heard->cq, 4, wc)) > 0) {
		for (int i = 0; i < got; i++)
			take_completion(sleeper, heard, &wc[i]);
	}
	expect(sleeper, !got, "a queue is polled");
}

static void arm(struct sleeper *sleeper, struct heard_cq *heard)
{
	/* Successes of sends are not solicited. */
	heard->solicited_only = heard == &sleeper->cqs[1] && draw(sleeper, 2);
	heard->is_armed = true;
	heard->seen = heard->seen_solicited = 0;
	heard->arms++;
	expect(sleeper, !ibv_req_notify_cq(heard->cq, heard->solicited_only), "a queue is armed");
}

/* The shared queue is filled up only when it says so. */
static void refill(struct sleeper *sleeper)
{
	struct ibv_srq_attr attr = {.srq_limit = LIMIT};

	if (!sleeper->starves || sleeper->idle_count < REFILL_FROM)
		return;
	while (sleeper->idle_count)
		give_receive(sleeper, sleeper->idle[--sleeper->idle_count]);
	sleeper->starves = false;
	sleeper->limit_is_armed = true;
	expect(sleeper, !ibv_modify_srq(sleeper->srq, &attr, IBV_SRQ_LIMIT), "a limit is armed");
}

static void go_on(struct sleeper *sleeper)
{
	refill(sleeper);
	for (int i = 0; i < SLEEPER_FLOWS; i++)
		take_turn(sleeper, &sleeper->flows[i]);
}

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
	if (++heard->unacknowledged > draw(sleeper, UNACKNOWLEDGED_MAX))
		acknowledge(heard);
	if (draw(sleeper, 2))
		poll_all(sleeper, heard);
	was = *heard;
	arm(sleeper, heard);
	poll_all(sleeper, heard);
	hold_against_its_arm(sleeper, heard, &was);
	go_on(sleeper);
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
	go_on(sleeper);
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
	expect(sleeper, errno == EAGAIN, "there is no event any more");
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
	expect(sleeper, errno == EAGAIN, "there is no event any more");
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
		give_receive(sleeper, wr_id);
	for (uint32_t i = 0; i < SLEEPER_DEPTH; i++)
		sleeper->idle[sleeper->idle_count++] = SLEEPER_DEPTH + i;
	sleeper->starves = true;
	for (int i = 0; i < SLEEPER_CQS; i++)
		arm(sleeper, &sleeper->cqs[i]);
	refill(sleeper);
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
	go_on(one);
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
