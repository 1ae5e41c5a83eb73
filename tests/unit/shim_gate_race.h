/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A thread that goes in and out of a gate as fast as it can against one that closes it: how often
 * was it inside while the gate was closed?
 */
#ifndef TEST_SHIM_GATE_RACE_H
#define TEST_SHIM_GATE_RACE_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "preload/gate.h"

#ifdef TETHER_SANITIZE
enum { GATE_RACE_PAUSES = 20000 };
#else
enum { GATE_RACE_PAUSES = 300000 };
#endif

struct gate_race {
	struct gate gate;
	bool end;
	/* Written inside by the runner, and compared by the pauser before and after its section. */
	uint64_t work __attribute__((aligned(64)));
};

static void *gate_race_run(void *at)
{
	struct gate_race *race = at;

	while (!__atomic_load_n(&race->end, __ATOMIC_RELAXED)) {
		enum gate_pass pass = gate_enter(&race->gate);

		__atomic_store_n(&race->work, race->work + 1, __ATOMIC_RELAXED);
		gate_leave(&race->gate, pass);
	}
	return NULL;
}

static unsigned gate_race_pauses(struct gate_race *race, unsigned pauses)
{
	unsigned slips = 0;

	for (unsigned i = 0; i < pauses; i++) {
		uint64_t before;

		gate_close(&race->gate);
		before = __atomic_load_n(&race->work, __ATOMIC_RELAXED);
		for (volatile int spin = 0; spin < 30; spin++)
			;
		slips += __atomic_load_n(&race->work, __ATOMIC_RELAXED) != before;
		gate_open(&race->gate);
	}
	return slips;
}

/* @where: on which processors the runners run; NULL: wherever. */
static unsigned gate_race_with(unsigned pauses, unsigned runners, const cpu_set_t *where)
{
	struct gate_race race = {0};
	pthread_attr_t attr;
	pthread_t threads[4];
	unsigned slips;

	gate_init(&race.gate);
	pthread_attr_init(&attr);
	if (where)
		pthread_attr_setaffinity_np(&attr, sizeof(*where), where);
	for (unsigned i = 0; i < runners; i++)
		pthread_create(&threads[i], &attr, gate_race_run, &race);
	pthread_attr_destroy(&attr);
	while (!__atomic_load_n(&race.work, __ATOMIC_RELAXED))
		sched_yield();
	slips = gate_race_pauses(&race, pauses);
	__atomic_store_n(&race.end, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < runners; i++)
		pthread_join(threads[i], NULL);
	gate_fini(&race.gate);
	return slips;
}

/* Two of the processors that we may use; false: there is one. */
static bool gate_race_processors(const cpu_set_t *all, cpu_set_t two[2])
{
	int found = 0;

	for (int i = 0; i < CPU_SETSIZE && found < 2; i++) {
		if (!CPU_ISSET(i, all))
			continue;
		CPU_ZERO(&two[found]);
		CPU_SET(i, &two[found++]);
	}
	return found == 2;
}

/*
 * Only who runs at the same time races. So each of the two has a processor, and before all others
 * if that is allowed; in turn with those who ask for the same, lest two pairs wait crosswise.
 */
static inline unsigned gate_race(unsigned pauses)
{
	const struct sched_param before_all = {.sched_priority = 1}, normal = {0};
	cpu_set_t all, two[2];
	unsigned slips;

	if (sched_getaffinity(0, sizeof(all), &all) || !gate_race_processors(&all, two))
		return gate_race_with(pauses, 1, NULL);
	sched_setaffinity(0, sizeof(two[0]), &two[0]);
	sched_setscheduler(0, SCHED_RR, &before_all);
	slips = gate_race_with(pauses, 1, &two[1]);
	sched_setscheduler(0, SCHED_OTHER, &normal);
	sched_setaffinity(0, sizeof(all), &all);
	return slips;
}

static inline unsigned gate_race_shared(unsigned pauses)
{
	return gate_race_with(pauses, 3, NULL);
}

#endif
