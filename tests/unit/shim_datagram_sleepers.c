/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Programs that sleep until an event comes and talk in datagrams (shim_talkers.h), through
 * migration after migration: 200 of them, 10,000 with TETHER_FULL. At the peer nothing is broken,
 * and the service thread takes completions ahead of the program while their events are on their way
 * to it. Nobody sends again what is lost, so all that is said here is heard: the fabric goes on
 * while all stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "preload/heard_senders.h"
#include "tests/unit/shim_talkers.h"

#ifdef TETHER_SANITIZE
enum { MOVES = 60, MOVES_FULL = 1000 };
#else
enum { MOVES = 200, MOVES_FULL = 10000 };
#endif
enum {
	TALKERS = 4, /* neighbours talk to each other, the first of them in the VM */
	STIRS = 8,   /* each millisecond */
	STANDSTILL_S = 120,
};

static struct harness h;
static struct talker talkers[TALKERS];
static bool delays_events;

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

/* ---- who has to go on ---- */

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
			talker_describe(&talkers[i]);
		print_error("%s, flow %d: a wake-up was lost\n", talker->name, flow);
		/* They cannot be ended: they sleep. */
		_exit(EXIT_FAILURE);
	}
}

static void everybody_takes_a_turn(void)
{
	uint64_t turns[TALKERS][TALKER_FLOWS];

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
		talker_describe(talker);
	assert_int_equal(talker->errors + talker->disorders + talker->strangers, 0);
}

static void start(void)
{
	for (int i = 0; i < TALKERS; i++)
		talker_prepare(&talkers[i]);
	for (int i = 0; i < TALKERS; i++)
		talker_start(&talkers[i]);
}

static void talk_and_move(void)
{
	const int moves = getenv("TETHER_FULL") ? MOVES_FULL : MOVES;
	pthread_t fabric;

	__atomic_store_n(&fabric_ends, false, __ATOMIC_RELAXED);
	pthread_create(&fabric, NULL, carry, NULL);
	start();
	move_often(moves);
	for (int i = 0; i < TALKERS; i++)
		talker_end(&talkers[i]);
	__atomic_store_n(&fabric_ends, true, __ATOMIC_RELAXED);
	pthread_join(fabric, NULL);
	for (int i = 0; i < TALKERS; i++)
		talker_close(&talkers[i]);
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
		talkers_connect(&talkers[i], &talkers[i + 1]);
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
