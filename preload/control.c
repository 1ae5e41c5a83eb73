/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "preload/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "preload/agent_link.h"
#include "preload/move.h"
#include "preload/objects.h"
#include "preload/uncancelled.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned inside;
static bool exclusive;
static atomic_uint migrations;

/* Verbs below may open and write files, and whoever ends inside is waited for by all others: from
 * entering to leaving nobody is cancelled. */
static __thread struct {
	unsigned depth;
	int before;
} cancellation;

static void cancellation_hold(void)
{
	if (!cancellation.depth++)
		cancellation.before = uncancelled_begin();
}

static void cancellation_let_go(void)
{
	if (!--cancellation.depth)
		uncancelled_end(&cancellation.before);
}

static bool has_to_wait(
        const struct context *context, const struct queue_pair *qp, enum control_need need)
{
	if (exclusive)
		return true;
	if (need == NEEDS_NOTHING || !context)
		return false;
	if (context->phase == PHASE_LOST)
		return false;
	if (context->phase == PHASE_AWAY)
		return true;
	return need == NEEDS_CONNECTION &&
	       (context->phase == PHASE_STOPPED ||
	               (qp && __atomic_load_n(&qp->held, __ATOMIC_RELAXED)));
}

static int enter(const struct context *context, const struct queue_pair *qp, enum control_need need)
{
	int err = 0;

	if (context && __builtin_expect(context->inherited, 0))
		agent_link_start();
	cancellation_hold();
	pthread_mutex_lock(&lock);
	while (has_to_wait(context, qp, need))
		pthread_cond_wait(&changed, &lock);
	if (context && need != NEEDS_NOTHING && context->phase == PHASE_LOST)
		err = ENODEV;
	else
		inside++;
	pthread_mutex_unlock(&lock);
	if (err)
		cancellation_let_go();
	return err;
}

void control_enter_after(
        const struct context *context, bool (*is_busy)(const void *object), const void *object)
{
	if (__builtin_expect(context->inherited, 0))
		agent_link_start();
	cancellation_hold();
	pthread_mutex_lock(&lock);
	while (exclusive || is_busy(object))
		pthread_cond_wait(&changed, &lock);
	inside++;
	pthread_mutex_unlock(&lock);
}

bool control_enter_device(struct device *device)
{
	bool taken = false;

	cancellation_hold();
	pthread_mutex_lock(&lock);
	while (exclusive || move_has_taken(device)) {
		taken |= !exclusive;
		pthread_cond_wait(&changed, &lock);
	}
	inside++;
	pthread_mutex_unlock(&lock);
	return taken;
}

bool control_await_devices(void)
{
	bool waited = false;

	UNCANCELLED();
	pthread_mutex_lock(&lock);
	while (exclusive || move_has_taken_some()) {
		waited |= !exclusive;
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
	return waited;
}

int control_enter(const struct context *context, enum control_need need)
{
	return enter(context, NULL, need);
}

int control_enter_qp(const struct queue_pair *qp, enum control_need need)
{
	return enter(qp->context, qp, need);
}

void control_leave(void)
{
	pthread_mutex_lock(&lock);
	if (!--inside)
		pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	cancellation_let_go();
}

void control_exclusive_begin(void)
{
	pthread_mutex_lock(&lock);
	exclusive = true;
	while (inside)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void control_exclusive_end(void)
{
	pthread_mutex_lock(&lock);
	exclusive = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

unsigned control_migrations(void)
{
	return atomic_load(&migrations);
}

void control_migration_begins(void)
{
	atomic_fetch_add(&migrations, 1);
}

void control_forget(void)
{
	pthread_mutex_init(&lock, NULL);
	pthread_cond_init(&changed, NULL);
	inside = 0;
	exclusive = false;
}
