/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that sleep until an event comes and talk in datagrams, through migration after
 * migration: 200 of them, 10,000 with TETHER_FULL. At the peer nothing is broken, and the service
 * thread takes completions ahead of the program while their events are on their way to it. Nobody
 * sends again what is lost, so all that is said here is heard: the fabric goes on while all stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "preload/heard_senders.h"
#include "tests/unit/shim_harness.h"

#ifdef TETHER_SANITIZE
enum { MOVES = 60, MOVES_FULL = 1000 };
#else
enum { MOVES = 200, MOVES_FULL = 10000 };
#endif
enum {
	TALKERS = 4, /* neighbours talk to each other, the first of them in the VM */
	FLOWS_MAX = 2,
	DEPTH = 8,
	BURST_MAX = 3, /* before the last one */
	MESSAGE_BYTES = 64,
	BUFFER_BYTES = 128, /* a GRH before the message */
	STIRS = 8,          /* each millisecond */
	STANDSTILL_S = 120,
};

struct message {
	uint32_t number;
	uint32_t is_last; /* of its burst, and solicited */
};

struct flow {
	struct end end; /* the queue pair and the address of the other */
	bool my_turn;
	unsigned outstanding; /* signalled sends */
	uint32_t sent, received;
	uint64_t turns; /* atomic */
};

struct talker {
	const char *name;
	bool sleeps_in_epoll, is_in_vm, has_one_cq;
	int flow_count;
	unsigned seed;
	struct end end;
	struct ibv_cq *cqs[2]; /* of sends and receives */
	struct flow flows[FLOWS_MAX];
	unsigned events, errors, disorders, strangers;
	int stop; /* an eventfd */
	pthread_t thread;
};

static struct harness h;
static struct talker talkers[TALKERS];
/* What is drawn. With @arms_solicited events come with their completions: a receive whose event is
 * not there was not solicited. */
static bool delays_events, arms_solicited, forgets_senders;

static unsigned draw(struct talker *talker, unsigned below)
{
	return (unsigned)rand_r(&talker->seed) % below;
}

/* ---- the fabric ---- */

static bool fabric_ends; /* atomic */

/* Events come after their completions, some when the next have come. */
static void delay_or_tell(unsigned *seed)
{
	LOCK_GUARD(&fake_lock);
	fake.delays_events = delays_events && rand_r(seed) % 2;
	if (!(rand_r(seed) % 8))
		fake_delayed_events();
}

static void forget_a_sender(unsigned *seed)
{
	if (forgets_senders && !(rand_r(seed) % 64))
		__atomic_store_n(&known_senders[0], 0, __ATOMIC_RELEASE);
}

static void stir(unsigned *seed)
{
	delay_or_tell(seed);
	forget_a_sender(seed);
	fake_stir(seed);
}

static void *carry(void *unused)
{
	unsigned seed = 1;

	while (!__atomic_load_n(&fabric_ends, __ATOMIC_RELAXED)) {
		stir(&seed);
		sched_yield();
	}
	return NULL;
}

static void time_passes(struct harness *unused)
{
	static unsigned seed = 4;

	for (int i = 0; i < STIRS; i++)
		stir(&seed);
	sched_yield();
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

static void connect_pair(struct talker *vm, struct talker *peer)
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

static void prepare(struct talker *talker)
{
	for (int i = 0; i < talker->flow_count; i++)
		for (uint64_t slot = 0; slot < DEPTH; slot++)
			give_receive(talker, &talker->flows[i], slot);
	for (int i = 0; i < 2 - talker->has_one_cq; i++)
		arm(talker, talker->cqs[i]);
}

static void start(void)
{
	for (int i = 0; i < TALKERS; i++)
		prepare(&talkers[i]);
	for (int i = 0; i < TALKERS; i++) {
		go_on(&talkers[i]);
		pthread_create(&talkers[i].thread, NULL,
		        talkers[i].sleeps_in_epoll ? sleep_in_epoll : block, &talkers[i]);
	}
}

static void interrupt(int number)
{
}

/* It may be on its way into its sleep: until it has woken up. */
static void end(struct talker *talker)
{
	void *result;

	eventfd_write(talker->stop, 1);
	while (pthread_tryjoin_np(talker->thread, &result)) {
		if (!talker->sleeps_in_epoll)
			pthread_kill(talker->thread, SIGUSR1);
		sched_yield();
	}
	assert_null(result);
}

static void close_one(struct talker *talker)
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

/* ---- who has to go on ---- */

static void describe(const struct talker *talker)
{
	print_message("%s: %u events, %u errors, %u in disorder, %u of others\n", talker->name,
	        talker->events, talker->errors, talker->disorders, talker->strangers);
	for (int i = 0; i < talker->flow_count; i++) {
		const struct flow *flow = &talker->flows[i];

		print_message("  flow %d: my turn %d, %u outstanding, %u sent, %u received\n", i,
		        flow->my_turn, flow->outstanding, flow->sent, flow->received);
	}
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static uint64_t turns_of(const struct flow *flow)
{
	return __atomic_load_n(&flow->turns, __ATOMIC_RELAXED);
}

static void await_turn(const struct talker *talker, int flow, uint64_t turns)
{
	time_t end_s = now_s() + STANDSTILL_S;

	while (turns_of(&talker->flows[flow]) < turns) {
		sched_yield();
		if (now_s() < end_s)
			continue;
		for (int i = 0; i < TALKERS; i++)
			describe(&talkers[i]);
		print_error("%s, flow %d: a wake-up was lost\n", talker->name, flow);
		/* They cannot be ended: they sleep. */
		_exit(EXIT_FAILURE);
	}
}

static void everybody_takes_a_turn(void)
{
	uint64_t turns[TALKERS][FLOWS_MAX];

	for (int i = 0; i < TALKERS; i++)
		for (int flow = 0; flow < talkers[i].flow_count; flow++)
			turns[i][flow] = turns_of(&talkers[i].flows[flow]);
	for (int i = 0; i < TALKERS; i++)
		for (int flow = 0; flow < talkers[i].flow_count; flow++)
			await_turn(&talkers[i], flow, turns[i][flow] + 1);
}

/* ---- the root ---- */

static void give_up_before_the_vote(void)
{
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
}

static void give_up_after_the_vote(void)
{
	harness_stop(&h);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(&h, TETHER__STEP__STEP_RESUME, DONE);
}

static void move_often(int moves)
{
	unsigned seed = 2;

	for (int i = 0; i < moves; i++) {
		switch (rand_r(&seed) % 16) {
		case 0:
			give_up_before_the_vote();
			break;
		case 1:
			give_up_after_the_vote();
			break;
		default:
			break;
		}
		harness_move(&h);
		/* Now and then again before anybody has woken up. */
		if (rand_r(&seed) % 4)
			everybody_takes_a_turn();
	}
	everybody_takes_a_turn();
}

/* ---- the tests ---- */

static void agent_knows(uint32_t lid)
{
	sched_yield();
}

static void check(const struct talker *talker)
{
	if (talker->errors || talker->disorders || talker->strangers)
		describe(talker);
	assert_int_equal(talker->errors + talker->disorders + talker->strangers, 0);
}

static void talk_and_move(void)
{
	const int moves = getenv("TETHER_FULL") ? MOVES_FULL : MOVES;
	struct sigaction action = {.sa_handler = interrupt};
	pthread_t fabric;

	sigaction(SIGUSR1, &action, NULL);
	__atomic_store_n(&fabric_ends, false, __ATOMIC_RELAXED);
	pthread_create(&fabric, NULL, carry, NULL);
	start();
	move_often(moves);
	for (int i = 0; i < TALKERS; i++)
		end(&talkers[i]);
	__atomic_store_n(&fabric_ends, true, __ATOMIC_RELAXED);
	pthread_join(fabric, NULL);
	for (int i = 0; i < TALKERS; i++)
		close_one(&talkers[i]);
	for (int i = 0; i < TALKERS; i++)
		check(&talkers[i]);
}

static void no_wake_up_is_lost_that_comes_after_its_completion(void **state)
{
	delays_events = true;
	talk_and_move();
}

static void no_wake_up_is_lost_of_who_waits_for_what_is_solicited(void **state)
{
	arms_solicited = true;
	talk_and_move();
}

static void no_wake_up_is_lost_of_who_hears_strangers(void **state)
{
	delays_events = forgets_senders = true;
	harness_stranger = agent_knows;
	talk_and_move();
}

static int setup(void **state)
{
	static const struct talker kinds[TALKERS] = {
	        {.name = "blocked in the VM", .is_in_vm = true, .flow_count = 1},
	        {.name = "blocked at the peer", .flow_count = 1},
	        {.name = "epoll in the VM",
	                .is_in_vm = true,
	                .sleeps_in_epoll = true,
	                .has_one_cq = true,
	                .flow_count = 2},
	        {.name = "epoll at the peer",
	                .sleeps_in_epoll = true,
	                .has_one_cq = true,
	                .flow_count = 2},
	};

	h = (struct harness){.meanwhile = time_passes};
	harness_open(&h);
	for (int i = 0; i < TALKERS; i++) {
		talkers[i] = kinds[i];
		talkers[i].seed = (unsigned)i + 3;
	}
	for (int i = 0; i < TALKERS; i += 2)
		connect_pair(&talkers[i], &talkers[i + 1]);
	return 0;
}

static int teardown(void **state)
{
	delays_events = arms_solicited = forgets_senders = false;
	harness_stranger = NULL;
	harness_close(&h);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(no_wake_up_is_lost_that_comes_after_its_completion),
	        TEST(no_wake_up_is_lost_of_who_waits_for_what_is_solicited),
	        TEST(no_wake_up_is_lost_of_who_hears_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
