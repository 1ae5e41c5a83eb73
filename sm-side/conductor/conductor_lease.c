/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Migrations, and VMs that come or go, hold the SM's lease together, but nobody joins those who
 * hold it when a sweep waits for them, or when the SM does not know what one of them moves; and
 * nobody gets it as long as one shows a GUID at two slots without it, as a restart leaves it. How
 * long that takes is theirs to say: whoever waits while another one of ours is there is
 * not timed, and has the whole time of its step when none is any more. The same goes for who waits
 * for a sweep, which is held off until then, and for who asks for something to be applied while the
 * SM has not answered those who asked before.
 */
#include "notifier/base/monotonic.h"
#include "sm-side/conductor/conductor_state.h"

static bool leaves_guids_twice(enum migration_state journalled)
{
	enum migration_state to = migration_reenter(journalled, FACT_ANYWHERE);

	return to == STATE_RENAMING || to == STATE_BACK_RENAMING;
}

static bool keeps_lease_from_others(const struct migration *m)
{
	switch (m->state) {
	case STATE_RENAMING:
	case STATE_REVACATING:
	case STATE_NAMING:
	case STATE_VACATING:
	case STATE_LINKING:
	case STATE_APPLYING:
	case STATE_REPLANNING:
	case STATE_CONFIRMING:
	case STATE_UNLEASING:
	case STATE_BACK_RENAMING:
	case STATE_BACK_REVACATING:
	case STATE_BACK_NAMING:
	case STATE_BACK_VACATING:
	case STATE_BACK_LINKING:
	case STATE_BACK_UNDOING:
	case STATE_BACK_UNLEASING:
	case STATE_STAY_NAMING:
	case STATE_STAY_VACATING:
	case STATE_STAY_APPLYING:
	case STATE_STAY_UNLEASING:
		return m->intent.fabric && !m->intent.shared_port;
	case STATE_RECOVERING:
		return leaves_guids_twice(m->journalled) && m->intent.fabric &&
		       !m->intent.shared_port && !m->intent.dynamic;
	default:
		return false;
	}
}

/* Whoever asks for it is not among them. */
bool conductor_lease_is_taken(const struct conductor *c)
{
	EACH_AT_WORK(c, d)
	if (keeps_lease_from_others(drive_migration(d)))
		return true;
	return vm_changer_is_under_lease(c->vms);
}

/* The SM works for one after the other, or for all who wait. */
static bool is_worked_for(const struct drive *d)
{
	const struct migration *m = &d->entry->migration;
	enum migration_action action = migration_state_action(m->state);

	return (action == ACTION_APPLY || action == ACTION_UNDO) && m->intent.fabric &&
	       !m->intent.shared_port;
}

static bool another_comes_before(const struct drive *d)
{
	EACH_AT_WORK(d->conductor, other)
	if (other != d && is_worked_for(other) && other->sm_turn < d->sm_turn)
		return true;
	return false;
}

bool sm_is_queued_for(struct drive *d)
{
	enum migration_action action = migration_state_action(drive_migration(d)->state);

	return action == ACTION_LEASE || action == ACTION_WAKE || is_worked_for(d);
}

void sm_queue_join(struct drive *d)
{
	if (is_worked_for(d))
		d->sm_turn = ++d->conductor->sm_turns;
	sm_queue_time(d);
}

void sm_queue_time(struct drive *d)
{
	struct migration *m = drive_migration(d);

	if (is_worked_for(d) ? another_comes_before(d) : conductor_lease_is_taken(d->conductor))
		migration_time_stop(m);
	else
		migration_time_run(m, monotonic_us());
	drive_timer_arm(d);
}
