/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/conductor/evacuation_room.h"

struct drive *conductor_free_drive(const struct conductor *c)
{
	EACH_DRIVE(c, d)
	if (!d->entry)
		return d;
	return NULL;
}

bool conductor_under_way(const struct conductor *c, struct under_way *under_way)
{
	const struct migration **list = calloc(c->ledger->count + 1, sizeof(*list));
	size_t count = 0;

	if (!list)
		return false;
	for (const struct ledger_entry *e = c->ledger->newest; e; e = e->older)
		if (!migration_ended(&e->migration))
			list[count++] = &e->migration;
	*under_way = (struct under_way){list, count, c->drive_count, vm_changer_changes(c->vms)};
	return true;
}

/* ---- beginning ---- */

static struct admission admit(struct conductor *c, const struct under_way *under_way,
        const char *vm, const char *to, struct migration_intent *intent)
{
	const struct inventory *inventory = root_inventory(c->root);
	const struct migration *last = ledger_latest_of(c->ledger, vm);

	if (last && vm_changes_has_gone(under_way->changes, vm, last->intent.asked_wall_us))
		last = NULL;
	if (admission_is_reattach(inventory, vm, to))
		return admission_reattach(inventory, under_way, last, vm, to, intent);
	if (evacuation_empties(c->evacuations, to))
		return admission_refuse("host-evacuating",
		        "%s is being evacuated and takes nobody; see /v1/evacuations", to);
	return admission_check(inventory, under_way, vm, to, intent);
}

static struct admission shutting_down(void)
{
	return admission_refuse("shutting-down",
	        "tether-smd has been told to end; ask again when it has been started again");
}

static struct admission may_begin(
        struct conductor *c, const struct conductor_wish *wish, struct migration_intent *intent)
{
	const struct migration *left;
	struct under_way under_way;
	struct admission admission;

	if (c->closing)
		return shutting_down();
	left = conductor_left_over(c);
	if (left)
		return admission_refuse("busy",
		        "migration %" PRIu64
		        " of %s was under way before a restart and is gone on with first",
		        left->intent.id, left->intent.vm);
	if (!conductor_under_way(c, &under_way))
		return admission_refuse("no-memory", "tether-smd is out of memory");
	admission = admit(c, &under_way, wish->vm, wish->to, intent);
	free(under_way.migrations);
	return admission;
}

struct admission conductor_migrate(
        struct conductor *c, const struct conductor_wish *wish, uint64_t *id)
{
	struct migration_intent intent = {.id = c->ledger->last_id + 1,
	        .epoch = c->ledger->epoch + 1,
	        .fabric = c->has_fabric,
	        .force = wish->force,
	        .evacuation = wish->evacuation,
	        .asked_wall_us = conductor_wall_us()};
	struct admission admission = may_begin(c, wish, &intent);
	struct drive *d = conductor_free_drive(c);

	if (admission.reason)
		return admission;
	/* To give a VM a VF where it is, there is nothing that an orchestrator would do. */
	intent.called = wish->called && !intent.reattach;
	snprintf(intent.order, sizeof(intent.order), "%s", wish->order ? wish->order : "");
	snprintf(intent.reach, sizeof(intent.reach), "%s", wish->reach ? wish->reach : "");
	if (conductor_record_intent(c, &intent))
		return admission_refuse("journal-failed",
		        "the intent could not be written to the journal; is its disk full?");
	d->entry = ledger_add(c->ledger, &intent);
	if (!d->entry)
		return admission_refuse("no-memory", "tether-smd is out of memory");
	d->apply_asked = false;
	d->findings_logged = 0;
	*id = intent.id;
	drive_log_asked(d);
	conductor_migration_begins(c, drive_migration(d));
	drive_perform(d, migration_start(drive_migration(d), monotonic_us()));
	return admission;
}

struct admission conductor_evacuation(
        struct conductor *c, const struct evacuation_wish *wish, struct evacuation **made)
{
	struct under_way under_way;
	struct admission admission;

	if (c->closing)
		return shutting_down();
	if (!conductor_under_way(c, &under_way))
		return admission_refuse("no-memory", "tether-smd is out of memory");
	admission =
	        evacuation_make(root_inventory(c->root), &under_way, c->evacuations, wish, made);
	free(under_way.migrations);
	if (!admission.reason)
		(*made)->asked_wall_us = conductor_wall_us();
	return admission;
}

struct admission conductor_destination(const struct conductor *c,
        const struct evacuation *evacuation, const struct evacuee *evacuee, const char **host)
{
	struct under_way under_way;
	struct admission admission;

	if (!conductor_under_way(c, &under_way))
		return admission_refuse("no-memory", "tether-smd is out of memory");
	if (under_way.count >= under_way.most)
		admission = admission_refuse("busy", "as many as may be are under way");
	else
		admission = evacuation_destination(c->evacuations, evacuation, evacuee,
		        root_inventory(c->root), &under_way, host);
	free(under_way.migrations);
	return admission;
}

const char *conductor_abort(struct conductor *c, uint64_t id)
{
	struct ledger_entry *entry = ledger_find(c->ledger, id);
	const char *refused;

	if (!entry)
		return "unknown-migration";
	EACH_DRIVE(c, d)
	{
		if (d->entry != entry)
			continue;
		drive_log_said(d, "the operator asks for an abort", NULL);
		refused = drive_feed(d, EVENT_ABORT_ASKED);
		if (refused)
			drive_log_said(d, "is not aborted", refused);
		return refused;
	}
	return migration_ended(&entry->migration) ? "ended" : "recovering";
}

const char *conductor_report(struct conductor *c, uint64_t id, enum migration_report report)
{
	struct ledger_entry *entry = ledger_find(c->ledger, id);
	struct migration_output output;

	if (!entry)
		return "unknown-migration";
	EACH_DRIVE(c, d)
	{
		if (d->entry != entry)
			continue;
		output = migration_reported(drive_migration(d), report, monotonic_us());
		drive_log_reported(d, report, output.refused);
		if (report == REPORT_FAILED && output.entered)
			conductor_find(drive_migration(d), "reported-failed",
			        "the orchestrator reported that it could not");
		if (!output.refused)
			drive_perform(d, output);
		return output.refused;
	}
	return migration_ended(&entry->migration) ? "ended" : "recovering";
}

/* One has ended, or nothing has begun: is there another that was under way? */
static void next_due(evutil_socket_t unused, short what, void *context)
{
	conductor_recover_next(context);
}

/* ---- making and ending ---- */

static int drive_make(struct drive *d, struct conductor *c, const char *sm_socket)
{
	d->conductor = c;
	d->timer = evtimer_new(c->base, drive_timer_due, d);
	d->retry = evtimer_new(c->base, drive_retry_due, d);
	if (!d->timer || !d->retry)
		return -ENOMEM;
	if (!sm_socket)
		return 0;
	d->sm = sm_link_create(
	        c->base, sm_socket, c->deadlines->reconnect_link_ms, &drive_sm_callbacks, d);
	return d->sm ? 0 : -errno;
}

static int drives_make(struct conductor *c, const struct conductor_settings *settings)
{
	int err = 0;

	c->drives = calloc(settings->migrations_max, sizeof(*c->drives));
	if (!c->drives)
		return -ENOMEM;
	c->drive_count = settings->migrations_max;
	for (unsigned i = 0; !err && i < c->drive_count; i++)
		err = drive_make(&c->drives[i], c, settings->sm_socket);
	return err;
}

static int parts_make(struct conductor *c, const struct conductor_settings *settings)
{
	int err = conductor_record_epoch(c, c->ledger->epoch + 1);

	if (err)
		return err;
	c->vms = vm_changer_create(c, settings->changes, settings->sm_socket);
	c->next = evtimer_new(c->base, next_due, c);
	c->turn = evtimer_new(c->base, turns_due, c);
	if (!c->vms || !c->next || !c->turn)
		return -ENOMEM;
	c->root = root_create(c->base, settings->listen, settings->credentials, c->directory,
	        c->deadlines, c->ledger->epoch, &conductor_root_callbacks, c);
	if (!c->root)
		return -errno;
	if (settings->sm_socket)
		c->locator = locator_create(c->base, settings->sm_socket,
		        c->deadlines->reconnect_link_ms, c->directory, &conductor_locator_callbacks,
		        c);
	if (settings->sm_socket && !c->locator)
		return -errno;
	if (settings->signal_mad)
		err = root_signal_by_mad(
		        c->root, settings->sm_socket, c->deadlines, c->ledger->epoch);
	return err ? err : drives_make(c, settings);
}

void conductor_deadlines_changed(struct conductor *c)
{
	root_deadlines_set(c->root, c->deadlines);
	EACH_DRIVE(c, d)
	if (d->sm)
		sm_link_retry_set(d->sm, c->deadlines->reconnect_link_ms);
}

void conductor_credentials_changed(struct conductor *c)
{
	root_credentials_changed(c->root);
}

struct conductor *conductor_create(struct event_base *base,
        const struct conductor_settings *settings, struct ledger *ledger, struct journal *journal,
        void (*changed)(void *owner), void *owner)
{
	struct conductor *c = calloc(1, sizeof(*c));
	struct timeval now = {0};
	int err;

	if (!c)
		return NULL;
	c->base = base;
	c->deadlines = settings->deadlines;
	c->has_fabric = settings->sm_socket;
	c->ledger = ledger;
	c->journal = journal;
	c->evacuations = settings->evacuations;
	c->directory = settings->directory;
	c->changed = changed;
	c->owner = owner;
	err = parts_make(c, settings);
	if (err) {
		conductor_destroy(c);
		errno = -err;
		return NULL;
	}
	ledger_close_overtaken(ledger);
	conductor_numbers_restore(c);
	conductor_places_restore(c);
	evtimer_add(c->next, &now);
	return c;
}

void conductor_close(struct conductor *c)
{
	c->closing = true;
	EACH_AT_WORK(c, d)
	{
		struct migration *m = drive_migration(d);

		/* Before it is aborted: its end goes into the journal at once. */
		if (!m->committed)
			conductor_find(m, "shutting-down", "tether-smd was told to end");
		drive_feed(d, EVENT_ABORT_ASKED);
	}
	vm_changer_close(c->vms);
}

bool conductor_is_at_work(const struct conductor *c)
{
	EACH_AT_WORK(c, d)
	if (drive_migration(d)->state != STATE_RECOVERING)
		return true;
	return vm_changer_is_at_work(c->vms);
}

static void event_free_any(struct event *event)
{
	if (event)
		event_free(event);
}

void conductor_destroy(struct conductor *c)
{
	if (!c)
		return;
	if (c->vms)
		conductor_record_ends(c);
	vm_changer_destroy(c->vms);
	EACH_DRIVE(c, d)
	{
		sm_link_destroy(d->sm);
		event_free_any(d->timer);
		event_free_any(d->retry);
	}
	locator_destroy(c->locator);
	root_destroy(c->root);
	event_free_any(c->next);
	event_free_any(c->turn);
	conductor_mendings_clear(c);
	free(c->drives);
	free(c);
}

struct vm_changer *conductor_vms(const struct conductor *c)
{
	return c->vms;
}

const uint64_t *conductor_ended(const struct conductor *c)
{
	return c->ended;
}

const struct relay *conductor_relay(const struct conductor *c)
{
	return root_relay(c->root);
}

struct agent_poll *conductor_agents(const struct conductor *c)
{
	return root_agents(c->root);
}

const struct directory *conductor_directory(const struct conductor *c)
{
	return c->directory;
}

const struct inventory *conductor_inventory(const struct conductor *c)
{
	return root_inventory(c->root);
}

const struct gid_book *conductor_gids(const struct conductor *c)
{
	return root_gids(c->root);
}

bool conductor_has_fabric(const struct conductor *c)
{
	return c->has_fabric;
}

bool conductor_sm_is_up(const struct conductor *c)
{
	if (!c->locator || !locator_is_up(c->locator))
		return false;
	EACH_DRIVE(c, d)
	if (!d->sm || !sm_link_is_up(d->sm))
		return false;
	return true;
}

const struct ledger *conductor_ledger(const struct conductor *c)
{
	return c->ledger;
}
