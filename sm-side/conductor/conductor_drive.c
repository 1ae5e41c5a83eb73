/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Drives one migration: feeds its state machine and performs what that puts out. */
#include "sm-side/conductor/conductor_state.h"
#include "sm-side/migration/orders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"
#include "notifier/wire/rows.h"

/* A driver is a process: it is not started again at once. */
enum { RETRY_MS = 20, RETRY_HOST_MS = 200 };

int64_t conductor_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

struct migration *drive_migration(const struct drive *d)
{
	return d->entry ? &d->entry->migration : NULL;
}

void conductor_find(struct migration *m, const char *reason, const char *text)
{
	testimony_find(&m->testimony, "tether-smd", reason, text);
}

/* ---- feeding the state machine ---- */

static const char *event_reason(enum migration_event event)
{
	switch (event) {
	case EVENT_TIMEOUT:
		return "timeout";
	case EVENT_OVERALL:
		return "overall-deadline";
	case EVENT_ABORT_ASKED:
		return "abort-asked";
	case EVENT_AGENT_LOST:
		return "agent-lost";
	case EVENT_SM_LOST:
		return "sm-lost";
	case EVENT_JOURNAL_FAILED:
		return "journal-failed";
	default:
		return NULL;
	}
}

/* What turned the migration off its road is to be found in its status. */
static void note_turn(struct migration *m, enum migration_state before, enum migration_event event)
{
	const char *reason = event_reason(event);
	enum migration_phase from = migration_phase(before), to = migration_phase(m->state);
	char text[128];

	if (!reason || (from == to && event != EVENT_OVERALL))
		return;
	snprintf(text, sizeof(text), "in %s: %s", migration_state_name(before),
	        migration_state_meaning(before));
	conductor_find(m, reason, text);
}

const char *drive_feed(struct drive *d, enum migration_event event)
{
	struct migration *m = drive_migration(d);
	enum migration_state before = m->state;
	struct migration_output output = migration_event(m, event, monotonic_us());

	if (output.refused)
		return output.refused;
	note_turn(m, before, event);
	drive_perform(d, output);
	return NULL;
}

/* ---- performing ---- */

void conductor_timer_arm(struct event *timer, uint64_t due)
{
	uint64_t now = monotonic_us();
	uint64_t left = due > now ? due - now : 0;
	struct timeval pause = {(time_t)(left / US_PER_S), (suseconds_t)(left % US_PER_S)};

	if (!due)
		evtimer_del(timer);
	else
		evtimer_add(timer, &pause);
}

void drive_timer_arm(struct drive *d)
{
	struct migration *m = drive_migration(d);

	conductor_timer_arm(d->timer, m ? migration_next_us(m) : 0);
}

static void forget_asked(struct drive *d)
{
	d->tree_sequence = d->host_sequence = 0;
	d->sm_id = d->places_asked = 0;
	d->held_action = ACTION_NOTHING;
	evtimer_del(d->retry);
}

/* Of several it may have got some, and cannot be moved to where it is to get the others. */
static void find_missing_vfs(
        const struct conductor *c, struct migration *m, const struct inventory_host *host)
{
	char slots[MIGRATION_VFS_MAX * MIGRATION_NAME_BYTES] = "";
	char text[sizeof(slots) + MIGRATION_NAME_BYTES + 128];
	unsigned missing = 0;

	for (unsigned i = 0; m->intent.others && i < migration_vf_count(&m->intent); i++) {
		const struct inventory_host *found;
		const Tether__Slot *slot = inventory_slot_showing(root_inventory(c->root),
		        m->intent.vfs[i].identity.port_guid, host->name, true, &found);

		if (slot && !strcmp(slot->vm, m->intent.vm))
			continue;
		snprintf(slots + strlen(slots), sizeof(slots) - strlen(slots), "%s%s",
		        missing++ ? ", " : "", slot ? slot->name : "another host");
	}
	if (!missing)
		return;
	snprintf(text, sizeof(text),
	        "it is on %s and lacks %u of its VFs, whose GUIDs %s %s; have %s attached by hand",
	        host->name, missing, slots, missing > 1 ? "show" : "shows",
	        missing > 1 ? "those" : "that");
	testimony_find(&m->testimony, m->intent.vm, "vm-without-vf", text);
}

/* The end that leaves something to do says what. */
static void find_vm_without_vf(const struct conductor *c, struct migration *m)
{
	const struct inventory_host *host = NULL;
	const Tether__HostVm *vm = inventory_vm(root_inventory(c->root), m->intent.vm, &host);
	char text[3 * MIGRATION_NAME_BYTES + 128];

	if (m->state != STATE_LOST)
		return;
	if (vm && *vm->slot) {
		find_missing_vfs(c, m, host);
		return;
	}
	if (vm)
		snprintf(text, sizeof(text),
		        "it is on %s and has no VF; tether migrate %s %s gives it one there",
		        host->name, m->intent.vm, host->name);
	else
		snprintf(text, sizeof(text),
		        "no agent shows it; when that of %s does, tether migrate %s %s gives it a "
		        "VF there",
		        m->intent.destination.host, m->intent.vm, m->intent.destination.host);
	testimony_find(&m->testimony, m->intent.vm, "vm-without-vf", text);
}

static bool was_committed(const struct migration *m)
{
	for (size_t i = 0; i < m->step_count; i++)
		if (migration_phase(m->steps[i].state) == PHASE_FORWARD)
			return true;
	return false;
}

static void numbers_put(struct conductor *c, const struct migration *m, const Tether__QpRows *qps,
        const Tether__KeyRows *keys, const Tether__GidRows *gids)
{
	for (unsigned i = 0; i < migration_vf_count(&m->intent); i++)
		root_numbers_set(
		        c->root, &m->intent.vfs[i].address, m->intent.shared_port, qps, keys, gids);
	for (size_t i = 0; i < m->gid_count; i++) {
		struct address address = migration_gid_address(m, i);

		root_numbers_set(c->root, &address, false, qps, keys, gids);
	}
}

void conductor_numbers_set(struct conductor *c, const struct migration *m)
{
	numbers_put(c, m, &m->testimony.qps, &m->testimony.keys, &m->testimony.gids);
}

void conductor_numbers_clear(struct conductor *c, const struct migration *m)
{
	static const Tether__QpRows no_qps = TETHER__QP_ROWS__INIT;
	static const Tether__KeyRows no_keys = TETHER__KEY_ROWS__INIT;
	static const Tether__GidRows no_gids = TETHER__GID_ROWS__INIT;

	numbers_put(c, m, &no_qps, &no_keys, &no_gids);
}

/* Where the VM is lost some of its contexts may have been rebuilt, and have said so; numbers of an
 * earlier place are nobody's in any case. */
void conductor_rows_let_go(struct conductor *c, struct migration *m)
{
	if (m->testimony.rebuilt || m->state == STATE_DONE || m->state == STATE_FAILED_AT_SOURCE)
		conductor_numbers_set(c, m);
	else if (m->state == STATE_LOST && was_committed(m))
		conductor_numbers_clear(c, m);
	rows_clear(&m->testimony.evidence.base);
	rows_clear(&m->testimony.qps.base);
	rows_clear(&m->testimony.keys.base);
	rows_clear(&m->testimony.gids.base);
}

static void finish(struct drive *d)
{
	struct conductor *c = d->conductor;
	struct timeval now = {0};

	drive_log_end(d);
	c->ended[drive_migration(d)->state]++;
	conductor_rows_let_go(c, drive_migration(d));
	/* Its last step has done so, if there was one. */
	root_let_go(c->root, drive_migration(d)->intent.id);
	news_say(c, d->entry);
	d->entry = NULL;
	if (!c->closing)
		evtimer_add(c->next, &now);
}

/* The record first: what is announced must be known to a successor. */
static bool record_entered(struct drive *d, struct migration_output *output)
{
	struct migration_output turned;

	if (!drive_record_state(d, output->durable))
		return true;
	turned = migration_event(drive_migration(d), EVENT_JOURNAL_FAILED, monotonic_us());
	if (!turned.entered)
		return true;
	conductor_find(drive_migration(d), "journal-failed", "a record could not be written");
	*output = turned;
	return false;
}

/* What is told late of the attempt before is of an older epoch. False: it cannot begin. */
static bool begin_again(struct drive *d, struct migration_output *output)
{
	struct conductor *c = d->conductor;

	if (!output->again)
		return true;
	if (!conductor_record_epoch(c, c->ledger->epoch + 1)) {
		drive_migration(d)->intent.epoch = c->ledger->epoch;
		return true;
	}
	conductor_find(drive_migration(d), "journal-failed", "an epoch could not be written");
	*output = migration_event(drive_migration(d), EVENT_JOURNAL_FAILED, monotonic_us());
	return false;
}

/* Whatever is asked now need not be asked again in a moment. */
static void ask_now(struct drive *d, const struct migration_output *output)
{
	evtimer_del(d->retry);
	drive_ask(d, output->action, output->parties ? output->parties : PARTY_ALL);
}

void drive_perform(struct drive *d, struct migration_output output)
{
	bool of_host = migration_action_parties(output.action) & PARTY_HOST;

	while (output.entered) {
		if (!begin_again(d, &output))
			continue;
		d->entry->changes++;
		if (output.action != ACTION_NOTHING)
			forget_asked(d);
		drive_log_state(d);
		find_vm_without_vf(d->conductor, drive_migration(d));
		if (migration_ended(drive_migration(d)))
			conductor_migration_ends(d->conductor, drive_migration(d));
		if (record_entered(d, &output))
			break;
	}
	if (output.give_up)
		drive_tell_error(d);
	if (output.retry)
		timer_set(d->retry, of_host ? RETRY_HOST_MS : RETRY_MS);
	else if (output.action == ACTION_FINISH)
		finish(d);
	else if (output.action != ACTION_NOTHING)
		ask_now(d, &output);
	drive_timer_arm(d);
	if (output.entered) {
		turns_may_have_come(d->conductor);
		d->conductor->changed(d->conductor->owner);
	}
}

void drive_timer_due(evutil_socket_t unused, short what, void *context)
{
	struct drive *d = context;
	struct migration *m = drive_migration(d);
	uint64_t now = monotonic_us();
	enum migration_state before;
	struct migration_output output;
	bool overall;

	if (!m)
		return;
	before = m->state;
	overall = m->overall_us && now >= m->overall_us;
	output = migration_tick(m, now);
	note_turn(m, before, overall ? EVENT_OVERALL : EVENT_TIMEOUT);
	drive_perform(d, output);
}

void drive_retry_due(evutil_socket_t unused, short what, void *context)
{
	struct drive *d = context;

	if (drive_migration(d))
		drive_ask(d, migration_state_action(drive_migration(d)->state), PARTY_ALL);
}
