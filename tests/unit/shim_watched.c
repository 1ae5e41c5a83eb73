/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_watched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *begin(void *at)
{
	struct watched *watched = at;
	void *result;

	watched->tid = (pid_t)syscall(__NR_gettid);
	sem_post(&watched->started);
	result = watched->what(watched->argument);
	__atomic_store_n(&watched->done, true, __ATOMIC_RELEASE);
	return result;
}

void watched_start(struct watched *watched, void *(*what)(void *), void *argument)
{
	watched->what = what;
	watched->argument = argument;
	watched->done = false;
	sem_init(&watched->started, 0, 0);
	assert_int_equal(pthread_create(&watched->thread, NULL, begin, watched), 0);
	sem_wait(&watched->started);
}

static bool is_asleep(pid_t tid)
{
	char path[64], text[256] = "", *state;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	stat = fopen(path, "r");
	if (!stat) /* it has ended meanwhile */
		return false;
	if (!fgets(text, sizeof(text), stat))
		text[0] = '\0';
	fclose(stat);
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

bool watched_has_ended(const struct watched *watched)
{
	return __atomic_load_n(&watched->done, __ATOMIC_ACQUIRE);
}

bool watched_ends_at_once(struct watched *watched)
{
	bool done;

	while (!(done = watched_has_ended(watched)) && !is_asleep(watched->tid))
		;
	return done;
}

void *watched_join(struct watched *watched)
{
	void *result;

	pthread_join(watched->thread, &result);
	return result;
}
