/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Migrations at the same time must not concern each other's VM: of two that share a connection each
 * would wait for the other at its barrier. So each has its turn (turns.h), and from STOP on no
 * process is asked by two migrations of which one moves it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/conductor/conductor_state.h"
#include "sm-side/migration/turns.h"

static void shares_with(struct migration *m, const struct migration *other)
{
	bool waits = turn_may_be_waited_for(m);
	char text[2 * MIGRATION_NAME_BYTES + 128];

	snprintf(text, sizeof(text),
	        "migration %" PRIu64 " of %s is under way and shares connections with %s; %s",
	        other->intent.id, other->intent.vm, m->intent.vm,
	        waits ? "this one waits for its end" : "ask again when it has ended");
	conductor_find(m, "busy", text);
	if (waits)
		migration_turn_yield(m, other->intent.id);
	else
		m->busy_with = other->intent.id;
}

static bool waits_for_turn(struct drive *d, const struct migration *other)
{
	struct migration *m = drive_migration(d);

	if (!m->waits_turn)
		log_info("migration", "%" PRIu64 "/%" PRIu64 " waits for another to be prepared",
		        m->intent.id, m->intent.epoch);
	migration_turn_wait(m);
	if (!other)
		m->busy_with = 0;
	return false;
}

/* It has asked nobody, so there is nothing to give back. */
static bool waits_for_end(struct drive *d, const struct migration *other)
{
	struct migration *m = drive_migration(d);
	bool is_new = m->busy_with != other->intent.id;

	migration_turn_wait(m);
	migration_turn_yield(m, other->intent.id);
	if (!is_new)
		return false;
	log_info("migration",
	        "%" PRIu64 "/%" PRIu64 " waits for the end of %" PRIu64
	        " of %s, which shares connections with %s",
	        m->intent.id, m->intent.epoch, other->intent.id, other->intent.vm, m->intent.vm);
	d->entry->changes++;
	d->conductor->changed(d->conductor->owner);
	return false;
}

static bool is_refused_as_shared(struct drive *d, const struct migration *other)
{
	migration_turn_take(drive_migration(d), monotonic_us());
	shares_with(drive_migration(d), other);
	drive_feed(d, EVENT_FAILED);
	return false;
}

bool turn_take(struct drive *d)
{
	struct migration *m = drive_migration(d);
	const struct migration *other = NULL;
	struct under_way under_way;
	enum turn turn = TURN_IS_OURS;

	if (conductor_under_way(d->conductor, &under_way)) {
		turn = turn_of(&under_way, m, &other);
		free(under_way.migrations);
	}
	if (turn == TURN_WAITS)
		return waits_for_turn(d, other);
	if (turn == TURN_WAITS_FOR_END)
		return turn_may_be_waited_for(m) ? waits_for_end(d, other)
		                                 : is_refused_as_shared(d, other);
	migration_turn_take(m, monotonic_us());
	return true;
}

bool turn_is_shared(struct drive *d, const Tether__Answer *answer)
{
	struct migration *m = drive_migration(d);
	const struct migration *other;
	struct under_way under_way;

	if ((m->state != STATE_PREPARING && m->state != STATE_STOPPING) ||
	        !conductor_under_way(d->conductor, &under_way))
		return false;
	other = turn_sharing(&under_way, m, answer->answered, answer->n_answered);
	free(under_way.migrations);
	if (other)
		shares_with(m, other);
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

static struct drive *next_waiting(const struct conductor *c, uint64_t after)
{
	const struct migration *next;
	struct under_way under_way;

	if (!conductor_under_way(c, &under_way))
		return NULL;
	next = turn_next(&under_way, after);
	free(under_way.migrations);
	EACH_AT_WORK(c, d)
	if (next && drive_migration(d) == next)
		return d;
	return NULL;
}

/* Who has to wait for another's end keeps its place, and lets others go first. */
static void turns_give(struct conductor *c)
{
	uint64_t after = 0;
	struct drive *d;

	while ((d = next_waiting(c, after))) {
		after = drive_migration(d)->intent.id;
		drive_ask(d, ACTION_PREPARE, PARTY_ALL);
		drive_timer_arm(d);
	}
}

void turns_due(evutil_socket_t unused, short what, void *context)
{
	struct conductor *c = context;

	EACH_AT_WORK(c, d)
	if (sm_is_queued_for(d))
		sm_queue_time(d);
	vm_changer_lease_look(c->vms);
	turns_give(c);
}
