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

#include <sched.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"
#include "preload/heard_senders.h"
#include "tests/unit/shim_talkers.h"
#include "tests/unit/shim_unrest.h"

enum {
	TALKERS = 4, /* neighbours talk to each other, the first of them in the VM */
	STIRS = 8,   /* each millisecond */
};

static struct harness h;
static struct talker talkers[TALKERS];
static struct unrest unrest;
static bool delays_events;

/* ---- the fabric ---- */

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

static void time_passes(struct harness *unused)
{
	static unsigned seed = 4;

	for (int i = 0; i < STIRS; i++)
		stir(&seed);
	sched_yield();
}

/* ---- the root ---- */

static void give_up_before_the_vote(void)
{
	harness_expect(&h, TETHER__STEP__STEP_PREPARE, DONE);
	harness_expect(&h, TETHER__STEP__STEP_STOP, DONE);
	harness_expect(&h, TETHER__STEP__STEP_ABORT, DONE);
}

static void stop(unsigned *unused)
{
	harness_stop(&h);
}

static void describe(void)
{
	for (int i = 0; i < TALKERS; i++)
		talker_describe(&talkers[i]);
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
	unrest = (struct unrest){.h = &h,
	        .stir = stir,
	        .stop = stop,
	        .give_up_before_the_vote = give_up_before_the_vote,
	        .describe = describe};
	for (int i = 0; i < TALKERS; i++)
		for (int flow = 0; flow < talkers[i].flow_count; flow++)
			unrest_add_flow(
			        &unrest, talkers[i].name, flow, &talkers[i].flows[flow].turns);
	unrest_begin(&unrest);
	start();
	unrest_move(&unrest, unrest_moves());
	for (int i = 0; i < TALKERS; i++)
		talker_end(&talkers[i]);
	unrest_end(&unrest);
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
