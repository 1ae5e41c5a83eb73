/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor_state.h"

#include <inttypes.h>

#include "notifier/base/log.h"
#include "sm-side/orders.h"

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

void conductor_tell_end(struct conductor *c, const char *host, uint64_t id)
{
	struct migration_intent intent = {.id = id};
	struct ledger_entry *entry = ledger_find(c->ledger, id);
	struct migration unknown = {0};
	struct migration *m = entry ? &entry->migration : &unknown;
	struct order order;

	migration_init(&unknown, &intent, c->deadlines);
	unknown.state = STATE_ABORTED;
	order_fill_step(&order, m, last_word(m), conductor_now_us());
	order.event.epoch = c->ledger->epoch;
	order.event.deadline_ms = c->deadlines->resume_ms;
	order.event.n_expected = 0;
	log_info("migration", "%" PRIu64 " ended %s; %s, which has it open, is told", id,
	        entry ? migration_state_name(m->state) : "unknown here", host);
	root_tell(c->root, host, &order.event);
}

/* ---- after a restart ---- */

/* Steps of the journal are in microseconds since 1970; from here on the monotonic clock counts. */
static void timeline_shift(struct migration *m)
{
	uint64_t shift = conductor_now_us() - (uint64_t)conductor_wall_us();

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

static void recover(struct conductor *c, struct ledger_entry *entry)
{
	struct migration *m = &entry->migration;

	if (conductor_record_epoch(c, c->ledger->epoch + 1))
		return;
	c->active = entry;
	c->sm_carried = c->apply_asked = true;
	m->intent.epoch = c->ledger->epoch;
	timeline_shift(m);
	log_warn("migration", "%" PRIu64 "/%" PRIu64 " of %s was under way (%s): recovering",
	        m->intent.id, m->intent.epoch, m->intent.vm, migration_state_name(m->state));
	root_hold(
	        c->root, m->intent.id, m->intent.vm, &m->intent.address, c->deadlines->overall_ms);
	conductor_perform(c, migration_recover(m, m->state, m->given_up, overall_left_ms(c, entry),
	                             conductor_now_us()));
}

void conductor_recover_next(struct conductor *c)
{
	struct ledger_entry *open = c->active ? NULL : ledger_oldest_open(c->ledger);

	if (open)
		recover(c, open);
}

static void numbers_restore_older(struct conductor *c, struct ledger_entry *entry)
{
	/* The oldest first, so that the latest counts. */
	if (!entry)
		return;
	numbers_restore_older(c, entry->older);
	if (migration_ended(&entry->migration))
		conductor_rows_let_go(c, &entry->migration);
}

void conductor_numbers_restore(struct conductor *c)
{
	numbers_restore_older(c, c->ledger->newest);
}
