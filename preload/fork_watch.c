/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/fork_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned opened;
static bool is_child, is_blind;
static int current[2] = {-1, -1}; /* reading end, and the one that children inherit */
/* Reading ends of earlier pipes that children still hold: no more than there are children. */
static struct pollfd *former;
static unsigned former_count;

static void pipe_open(void)
{
	is_blind = pipe2(current, O_CLOEXEC | O_NONBLOCK) < 0;
	if (is_blind) {
		current[0] = current[1] = -1;
		log_error("fork", "no pipe: forked children cannot be told: error %d", errno);
	}
}

static bool has_hung_up(int fd)
{
	struct pollfd at = {.fd = fd};

	return poll(&at, 1, 0) == 1 && at.revents & POLLHUP;
}

static void former_trim(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < former_count; i++) {
		if (has_hung_up(former[i].fd))
			close(former[i].fd);
		else
			former[kept++] = former[i];
	}
	former_count = kept;
}

static void former_add(int fd)
{
	struct pollfd *grown = realloc(former, (former_count + 1) * sizeof(*grown));

	if (!grown) {
		is_blind = true;
		close(fd);
		return;
	}
	former = grown;
	former[former_count++] = (struct pollfd){.fd = fd};
}

/* From here on only children that were forked until now hold it. */
static void current_retire(int reading, int writing)
{
	if (reading < 0)
		return;
	close(writing);
	former_add(reading);
	former_trim();
}

void fork_watch_begin(void)
{
	LOCK_GUARD(&lock);
	if (!opened++)
		pipe_open();
}

void fork_watch_end(void)
{
	LOCK_GUARD(&lock);
	if (--opened)
		return;
	current_retire(current[0], current[1]);
	current[0] = current[1] = -1;
	is_blind = false;
}

/* The next pipe is there before the last one is closed: every child holds one of them. */
static void current_renew(void)
{
	int reading = current[0], writing = current[1];

	pipe_open();
	current_retire(reading, writing);
}

/* The reading end of one that may still be held; -1: there is none. */
static int held(void)
{
	LOCK_GUARD(&lock);
	former_trim();
	if (opened && !former_count)
		current_renew();
	return former_count ? former[0].fd : -1;
}

bool fork_watch_finds_child(int patience_ms)
{
	uint64_t until_ms = monotonic_ms() + (unsigned)patience_ms, now_ms;
	struct pollfd one;

	while ((one.fd = held()) >= 0 && (now_ms = monotonic_ms()) < until_ms) {
		one.events = 0;
		poll(&one, 1, (int)(until_ms - now_ms));
	}
	return one.fd >= 0 || __atomic_load_n(&is_blind, __ATOMIC_RELAXED);
}

bool fork_watch_is_child(void)
{
	return __atomic_load_n(&is_child, __ATOMIC_RELAXED);
}

void fork_watch_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void fork_watch_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The writing end stays open, for the parent to see. */
void fork_watch_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	is_child |= opened > 0;
	if (current[0] >= 0)
		close(current[0]);
	for (unsigned i = 0; i < former_count; i++)
		close(former[i].fd);
	current[0] = current[1] = -1;
	opened = former_count = 0;
	is_blind = false;
}
