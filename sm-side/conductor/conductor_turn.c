/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Migrations at the same time must not concern each other's VM: of two that share a connection each
 * would wait for the other at its barrier. Who is concerned is known from the answers to PREPARE;
 * so one asks after the other, each looks at those before it, and from STOP on no process is asked
 * by two migrations of which one moves it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/conductor/conductor_state.h"

static void refuse_as_shared(struct migration *m, const struct migration *other)
{
	char text[2 * MIGRATION_NAME_BYTES + 128];

	snprintf(text, sizeof(text),
	        "migration %" PRIu64
	        " of %s is under way and shares connections with %s; ask again when it has ended",
	        other->intent.id, other->intent.vm, m->intent.vm);
	m->busy_with = other->intent.id;
	conductor_find(m, "busy", text);
}

static bool is_being_prepared(const struct drive *d)
{
	return d->entry && drive_migration(d)->state == STATE_PREPARING &&
	       !drive_migration(d)->waits_turn;
}

static bool another_prepares(const struct drive *d)
{
	EACH_DRIVE(d->conductor, other)
	if (other != d && is_being_prepared(other))
		return true;
	return false;
}

static void wait_for_turn(struct drive *d)
{
	struct migration *m = drive_migration(d);

	migration_turn_wait(m);
	log_info("migration", "%" PRIu64 "/%" PRIu64 " waits for another to be prepared",
	        m->intent.id, m->intent.epoch);
}

bool turn_take(struct drive *d)
{
	struct migration *m = drive_migration(d);
	const struct migration *other = NULL;
	struct under_way under_way;

	if (another_prepares(d)) {
		wait_for_turn(d);
		return false;
	}
	migration_turn_take(m, monotonic_us());
	if (conductor_under_way(d->conductor, &under_way)) {
		other = admission_sharing(&under_way, &m->intent, NULL, 0);
		free(under_way.migrations);
	}
	if (!other)
		return true;
	refuse_as_shared(m, other);
	drive_feed(d, EVENT_FAILED);
	return false;
}

bool turn_is_shared(struct drive *d, const Tether__Answer *answer)
{
	struct migration *m = drive_migration(d);
	const struct migration *other;
	struct under_way under_way;

	if ((m->state != STATE_PREPARING && m->state != STATE_STOPPING) ||
	        !conductor_under_way(d->conductor, &under_way))
		return false;
	other = admission_sharing(&under_way, &m->intent, answer->answered, answer->n_answered);
	free(under_way.migrations);
	if (other)
		refuse_as_shared(m, other);
	return other;
}

void turns_may_have_come(struct conductor *c)
{
	if (vm_changer_waits_for_lease(c->vms))
		event_active(c->turn, EV_TIMEOUT, 0);
	EACH_AT_WORK(c, d)
	if (drive_migration(d)->waits_turn || sm_is_queued_for(d))
		event_active(c->turn, EV_TIMEOUT, 0);
}

/* The one that was asked for first. */
static struct drive *first_waiting(const struct conductor *c)
{
	struct drive *first = NULL;

	EACH_AT_WORK(c, d)
	if (drive_migration(d)->waits_turn &&
	        (!first || d->entry->migration.intent.id < first->entry->migration.intent.id))
		first = d;
	return first;
}

void turns_due(evutil_socket_t unused, short what, void *context)
{
	struct conductor *c = context;
	struct drive *first = first_waiting(c);

	EACH_AT_WORK(c, d)
	if (sm_is_queued_for(d))
		sm_queue_time(d);
	vm_changer_lease_look(c->vms);
	if (!first || another_prepares(first))
		return;
	drive_ask(first, ACTION_PREPARE);
	drive_timer_arm(first);
}
