/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_unrest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef TETHER_SANITIZE
enum { MOVES = 60, MOVES_FULL = 1000 };
#else
enum { MOVES = 200, MOVES_FULL = 10000 };
#endif
enum { STANDSTILL_S = 120 };

void unrest_add_flow(struct unrest *unrest, const char *program, int number, const uint64_t *turns)
{
	assert_in_range(unrest->flow_count, 0, UNREST_FLOWS - 1);
	unrest->flows[unrest->flow_count++] = (struct unrest_flow){program, number, turns};
}

int unrest_moves(void)
{
	return getenv("TETHER_FULL") ? MOVES_FULL : MOVES;
}

static void *carry(void *at)
{
	struct unrest *unrest = at;
	unsigned seed = 1;

	while (!__atomic_load_n(&unrest->is_over, __ATOMIC_RELAXED)) {
		unrest->stir(&seed);
		sched_yield();
	}
	return NULL;
}

void unrest_begin(struct unrest *unrest)
{
	__atomic_store_n(&unrest->is_over, false, __ATOMIC_RELAXED);
	pthread_create(&unrest->fabric, NULL, carry, unrest);
}

void unrest_end(struct unrest *unrest)
{
	__atomic_store_n(&unrest->is_over, true, __ATOMIC_RELAXED);
	pthread_join(unrest->fabric, NULL);
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static uint64_t turns_of(const struct unrest_flow *flow)
{
	return __atomic_load_n(flow->turns, __ATOMIC_RELAXED);
}

static void await_turn(const struct unrest *unrest, const struct unrest_flow *flow, uint64_t turns)
{
	time_t end_s = now_s() + STANDSTILL_S;

	while (turns_of(flow) < turns) {
		sched_yield();
		if (now_s() < end_s)
			continue;
		unrest->describe();
		print_error("%s, flow %d: a wake-up was lost\n", flow->program, flow->number);
		/* They cannot be ended: they sleep. */
		_exit(EXIT_FAILURE);
	}
}

static void everybody_takes_a_turn(const struct unrest *unrest)
{
	uint64_t turns[UNREST_FLOWS] = {0};

	for (int i = 0; i < unrest->flow_count; i++)
		turns[i] = turns_of(&unrest->flows[i]);
	for (int i = 0; i < unrest->flow_count; i++)
		await_turn(unrest, &unrest->flows[i], turns[i] + 1);
}

static void give_up_after_the_vote(const struct unrest *unrest, unsigned *seed)
{
	unrest->stop(seed);
	harness_expect(unrest->h, TETHER__STEP__STEP_ABORT, DONE);
	harness_expect(unrest->h, TETHER__STEP__STEP_RECONNECT, DONE);
	harness_expect(unrest->h, TETHER__STEP__STEP_RESUME, DONE);
}

void unrest_move(struct unrest *unrest, int moves)
{
	unsigned seed = 2;

	for (int i = 0; i < moves; i++) {
		switch (rand_r(&seed) % 16) {
		case 0:
			unrest->give_up_before_the_vote();
			break;
		case 1:
			give_up_after_the_vote(unrest, &seed);
			break;
		default:
			break;
		}
		unrest->stop(&seed);
		harness_go_on(unrest->h);
		/* Now and then again before anybody has woken up. */
		if (rand_r(&seed) % 4)
			everybody_takes_a_turn(unrest);
	}
	everybody_takes_a_turn(unrest);
}
