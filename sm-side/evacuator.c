/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/evacuator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"

/* Hosts come and slots become free without a word: it looks again so often. */
enum { LOOK_AGAIN_MS = 200 };

struct evacuator {
	struct conductor *conductor;
	struct journal *journal;
	struct evacuations *evacuations;
	struct event *look;
	void (*changed)(void *owner);
	void *owner;
};

static int record(struct evacuator *evacuator, const struct evacuation *e)
{
	CLEANUP_FREE char *vms = NULL;
	struct record record;
	int err = evacuation_record(e, &record, &vms);

	if (!err)
		err = journal_append(evacuator->journal, &record, 1, true);
	if (err)
		log_error("journal", "evacuation %" PRIu64 " could not be written: %s", e->id,
		        strerror(-err));
	return err;
}

/* ---- one VM ---- */

static bool is_held(const struct evacuator *evacuator, const struct evacuee *evacuee)
{
	const struct ledger_entry *entry =
	        ledger_find(conductor_ledger(evacuator->conductor), evacuee->held_by);

	return entry && !migration_ended(&entry->migration);
}

/* To be asked again in a while, without a word to anybody. */
static bool is_to_wait(const char *reason)
{
	static const char *const names[] = {"busy", "vm-already-moving", "host-not-connected",
	        "no-free-vf", "host-evacuating", "vm-changing", "shutting-down", "journal-failed",
	        "no-memory"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(reason, names[i]))
			return true;
	return false;
}

static bool migration_begins(struct evacuator *evacuator, const struct evacuation *e,
        struct evacuee *evacuee, const char *to)
{
	struct conductor_wish wish = {
	        .vm = evacuee->vm, .to = to, .force = e->force, .evacuation = e->id};
	struct admission admission =
	        conductor_migrate(evacuator->conductor, &wish, &evacuee->migration);

	if (!admission.reason) {
		evacuee->state = EVACUEE_MOVING;
		evacuee_say(evacuee, "", "");
		return true;
	}
	if (is_to_wait(admission.reason))
		return false;
	evacuee->state = EVACUEE_FAILED;
	evacuee_say(evacuee, admission.reason, admission.text);
	return true;
}

/* It says why, if that lasts. True: that is news. */
static bool is_put_off(struct evacuee *evacuee, const struct admission *admission)
{
	if (evacuee_has_nowhere(evacuee, admission))
		return true;
	if (strcmp(admission->reason, "no-free-vf") || !strcmp(admission->reason, evacuee->reason))
		return false;
	evacuee_say(evacuee, admission->reason, admission->text);
	return true;
}

/* By somebody else's request; where it is to be is known when that has ended. */
static bool is_under_way(const struct evacuator *evacuator, const char *vm)
{
	const struct ledger_entry *entry = conductor_ledger(evacuator->conductor)->newest;

	while (entry &&
	        (migration_ended(&entry->migration) || strcmp(entry->migration.intent.vm, vm)))
		entry = entry->older;
	return entry;
}

static bool evacuee_is_gone(struct evacuee *evacuee)
{
	evacuee->state = EVACUEE_DONE;
	evacuee_say(evacuee, "", "");
	return true;
}

/* True: something is new. */
static bool evacuee_begin(
        struct evacuator *evacuator, const struct evacuation *e, struct evacuee *evacuee)
{
	const struct inventory *inventory = conductor_inventory(evacuator->conductor);
	const struct inventory_host *at = NULL;
	struct admission admission;
	const char *to = NULL;

	if (is_under_way(evacuator, evacuee->vm))
		return false;
	if (!inventory_vm(inventory, evacuee->vm, &at)) {
		/* Its host has not said yet what it has, or it is gone. */
		return inventory_is_connected(inventory, e->host) && evacuee_is_gone(evacuee);
	}
	if (strcmp(at->name, e->host))
		return evacuee_is_gone(evacuee);
	admission = conductor_destination(evacuator->conductor, e, evacuee, &to);
	if (admission.reason)
		return is_put_off(evacuee, &admission);
	return migration_begins(evacuator, e, evacuee, to);
}

/* ---- one evacuation ---- */

static bool has_just_begun(const struct evacuator *evacuator, const struct evacuee *evacuee)
{
	const struct ledger_entry *entry =
	        ledger_find(conductor_ledger(evacuator->conductor), evacuee->migration);

	return evacuee->state == EVACUEE_MOVING && entry &&
	       (entry->migration.state == STATE_LOCATING ||
	               entry->migration.state == STATE_PREPARING);
}

/* Whom a migration concerns is known when it is prepared; the next one begins after that, so that
 * those that share connections are told apart without a refusal. */
static bool next_may_begin(const struct evacuator *evacuator, const struct evacuation *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (has_just_begun(evacuator, &e->vms[i]))
			return false;
	return true;
}

static bool look_at_migrations(const struct evacuator *evacuator, struct evacuation *e)
{
	unsigned sm_turns = e->sm_turns;
	bool is_new = false;

	for (size_t i = 0; i < e->count; i++)
		is_new |= evacuee_look(&e->vms[i], e, conductor_ledger(evacuator->conductor));
	if (e->sm_turns > sm_turns)
		e->pause_until_us = monotonic_us() + (LOOK_AGAIN_MS * 1000ull << e->sm_turns);
	return is_new;
}

/* Whoever begins without an SM is refused. */
static bool is_there_an_sm(const struct evacuator *evacuator, const struct evacuation *e)
{
	if (conductor_has_fabric(evacuator->conductor) && !conductor_sm_is_up(evacuator->conductor))
		return false;
	return monotonic_us() >= e->pause_until_us;
}

static bool leave_behind(struct evacuation *e)
{
	bool is_new = false;

	for (size_t i = 0; i < e->count; i++) {
		if (e->vms[i].state != EVACUEE_WAITING)
			continue;
		e->vms[i].state = EVACUEE_LEFT;
		is_new = true;
	}
	return is_new;
}

static bool begin_next(struct evacuator *evacuator, struct evacuation *e)
{
	bool is_new = false;

	if (!is_there_an_sm(evacuator, e))
		return false;
	for (size_t i = 0; i < e->count && next_may_begin(evacuator, e); i++)
		if (e->vms[i].state == EVACUEE_WAITING && !is_held(evacuator, &e->vms[i]))
			is_new |= evacuee_begin(evacuator, e, &e->vms[i]);
	return is_new;
}

static bool has_all_ended(const struct evacuation *e)
{
	return !evacuation_count(e, EVACUEE_WAITING) && !evacuation_count(e, EVACUEE_MOVING);
}

static void evacuation_end(struct evacuator *evacuator, struct evacuation *e)
{
	e->ended = true;
	e->ended_beside = evacuator->evacuations->last_id;
	record(evacuator, e);
	log_info("evacuation", "%" PRIu64 " of %s has ended: %zu of %zu VMs have left", e->id,
	        e->host, evacuation_count(e, EVACUEE_DONE), e->count);
}

static void evacuation_look(struct evacuator *evacuator, struct evacuation *e)
{
	bool is_new = look_at_migrations(evacuator, e);

	is_new |= e->aborted ? leave_behind(e) : begin_next(evacuator, e);
	if (has_all_ended(e)) {
		evacuation_end(evacuator, e);
		is_new = true;
	}
	if (!is_new)
		return;
	e->changes++;
	evacuator->changed(evacuator->owner);
}

static void look_due(evutil_socket_t unused, short what, void *context)
{
	static const struct timeval pause = {0, LOOK_AGAIN_MS * 1000};
	struct evacuator *evacuator = context;
	bool any_open = false;

	for (struct evacuation *e = evacuator->evacuations->newest; e; e = e->older) {
		if (!e->ended)
			evacuation_look(evacuator, e);
		any_open |= !e->ended;
	}
	if (any_open)
		evtimer_add(evacuator->look, &pause);
}

/* From the loop, since a migration may be in the middle of its step. */
void evacuator_look(struct evacuator *evacuator)
{
	event_active(evacuator->look, EV_TIMEOUT, 0);
}

/* ---- asked from outside ---- */

struct admission evacuator_begin(
        struct evacuator *evacuator, const struct evacuation_wish *wish, uint64_t *id)
{
	struct evacuation *e = NULL;
	struct admission admission = conductor_evacuation(evacuator->conductor, wish, &e);

	if (admission.reason)
		return admission;
	if (record(evacuator, e)) {
		evacuation_free(e);
		return admission_refuse("journal-failed",
		        "the evacuation could not be written to the journal; is its disk full?");
	}
	*id = e->id;
	evacuations_add(evacuator->evacuations, e);
	log_info("evacuation", "%" PRIu64 " of %s: %zu VMs", e->id, e->host, e->count);
	evacuator_look(evacuator);
	return admission;
}

const char *evacuator_abort(struct evacuator *evacuator, uint64_t id)
{
	struct evacuation *e = evacuations_find(evacuator->evacuations, id);

	if (!e)
		return "unknown-evacuation";
	if (e->ended)
		return "ended";
	e->aborted = true;
	record(evacuator, e);
	for (size_t i = 0; i < e->count; i++)
		if (e->vms[i].state == EVACUEE_MOVING)
			conductor_abort(evacuator->conductor, e->vms[i].migration);
	evacuator_look(evacuator);
	return NULL;
}

const struct evacuations *evacuator_evacuations(const struct evacuator *evacuator)
{
	return evacuator->evacuations;
}

/* ---- making ---- */

struct evacuator *evacuator_create(struct event_base *base, struct conductor *conductor,
        struct journal *journal, struct evacuations *evacuations, void (*changed)(void *owner),
        void *owner)
{
	struct evacuator *evacuator = calloc(1, sizeof(*evacuator));

	if (!evacuator)
		return NULL;
	*evacuator = (struct evacuator){.conductor = conductor,
	        .journal = journal,
	        .evacuations = evacuations,
	        .changed = changed,
	        .owner = owner};
	evacuator->look = evtimer_new(base, look_due, evacuator);
	if (!evacuator->look) {
		free(evacuator);
		return NULL;
	}
	/* Of those that have ended it is still told. */
	for (struct evacuation *e = evacuations->newest; e; e = e->older) {
		look_at_migrations(evacuator, e);
		if (e->ended)
			leave_behind(e);
	}
	evacuator_look(evacuator);
	return evacuator;
}

void evacuator_destroy(struct evacuator *evacuator)
{
	if (!evacuator)
		return;
	event_free(evacuator->look);
	free(evacuator);
}
