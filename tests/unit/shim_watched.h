/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Threads of which a test has to know that they wait, and not that they have not got there yet: the
 * kernel says so.
 */
#ifndef TEST_SHIM_WATCHED_H
#define TEST_SHIM_WATCHED_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <sys/types.h>

struct watched {
	pthread_t thread;
	/* Its own: */
	void *(*what)(void *);
	void *argument;
	sem_t started;
	pid_t tid;
	bool done;
};

void watched_start(struct watched *watched, void *(*what)(void *), void *argument);
/* Comes back when it has ended, or sleeps: true and false. */
bool watched_ends_at_once(struct watched *watched);
/* It has ended; of what was cancelled nobody says so. */
bool watched_has_ended(const struct watched *watched);
/* What it returns. */
void *watched_join(struct watched *watched);

#endif
