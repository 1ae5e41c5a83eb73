/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/conductor_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/migration/orders.h"

enum { RECOVER_AGAIN_S = 1 };

static enum migration_action last_word(const struct migration *m)
{
	switch (m ? m->state : STATE_ABORTED) {
	case STATE_DONE:
	case STATE_FAILED_AT_SOURCE:
		/* Ends with errors what RECONNECT did not connect. */
		return ACTION_RESUME;
	case STATE_LOST:
		return ACTION_ERROR;
	default:
		return ACTION_ABORT;
	}
}

/*
 * Of whatever moves or changes @vm now: a later one would have its next steps refused as old by
 * whom it is told to.
 */
static uint64_t epoch_not_above(const struct conductor *c, const char *vm)
{
	const struct vm_change *change = vm_changes_of_vm(vm_changer_changes(c->vms), vm);

	for (const struct ledger_entry *e = c->ledger->newest; e; e = e->older)
		if (!migration_ended(&e->migration) && !strcmp(e->migration.intent.vm, vm))
			return e->migration.intent.epoch;
	return change ? change->intent.epoch : c->ledger->epoch;
}

void conductor_tell_end(struct conductor *c, const char *host, uint64_t id)
{
	struct migration_intent intent = {.id = id};
	struct ledger_entry *entry = ledger_find(c->ledger, id);
	struct migration unknown = {0};
	struct migration *m = entry ? &entry->migration : &unknown;
	struct order order;

	/* Under way, or waiting to be recovered: its next step will say. */
	if (entry && !migration_ended(m))
		return;
	migration_init(&unknown, &intent, c->deadlines);
	unknown.state = STATE_ABORTED;
	order_fill_step(&order, m, last_word(m), monotonic_us());
	order.event.epoch = epoch_not_above(c, m->intent.vm);
	order.event.deadline_ms = c->deadlines->resume_ms;
	order.event.n_expected = 0;
	log_info("migration", "%" PRIu64 "/%" PRIu64 " ended %s; %s, which has it open, is told",
	        id, order.event.epoch, entry ? migration_state_name(m->state) : "unknown here",
	        host);
	root_tell(c->root, host, &order.event);
}

/* ---- after a restart ---- */

/* Steps of the journal are in microseconds since 1970; from here on the monotonic clock counts. */
static void timeline_shift(struct migration *m)
{
	uint64_t shift = monotonic_us() - (uint64_t)conductor_wall_us();

	for (size_t i = 0; i < m->step_count; i++) {
		m->steps[i].started_us += shift;
		if (m->steps[i].ended_us)
			m->steps[i].ended_us += shift;
	}
}

static unsigned overall_left_ms(const struct conductor *c, const struct ledger_entry *entry)
{
	int64_t left = (entry->overall_wall_us - conductor_wall_us()) / 1000;

	if (left <= 0)
		return 0;
	return left > (int64_t)c->deadlines->overall_ms ? c->deadlines->overall_ms : (unsigned)left;
}

/* Nobody may be asked under an epoch that a successor would not know. */
static void recover_later(struct conductor *c, const struct migration *m)
{
	struct timeval pause = {RECOVER_AGAIN_S, 0};

	log_error("journal",
	        "migration %" PRIu64 "/%" PRIu64
	        " of %s was under way (%s) and cannot be gone on with before "
	        "the journal takes a record; is its disk full? It is tried again each %d s, and no "
	        "other migration begins",
	        m->intent.id, m->intent.epoch, m->intent.vm, migration_state_name(m->state),
	        RECOVER_AGAIN_S);
	evtimer_add(c->next, &pause);
}

/* An end that is owed is written as soon as there is room; the next intent waits for it. */
static void pay_ends(struct conductor *c)
{
	struct timeval pause = {RECOVER_AGAIN_S, 0};

	if (conductor_places_write(c) || conductor_record_ends(c))
		evtimer_add(c->next, &pause);
}

static bool is_driven(const struct conductor *c, const struct ledger_entry *entry)
{
	EACH_DRIVE(c, d)
	if (d->entry == entry)
		return true;
	return false;
}

/* The oldest that has not ended and is not driven. */
static struct ledger_entry *oldest_left(const struct conductor *c)
{
	struct ledger_entry *oldest = NULL;

	for (struct ledger_entry *e = c->ledger->newest; e; e = e->older)
		if (!migration_ended(&e->migration) && !is_driven(c, e))
			oldest = e;
	return oldest;
}

const struct migration *conductor_left_over(const struct conductor *c)
{
	const struct ledger_entry *left = oldest_left(c);

	return left ? &left->migration : NULL;
}

static void recover(struct drive *d, struct ledger_entry *entry)
{
	struct conductor *c = d->conductor;
	struct migration *m = &entry->migration;

	d->entry = entry;
	d->sm_carried = d->apply_asked = true;
	d->findings_logged = 0;
	m->intent.epoch = c->ledger->epoch;
	timeline_shift(m);
	log_warn("migration", "%" PRIu64 "/%" PRIu64 " of %s was under way (%s): recovering",
	        m->intent.id, m->intent.epoch, m->intent.vm, migration_state_name(m->state));
	drive_perform(d, migration_recover(m, m->state, m->given_up, overall_left_ms(c, entry),
	                         monotonic_us()));
}

/* Nobody connects to a VM that is in the middle of its move, also while it waits to be driven. */
static void hold_all(struct conductor *c)
{
	for (struct ledger_entry *e = c->ledger->newest; e; e = e->older) {
		struct migration *m = &e->migration;

		if (migration_ended(m) || is_driven(c, e))
			continue;
		for (unsigned i = 0; i < migration_vf_count(&m->intent); i++)
			root_hold(c->root, m->intent.id, m->intent.vm, &m->intent.vfs[i].address,
			        m->intent.shared_port, c->deadlines->overall_ms);
		for (size_t i = 0; i < m->gid_count; i++) {
			struct address address = migration_gid_address(m, i);

			root_hold(c->root, m->intent.id, m->intent.vm, &address, false,
			        c->deadlines->overall_ms);
		}
	}
}

void conductor_recover_next(struct conductor *c)
{
	struct timeval pause = {RECOVER_AGAIN_S, 0};
	struct ledger_entry *left;
	struct drive *d;

	pay_ends(c);
	/* Before a later migration of that VM goes on. */
	news_say_left(c);
	hold_all(c);
	while ((left = oldest_left(c)) && (d = conductor_free_drive(c))) {
		if (conductor_record_epoch(c, c->ledger->epoch + 1)) {
			recover_later(c, &left->migration);
			return;
		}
		recover(d, left);
	}
	if (vm_changer_recover(c->vms))
		evtimer_add(c->next, &pause);
	for (const struct inventory_host *h = root_inventory(c->root)->hosts; h; h = h->next)
		conductor_mend_guids(c, h->name);
}

static void numbers_restore_older(struct conductor *c, struct ledger_entry *entry)
{
	/* The oldest first, so that the latest counts. */
	if (!entry)
		return;
	numbers_restore_older(c, entry->older);
	if (migration_ended(&entry->migration) &&
	        !vm_changes_has_gone(vm_changer_changes(c->vms), entry->migration.intent.vm,
	                entry->migration.intent.asked_wall_us))
		conductor_rows_let_go(c, &entry->migration);
}

void conductor_numbers_restore(struct conductor *c)
{
	numbers_restore_older(c, c->ledger->newest);
}
