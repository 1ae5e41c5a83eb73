/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_talkers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"

enum {
	DEPTH = 8,
	BURST_MAX = 3, /* before the last one */
	MESSAGE_BYTES = 64,
	BUFFER_BYTES = 128, /* a GRH before the message */
};

struct message {
	uint32_t number;
	uint32_t is_last; /* of its burst, and solicited */
};

bool arms_solicited, forgets_senders;

static unsigned draw(struct talker *talker, unsigned below)
{
	return (unsigned)rand_r(&talker->seed) % below;
}

/* ---- talking ---- */

/* Receives of a flow, then what it sends. */
static uint8_t *buffer(struct talker *talker, const struct flow *flow, uint64_t slot)
{
	uint64_t first = (uint64_t)(flow - talker->flows) * 2 * DEPTH;

	return talker->end.memory + (first + slot) * BUFFER_BYTES;
}

static void give_receive(struct talker *talker, struct flow *flow, uint64_t slot)
{
	uint8_t *at = buffer(talker, flow, slot);
	struct ibv_sge sge = {(uintptr_t)at, BUFFER_BYTES, talker->end.mr->lkey};
	struct ibv_recv_wr *bad, wr = {.wr_id = slot, .sg_list = &sge, .num_sge = 1};

	talker->errors += !!ibv_post_recv(flow->end.qp, &wr, &bad);
}

static void say(struct talker *talker, struct flow *flow, bool is_last)
{
	uint8_t *at = buffer(talker, flow, DEPTH + flow->sent % DEPTH);
	struct ibv_sge sge = {(uintptr_t)at, MESSAGE_BYTES, talker->end.mr->lkey};
	struct ibv_send_wr *bad,
	        wr = {.opcode = IBV_WR_SEND,
	                .sg_list = &sge,
	                .num_sge = 1,
	                .wr.ud = {flow->end.ah, flow->end.remote_qpn, HARNESS_QKEY}};

	*(struct message *)(void *)at = (struct message){flow->sent++, is_last};
	if (is_last)
		wr.send_flags = IBV_SEND_SIGNALED | IBV_SEND_SOLICITED;
	else if (draw(talker, 2))
		wr.send_flags = IBV_SEND_SIGNALED;
	flow->outstanding += !!(wr.send_flags & IBV_SEND_SIGNALED);
	talker->errors += !!ibv_post_send(flow->end.qp, &wr, &bad);
}

static void take_turn(struct talker *talker, struct flow *flow)
{
	if (!flow->my_turn || flow->outstanding)
		return;
	flow->my_turn = false;
	for (unsigned more = draw(talker, BURST_MAX + 1); more; more--)
		say(talker, flow, false);
	say(talker, flow, true);
	__atomic_add_fetch(&flow->turns, 1, __ATOMIC_RELAXED);
}

static void go_on(struct talker *talker)
{
	for (int i = 0; i < talker->flow_count; i++)
		take_turn(talker, &talker->flows[i]);
}

static void heard(struct talker *talker, struct flow *flow, const struct ibv_wc *wc)
{
	const struct message *message =
	        (void *)(buffer(talker, flow, wc->wr_id) + sizeof(struct ibv_grh));

	talker->disorders += message->number != flow->received++;
	/* Who is asked about while its numbers change was called by those that it had. */
	if (!forgets_senders)
		talker->strangers += wc->src_qp != flow->end.remote_qpn;
	flow->my_turn |= message->is_last;
	give_receive(talker, flow, wc->wr_id);
}

static void take_completion(struct talker *talker, const struct ibv_wc *wc)
{
	struct flow *flow = talker->flows;

	while (flow->end.qp->qp_num != wc->qp_num)
		flow++;
	if (wc->status)
		talker->errors++;
	else if (wc->opcode & IBV_WC_RECV)
		heard(talker, flow, wc);
	else
		flow->outstanding--;
}

static void poll_all(struct talker *talker, struct ibv_cq *cq)
{
	struct ibv_wc wc[2];
	int got;

	while ((got = ibv_poll_cq(cq, 2, wc)) > 0) {
		for (int i = 0; i < got; i++)
			take_completion(talker, &wc[i]);
	}
	talker->errors += got < 0;
}

static void arm(struct talker *talker, struct ibv_cq *cq)
{
	bool may_be_solicited = arms_solicited && cq == talker->cqs[1] && !talker->has_one_cq;

	talker->errors += !!ibv_req_notify_cq(cq, may_be_solicited && draw(talker, 2));
}

/* Armed again, then looked at, as everybody has to; sometimes looked at before as well, or armed
 * once more while the event of what was seen is on its way. */
static void wake(struct talker *talker, struct ibv_cq *cq)
{
	talker->events++;
	ibv_ack_cq_events(cq, 1);
	if (draw(talker, 2))
		poll_all(talker, cq);
	do {
		arm(talker, cq);
		poll_all(talker, cq);
	} while (!draw(talker, 4));
	go_on(talker);
}

/* ---- sleeping ---- */

/* A signal without SA_RESTART ends it. */
static void *block(void *at)
{
	struct talker *talker = at;
	struct ibv_cq *cq;
	void *context;

	while (!ibv_get_cq_event(talker->end.channel, &cq, &context))
		wake(talker, cq);
	return errno == EINTR ? NULL : talker;
}

static void watch(int set, int fd)
{
	struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) ||
	        epoll_ctl(set, EPOLL_CTL_ADD, fd, &wanted))
		abort();
}

static void *sleep_in_epoll(void *at)
{
	struct talker *talker = at;
	CLEANUP_CLOSE int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ready;
	struct ibv_cq *cq;
	void *context;

	watch(set, talker->end.channel->fd);
	watch(set, talker->stop);
	while (epoll_wait(set, &ready, 1, -1) == 1 && ready.data.fd != talker->stop) {
		while (!ibv_get_cq_event(talker->end.channel, &cq, &context))
			wake(talker, cq);
		talker->errors += errno != EAGAIN;
	}
	return NULL;
}

/* ---- beginning and end ---- */

static void open_one(struct talker *talker)
{
	talker->end.with_channel = true;
	end_open(&talker->end, talker->is_in_vm ? FAKE_LID_VM : FAKE_LID_PEER, false);
	talker->cqs[0] = talker->cqs[1] = talker->end.cq;
	if (!talker->has_one_cq)
		talker->cqs[1] =
		        ibv_create_cq(talker->end.context, 4 * DEPTH, NULL, talker->end.channel, 0);
	assert_non_null(talker->cqs[1]);
	talker->stop = eventfd(0, EFD_CLOEXEC);
}

static void create_qp(struct talker *talker, struct flow *flow)
{
	struct ibv_qp_init_attr attr = {.send_cq = talker->cqs[0],
	        .recv_cq = talker->cqs[1],
	        .cap = {.max_send_wr = DEPTH,
	                .max_recv_wr = DEPTH,
	                .max_send_sge = 1,
	                .max_recv_sge = 1},
	        .qp_type = IBV_QPT_UD};

	flow->end.pd = talker->end.pd;
	flow->end.qp = ibv_create_qp(talker->end.pd, &attr);
	assert_non_null(flow->end.qp);
}

void talkers_connect(struct talker *vm, struct talker *peer)
{
	open_one(vm);
	open_one(peer);
	for (int i = 0; i < vm->flow_count; i++) {
		struct flow *one = &vm->flows[i], *other = &peer->flows[i];

		create_qp(vm, one);
		create_qp(peer, other);
		end_connect(&one->end, &other->end, FAKE_LID_PEER);
		end_connect(&other->end, &one->end, FAKE_LID_VM);
		(i ? other : one)->my_turn = true;
	}
}

void talker_prepare(struct talker *talker)
{
	for (int i = 0; i < talker->flow_count; i++)
		for (uint64_t slot = 0; slot < DEPTH; slot++)
			give_receive(talker, &talker->flows[i], slot);
	for (int i = 0; i < 2 - talker->has_one_cq; i++)
		arm(talker, talker->cqs[i]);
}

void talker_start(struct talker *talker)
{
	go_on(talker);
	pthread_create(
	        &talker->thread, NULL, talker->sleeps_in_epoll ? sleep_in_epoll : block, talker);
}

static void interrupt(int number)
{
}

/* It may be on its way into its sleep: until it has woken up. */
void talker_end(struct talker *talker)
{
	struct sigaction action = {.sa_handler = interrupt};
	void *result;

	sigaction(SIGUSR1, &action, NULL);
	eventfd_write(talker->stop, 1);
	while (pthread_tryjoin_np(talker->thread, &result)) {
		if (!talker->sleeps_in_epoll)
			pthread_kill(talker->thread, SIGUSR1);
		sched_yield();
	}
	assert_null(result);
}

void talker_close(struct talker *talker)
{
	for (int i = 0; i < talker->flow_count; i++) {
		assert_int_equal(ibv_destroy_qp(talker->flows[i].end.qp), 0);
		assert_int_equal(ibv_destroy_ah(talker->flows[i].end.ah), 0);
	}
	if (!talker->has_one_cq)
		assert_int_equal(ibv_destroy_cq(talker->cqs[1]), 0);
	end_close(&talker->end);
	close(talker->stop);
}

void talker_describe(const struct talker *talker)
{
	print_message("%s: %u events, %u errors, %u in disorder, %u of others\n", talker->name,
	        talker->events, talker->errors, talker->disorders, talker->strangers);
	for (int i = 0; i < talker->flow_count; i++) {
		const struct flow *flow = &talker->flows[i];

		print_message("  flow %d: my turn %d, %u outstanding, %u sent, %u received\n", i,
		        flow->my_turn, flow->outstanding, flow->sent, flow->received);
	}
}
