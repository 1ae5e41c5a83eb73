/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the directory hears of our own changes: which hosts may have a VM while it moves or is being
 * made, whose it is then, and what slots show by our doing. A migration's end is known there before
 * it is in the journal: a successor then takes either host at its word for as long as the migration
 * is open, and the right one after that.
 */
#include "sm-side/conductor/conductor_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "sm-side/directory/directory.h"

enum { ROWS = 64, AGAIN_S = 1 };

/* ---- the journal ---- */

int conductor_places_write(struct conductor *c)
{
	struct record records[ROWS];
	size_t count;
	int err = 0;

	while (!err && (count = directory_owed(c->directory, records, ROWS))) {
		err = journal_append(c->journal, records, count, false);
		if (!err)
			directory_paid(c->directory, count);
	}
	return err;
}

void conductor_places_changed(void *owner)
{
	static const struct timeval pause = {AGAIN_S, 0};
	struct conductor *c = owner;
	int err = conductor_places_write(c);

	if (!err)
		return;
	log_error("journal",
	        "whose VMs and slots are could not be written: %s. It is tried again each %d s",
	        strerror(-err), AGAIN_S);
	evtimer_add(c->next, &pause);
}

/* ---- whom the SM is asked for ---- */

void conductor_look(struct conductor *c)
{
	if (c->locator)
		locator_look(c->locator);
}

static void look_at_all(struct conductor *c)
{
	if (c->locator)
		locator_ask_all(c->locator);
}

/* ---- migrations ---- */

static void slot_shows(struct conductor *c, const struct place *place, const struct identity *one,
        const struct identity *other)
{
	const uint64_t guids[] = {one->port_guid, other->port_guid};

	if (directory_slot_shows(c->directory, place->host, place->slot, guids))
		log_error("directory", "no memory for slot %s of %s", place->slot, place->host);
}

static void begins(struct conductor *c, const char *vm, const char *from, const char *to)
{
	if (directory_move_begins(c->directory, vm, from, to))
		log_error("directory", "no memory for %s", vm);
}

static void migration_notes(struct conductor *c, const struct migration *m)
{
	const struct migration_intent *intent = &m->intent;
	const char *to = intent->destination.host;

	for (unsigned i = 0; migration_moves_guids(intent) && i < migration_vf_count(intent); i++) {
		const struct moving_vf *vf = &intent->vfs[i];

		slot_shows(c, &vf->source, &vf->identity, &vf->other);
		slot_shows(c, &vf->destination, &vf->identity, &vf->other);
	}
	if (!migration_ended(m))
		begins(c, intent->vm, intent->reattach ? to : intent->source.host, to);
}

void conductor_migration_begins(struct conductor *c, const struct migration *m)
{
	migration_notes(c, m);
	root_places_changed(c->root);
}

/* Where it is lost its memory may have come to the destination; by whose word, is settled now. */
static const char *host_at_end(const struct conductor *c, const struct migration *m)
{
	const struct migration_intent *intent = &m->intent;
	bool is_there = m->state == STATE_DONE || intent->reattach ||
	                (m->state == STATE_LOST && inventory_vm_at(root_inventory(c->root),
	                                                   intent->destination.host, intent->vm));

	return is_there ? intent->destination.host : intent->source.host;
}

void conductor_migration_ends(struct conductor *c, const struct migration *m)
{
	directory_move_ends(c->directory, m->intent.vm, host_at_end(c, m));
	root_places_changed(c->root);
	look_at_all(c);
}

/* ---- VMs that come and go ---- */

static void change_notes(struct conductor *c, const struct vm_change *change)
{
	const struct vm_change_intent *intent = &change->intent;

	slot_shows(c, &intent->place, &intent->identity, &intent->own);
	if (!intent->destroys && !vm_change_ended(change))
		begins(c, intent->vm, NULL, intent->place.host);
}

void conductor_change_begins(struct conductor *c, const struct vm_change *change)
{
	change_notes(c, change);
	root_places_changed(c->root);
}

void conductor_change_ends(struct conductor *c, const struct vm_change *change)
{
	const struct vm_change_intent *intent = &change->intent;

	if (!intent->destroys)
		directory_move_ends(c->directory, intent->vm,
		        change->state == CHANGE_PRESENT ? intent->place.host : NULL);
	root_places_changed(c->root);
	conductor_look(c);
}

/* ---- LIDs and P_Keys ---- */

void conductor_result_take(struct conductor *c, const char *host, const Tether__HostResult *result)
{
	root_result_take(c->root, host, result);
	conductor_look(c);
}

bool conductor_places_are_known(struct drive *d)
{
	struct locator *locator = d->conductor->locator;

	/* That the SM is away LOCATE hears itself. */
	if (!sm_link_is_up(d->sm))
		return true;
	if (!d->places_asked)
		d->places_asked = locator_ask_all(locator);
	return locator_is_up(locator) && locator_done(locator) >= d->places_asked;
}

static int endpoints_of(void *owner, struct endpoints *endpoints, bool open)
{
	struct conductor *c = owner;
	struct under_way under_way;
	int err;

	if (!conductor_under_way(c, &under_way))
		return -ENOMEM;
	err = endpoints_fill(endpoints, c->directory, root_inventory(c->root), &under_way, open);
	free(under_way.migrations);
	return err;
}

static void places_answered(void *owner)
{
	struct conductor *c = owner;

	root_places_changed(c->root);
	EACH_AT_WORK(c, d)
	drive_places_known(d);
}

const struct locator_callbacks conductor_locator_callbacks = {
        .fill = endpoints_of,
        .answered = places_answered,
};

/* ---- after a restart ---- */

/* The oldest first, of both kinds, so that the latest counts. */
static void all_note(
        struct conductor *c, const struct ledger_entry *entry, const struct vm_change *change)
{
	if (!entry && !change)
		return;
	if (!change ||
	        (entry && entry->migration.intent.asked_wall_us >= change->intent.asked_wall_us)) {
		all_note(c, entry->older, change);
		migration_notes(c, &entry->migration);
	} else {
		all_note(c, entry, change->older);
		change_notes(c, change);
	}
}

static void is_not_known(void *context, const struct directory_place *place)
{
	if (directory_locate(context, &(struct directory_place){.vm = place->vm}))
		log_error("directory", "no memory for %s", place->vm);
}

/* Where there is no SM any more nobody would say that what one said has changed. */
static void places_forget(struct conductor *c)
{
	directory_each(c->directory, is_not_known, c->directory);
}

void conductor_places_restore(struct conductor *c)
{
	if (!c->has_fabric)
		places_forget(c);
	all_note(c, c->ledger->newest, vm_changer_changes(c->vms)->newest);
	root_places_changed(c->root);
}
