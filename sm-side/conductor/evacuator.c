/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/evacuator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/cleanup.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/base/timer.h"
#include "sm-side/conductor/evacuation_record.h"
#include "sm-side/vm_change/vm_changer.h"
#include "sm-side/vm_change/vm_changes.h"

/* Hosts come and slots become free without a word: it looks again so often. */
enum { LOOK_AGAIN_MS = 200, WRITE_AGAIN_MS = 1000 };

struct evacuator {
	struct conductor *conductor;
	struct journal *journal;
	struct evacuations *evacuations;
	struct event *look;
	void (*changed)(void *owner);
	void *owner;
};

/* What is new of its VMs, and @whole: itself, for good. */
static int write_down(struct evacuator *evacuator, struct evacuation *e, bool whole)
{
	CLEANUP_FREE struct record *records = NULL;
	size_t count = 0;
	int err = evacuation_records(e, whole, &records, &count);

	if (!err && count)
		err = journal_append(evacuator->journal, records, count, whole);
	if (!err) {
		evacuation_written(e);
		return 0;
	}
	e->write_again_us = monotonic_us() + WRITE_AGAIN_MS * 1000ull;
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

static void migration_begin(struct evacuator *evacuator, const struct evacuation *e,
        struct evacuee *evacuee, const char *to)
{
	struct conductor_wish wish = {
	        .vm = evacuee->vm, .to = to, .force = e->force, .evacuation = e->id};
	uint64_t id;
	struct admission admission = conductor_migrate(evacuator->conductor, &wish, &id);

	if (!admission.reason)
		evacuee_moves(evacuee, id);
	else if (!is_to_wait(admission.reason))
		evacuee_set(evacuee, EVACUEE_FAILED, admission.reason, admission.text);
}

/* By somebody else's request; where it is to be is known when that has ended. */
static bool is_under_way(const struct evacuator *evacuator, const char *vm)
{
	const struct ledger_entry *entry = conductor_ledger(evacuator->conductor)->newest;

	while (entry &&
	        (migration_ended(&entry->migration) || strcmp(entry->migration.intent.vm, vm)))
		entry = entry->older;
	return entry ||
	       vm_changes_of_vm(vm_changer_changes(conductor_vms(evacuator->conductor)), vm);
}

/* It was asked to, and not because a move went wrong. */
static bool has_given_up_its_vf(const struct evacuator *evacuator, const char *vm)
{
	const struct migration *last = ledger_latest_of(conductor_ledger(evacuator->conductor), vm);

	return vm_changes_has_gone(vm_changer_changes(conductor_vms(evacuator->conductor)), vm,
	        last ? last->intent.asked_wall_us : 0);
}

/* Its host has said what it has, and not the VM, or it is there without anything that could move.
 */
static bool is_gone(const struct evacuator *evacuator, const char *host, const char *vm)
{
	const struct inventory *inventory = conductor_inventory(evacuator->conductor);
	const struct inventory_host *at = NULL;
	const Tether__HostVm *found = inventory_vm(inventory, vm, &at);

	if (found)
		return strcmp(at->name, host) ||
		       (!*found->slot && has_given_up_its_vf(evacuator, vm));
	return inventory_is_connected(inventory, host);
}

static void evacuee_begin(
        struct evacuator *evacuator, const struct evacuation *e, struct evacuee *evacuee)
{
	const struct inventory *inventory = conductor_inventory(evacuator->conductor);
	const struct inventory_host *at = NULL;
	struct admission admission;
	const char *to = NULL;

	if (is_under_way(evacuator, evacuee->vm))
		return;
	if (is_gone(evacuator, e->host, evacuee->vm)) {
		evacuee_set(evacuee, EVACUEE_DONE, "", "");
		return;
	}
	if (!inventory_vm(inventory, evacuee->vm, &at))
		return;
	admission = conductor_destination(evacuator->conductor, e, evacuee, &to);
	if (admission.reason)
		evacuee_put_off(evacuee, &admission);
	else
		migration_begin(evacuator, e, evacuee, to);
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

static void look_at_migrations(const struct evacuator *evacuator, struct evacuation *e)
{
	unsigned sm_turns = e->sm_turns;

	for (size_t i = 0; i < e->count; i++)
		evacuee_look(&e->vms[i], e, conductor_ledger(evacuator->conductor));
	if (e->sm_turns > sm_turns)
		e->pause_until_us = monotonic_us() + (LOOK_AGAIN_MS * 1000ull << e->sm_turns);
}

/* Whoever begins without an SM is refused. */
static bool is_there_an_sm(const struct evacuator *evacuator, const struct evacuation *e)
{
	if (conductor_has_fabric(evacuator->conductor) && !conductor_sm_is_up(evacuator->conductor))
		return false;
	return monotonic_us() >= e->pause_until_us;
}

static void leave_behind(struct evacuation *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->vms[i].state == EVACUEE_WAITING)
			evacuee_set(&e->vms[i], EVACUEE_LEFT, "", "");
}

static void begin_each(struct evacuator *evacuator, struct evacuation *e, bool had_a_turn)
{
	for (size_t i = 0; i < e->count && next_may_begin(evacuator, e); i++) {
		struct evacuee *evacuee = &e->vms[i];

		if (evacuee->state == EVACUEE_WAITING && !evacuee->migration == !had_a_turn &&
		        !is_held(evacuator, evacuee))
			evacuee_begin(evacuator, e, evacuee);
	}
}

/* Who has had a turn keeps nobody waiting who has not. */
static void begin_next(struct evacuator *evacuator, struct evacuation *e)
{
	if (!is_there_an_sm(evacuator, e))
		return;
	begin_each(evacuator, e, false);
	begin_each(evacuator, e, true);
}

static bool has_all_ended(const struct evacuation *e)
{
	return !evacuation_count(e, EVACUEE_WAITING) && !evacuation_count(e, EVACUEE_MOVING);
}

/* It has ended when that is written: a successor that did not know would go on with it. */
static void evacuation_end(struct evacuator *evacuator, struct evacuation *e)
{
	e->ended = true;
	e->ended_beside = evacuator->evacuations->last_id;
	if (write_down(evacuator, e, true)) {
		e->ended = false;
		e->ended_beside = 0;
		return;
	}
	log_info("evacuation", "%" PRIu64 " of %s has ended: %zu of %zu VMs have left", e->id,
	        e->host, evacuation_count(e, EVACUEE_DONE), e->count);
}

static bool take_news(struct evacuation *e)
{
	bool any = false;

	for (size_t i = 0; i < e->count; i++) {
		any |= e->vms[i].news;
		e->vms[i].news = false;
	}
	e->changes += any;
	return any;
}

static void write_news(struct evacuator *evacuator, struct evacuation *e)
{
	if (monotonic_us() < e->write_again_us)
		return;
	if (has_all_ended(e))
		evacuation_end(evacuator, e);
	else
		write_down(evacuator, e, false);
}

static void evacuation_look(struct evacuator *evacuator, struct evacuation *e)
{
	bool is_new;

	look_at_migrations(evacuator, e);
	if (e->aborted)
		leave_behind(e);
	else
		begin_next(evacuator, e);
	is_new = take_news(e);
	write_news(evacuator, e);
	if (is_new || e->ended)
		evacuator->changed(evacuator->owner);
}

static void look_due(evutil_socket_t unused, short what, void *context)
{
	struct evacuator *evacuator = context;
	bool any_open = false;

	for (struct evacuation *e = evacuator->evacuations->newest; e; e = e->older) {
		if (!e->ended)
			evacuation_look(evacuator, e);
		any_open |= !e->ended;
	}
	if (any_open)
		timer_set(evacuator->look, LOOK_AGAIN_MS);
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
	if (write_down(evacuator, e, true)) {
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
	if (write_down(evacuator, e, true)) {
		e->aborted = false;
		return "journal-failed";
	}
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
