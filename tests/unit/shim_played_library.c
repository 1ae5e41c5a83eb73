/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/unit/shim_played_library.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "notifier/wire/frame.h"
#include "preload/move.h"
#include "preload/objects.h"

static int clock_read(clockid_t clock, struct timespec *now);
static int condition_wait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *until);
static void frame_written(const Tether__Frame *frame, uint8_t *at, size_t length);

/* The rooms under test, with their lock within reach. */
#define clock_gettime          clock_read
#define pthread_cond_timedwait condition_wait
#define frame_write            frame_written
#include "preload/agent_link.c"    /* NOLINT(bugprone-suspicious-include) */
#include "preload/agent_service.c" /* NOLINT(bugprone-suspicious-include) */
#include "preload/agent_socket.c"  /* NOLINT(bugprone-suspicious-include) */
#undef clock_gettime
#undef pthread_cond_timedwait
#undef frame_write

/* What the process heard of connections that have ended at their other ends. */
static struct pair_names parted_from;
static atomic_uint partings;

bool connection_parted(const struct pair_names *names)
{
	parted_from = *names;
	partings++;
	return true;
}

int64_t connection_listeners_tick(uint64_t now_ms)
{
	return -1;
}

_Static_assert((int)LIBRARY_ABSENT_MS == (int)ABSENT_MS, "as agent_link.c has it");

/* Seconds that the library's clock is ahead. */
static atomic_int ahead_s;
/* How often somebody who waits has looked at the clock. */
static atomic_uint looks;
static atomic_uint events;
static atomic_bool packed_without_lock;
static atomic_bool is_kept_busy;

static int clock_read(clockid_t clock, struct timespec *now)
{
	int err = clock_gettime(clock, now);

	now->tv_sec += ahead_s;
	return err;
}

static int condition_wait(
        pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	struct timespec at = *until;

	looks++;
	at.tv_sec -= ahead_s;
	return pthread_cond_timedwait(condition, mutex, &at);
}

static void frame_written(const Tether__Frame *frame, uint8_t *at, size_t length)
{
	if (frame->body_case == TETHER__FRAME__BODY_INTEREST &&
	        !pthread_mutex_trylock(&agent_link.lock)) {
		packed_without_lock = true;
		pthread_mutex_unlock(&agent_link.lock);
	}
	frame_write(frame, at, length);
}

bool was_packed_without_lock(void)
{
	return packed_without_lock;
}

unsigned looks_at_clock(void)
{
	return looks;
}

uint64_t library_ms(void)
{
	return monotonic_ms();
}

void time_passes(int seconds)
{
	ahead_s += seconds;
}

/* ---- what the link leads to ---- */

void steps_event(Tether__Event *event, uint64_t now, steps_send *send, void *owner)
{
	tether__event__free_unpacked(event, NULL);
	events++;
	while (is_kept_busy)
		sched_yield();
}

int64_t steps_tick(uint64_t now, steps_send *send, void *owner)
{
	return -1;
}

void steps_fill_hello(Tether__Hello *hello)
{
}

int steps_is_away(void)
{
	return 0;
}

void steps_forget(void)
{
}

int lost_devices_begin(void)
{
	return 0;
}

int lost_devices_fd(void)
{
	return -1;
}

void lost_devices_forget(void)
{
}

int64_t lost_devices_tick(uint64_t now_ms)
{
	return -1;
}

void address_routes_turn(void)
{
}

void datagram_questions_turn(void)
{
}

int datagram_questions_are_open(void)
{
	return 0;
}

void datagram_questions_forget(void)
{
}

struct context_list contexts = TAILQ_HEAD_INITIALIZER(contexts);

const struct settings *settings(void)
{
	static const struct settings here = {.agent_path = played_agent_path, .vm = "vm1"};

	return &here;
}

uint64_t agent_is_away_since(void)
{
	LOCK_GUARD(&agent_link.lock);
	return agent_link.absent_since_ms;
}

unsigned partings_heard(struct pair_names *last)
{
	*last = parted_from;
	return partings;
}

unsigned library_events(void)
{
	return events;
}

void service_keeps_busy(bool is_busy)
{
	is_kept_busy = is_busy;
}
