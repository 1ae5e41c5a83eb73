/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "notifier/wire/rows.h"

/* A driver is a process: it is not started again at once. */
enum { RETRY_MS = 20, RETRY_HOST_MS = 200 };

int64_t conductor_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

struct migration *conductor_current(const struct conductor *c)
{
	return c->active ? &c->active->migration : NULL;
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

const char *conductor_feed(struct conductor *c, enum migration_event event)
{
	struct migration *m = conductor_current(c);
	enum migration_state before = m->state;
	struct migration_output output = migration_event(m, event, monotonic_us());

	if (output.refused)
		return output.refused;
	note_turn(m, before, event);
	conductor_perform(c, output);
	return NULL;
}

/* ---- performing ---- */

static void timer_arm(struct conductor *c)
{
	struct migration *m = conductor_current(c);
	uint64_t due = m ? migration_next_us(m) : 0, now = monotonic_us();
	uint64_t left = due > now ? due - now : 0;
	struct timeval pause = {(time_t)(left / US_PER_S), (suseconds_t)(left % US_PER_S)};

	if (!due)
		evtimer_del(c->timer);
	else
		evtimer_add(c->timer, &pause);
}

static void forget_asked(struct conductor *c)
{
	c->tree_sequence = c->host_sequence = 0;
	c->sm_id = 0;
	c->held_action = ACTION_NOTHING;
	evtimer_del(c->retry);
}

static void log_state(const struct migration *m)
{
	log_info("migration", "%" PRIu64 "/%" PRIu64 " %s from %s to %s: %s (%s)", m->intent.id,
	        m->intent.epoch, m->intent.vm, m->intent.source.host, m->intent.destination.host,
	        migration_state_name(m->state), migration_state_meaning(m->state));
}

static void log_findings(const struct migration *m)
{
	for (size_t i = 0; i < m->testimony.finding_count; i++) {
		const struct finding *f = &m->testimony.findings[i];

		log_warn("migration", "%" PRIu64 "/%" PRIu64 " %s: %s: %s", m->intent.id,
		        m->intent.epoch, f->who, f->reason, f->text);
	}
}

/* The end that leaves something to do says what. */
static void find_vm_without_vf(const struct conductor *c, struct migration *m)
{
	const struct inventory_host *host = NULL;
	const Tether__HostVm *vm = inventory_vm(root_inventory(c->root), m->intent.vm, &host);
	char text[3 * MIGRATION_NAME_BYTES + 128];

	if (m->state != STATE_LOST || (vm && *vm->slot))
		return;
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

/* Where the VM is lost some of its contexts may have been rebuilt, and have said so; numbers of an
 * earlier place are nobody's in any case. */
void conductor_rows_let_go(struct conductor *c, struct migration *m)
{
	static const Tether__QpRows no_qps = TETHER__QP_ROWS__INIT;
	static const Tether__KeyRows no_keys = TETHER__KEY_ROWS__INIT;

	if (m->testimony.rebuilt || m->state == STATE_DONE || m->state == STATE_FAILED_AT_SOURCE)
		root_numbers_set(
		        c->root, &m->intent.address, &m->testimony.qps, &m->testimony.keys);
	else if (m->state == STATE_LOST && was_committed(m))
		root_numbers_set(c->root, &m->intent.address, &no_qps, &no_keys);
	rows_clear(&m->testimony.evidence.base);
	rows_clear(&m->testimony.qps.base);
	rows_clear(&m->testimony.keys.base);
}

static void finish(struct conductor *c)
{
	struct timeval now = {0};

	log_findings(conductor_current(c));
	conductor_rows_let_go(c, conductor_current(c));
	/* Its last step has done so, if there was one. */
	root_let_go(c->root, conductor_current(c)->intent.id);
	c->active = NULL;
	if (!c->closing)
		evtimer_add(c->next, &now);
}

/* The record first: what is announced must be known to a successor. */
static bool record_entered(struct conductor *c, struct migration_output *output)
{
	struct migration_output turned;

	if (!conductor_record_state(c, output->durable))
		return true;
	turned = migration_event(conductor_current(c), EVENT_JOURNAL_FAILED, monotonic_us());
	if (!turned.entered)
		return true;
	conductor_find(conductor_current(c), "journal-failed", "a record could not be written");
	*output = turned;
	return false;
}

void conductor_perform(struct conductor *c, struct migration_output output)
{
	bool of_host = migration_action_parties(output.action) & PARTY_HOST;
	struct timeval retry = {0, (of_host ? RETRY_HOST_MS : RETRY_MS) * 1000};

	while (output.entered) {
		c->active->changes++;
		if (output.action != ACTION_NOTHING)
			forget_asked(c);
		log_state(conductor_current(c));
		find_vm_without_vf(c, conductor_current(c));
		if (record_entered(c, &output))
			break;
	}
	if (output.give_up)
		conductor_tell_error(c);
	if (output.retry)
		evtimer_add(c->retry, &retry);
	else if (output.action == ACTION_FINISH)
		finish(c);
	else if (output.action != ACTION_NOTHING)
		conductor_ask(c, output.action);
	timer_arm(c);
	if (output.entered)
		c->changed(c->owner);
}

static void timer_due(evutil_socket_t unused, short what, void *context)
{
	struct conductor *c = context;
	struct migration *m = conductor_current(c);
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
	conductor_perform(c, output);
}

static void retry_due(evutil_socket_t unused, short what, void *context)
{
	struct conductor *c = context;

	if (conductor_current(c))
		conductor_ask(c, migration_state_action(conductor_current(c)->state));
}

/* ---- beginning ---- */

static struct admission admit(struct conductor *c, const struct migration *open, const char *vm,
        const char *to, struct migration_intent *intent)
{
	const struct inventory *inventory = root_inventory(c->root);

	if (admission_is_reattach(inventory, vm, to))
		return admission_reattach(
		        inventory, open, ledger_latest_of(c->ledger, vm), vm, to, intent);
	return admission_check(inventory, open, vm, to, intent);
}

struct admission conductor_migrate(
        struct conductor *c, const char *vm, const char *to, bool force, uint64_t *id)
{
	struct ledger_entry *open = ledger_oldest_open(c->ledger);
	struct migration_intent intent = {.id = c->ledger->last_id + 1,
	        .epoch = c->ledger->epoch + 1,
	        .fabric = c->sm != NULL,
	        .force = force,
	        .asked_wall_us = conductor_wall_us()};
	struct admission admission = admit(c, open ? &open->migration : NULL, vm, to, &intent);

	if (c->closing) {
		admission.reason = "shutting-down";
		snprintf(admission.text, sizeof(admission.text),
		        "tether-smd has been told to end; ask again when it has been started "
		        "again");
	}
	if (admission.reason)
		return admission;
	if (conductor_record_intent(c, &intent)) {
		admission.reason = "journal-failed";
		snprintf(admission.text, sizeof(admission.text),
		        "the intent could not be written to the journal; is its disk full?");
		return admission;
	}
	c->active = ledger_add(c->ledger, &intent);
	if (!c->active) {
		admission.reason = "no-memory";
		return admission;
	}
	c->apply_asked = false;
	*id = intent.id;
	conductor_perform(c, migration_start(conductor_current(c), monotonic_us()));
	return admission;
}

const char *conductor_abort(struct conductor *c, uint64_t id)
{
	struct ledger_entry *entry = ledger_find(c->ledger, id);

	if (!entry)
		return "unknown-migration";
	if (entry != c->active)
		return migration_ended(&entry->migration) ? "ended" : "recovering";
	return conductor_feed(c, EVENT_ABORT_ASKED);
}

/* One has ended, or nothing has begun: is there another that was under way? */
static void next_due(evutil_socket_t unused, short what, void *context)
{
	conductor_recover_next(context);
}

static int parts_make(struct conductor *c, const struct conductor_settings *settings)
{
	int err = conductor_record_epoch(c, c->ledger->epoch + 1);

	if (err)
		return err;
	c->timer = evtimer_new(c->base, timer_due, c);
	c->retry = evtimer_new(c->base, retry_due, c);
	c->next = evtimer_new(c->base, next_due, c);
	if (!c->timer || !c->retry || !c->next)
		return -ENOMEM;
	c->root = root_create(c->base, settings->listen, c->deadlines, c->ledger->epoch,
	        &conductor_root_callbacks, c);
	if (!c->root)
		return -errno;
	if (!settings->sm_socket)
		return 0;
	c->sm = sm_link_create(c->base, settings->sm_socket, c->deadlines->reconnect_link_ms,
	        &conductor_sm_callbacks, c);
	return c->sm ? 0 : -errno;
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
	c->ledger = ledger;
	c->journal = journal;
	c->changed = changed;
	c->owner = owner;
	err = parts_make(c, settings);
	if (err) {
		conductor_destroy(c);
		errno = -err;
		return NULL;
	}
	conductor_numbers_restore(c);
	evtimer_add(c->next, &now);
	return c;
}

void conductor_close(struct conductor *c)
{
	struct migration *m = conductor_current(c);

	c->closing = true;
	if (m && !conductor_feed(c, EVENT_ABORT_ASKED) && !m->committed)
		conductor_find(m, "shutting-down", "tether-smd was told to end");
}

bool conductor_is_at_work(const struct conductor *c)
{
	return c->active && c->active->migration.state != STATE_RECOVERING;
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
	sm_link_destroy(c->sm);
	root_destroy(c->root);
	event_free_any(c->timer);
	event_free_any(c->retry);
	event_free_any(c->next);
	free(c);
}

const struct inventory *conductor_inventory(const struct conductor *c)
{
	return root_inventory(c->root);
}

bool conductor_has_fabric(const struct conductor *c)
{
	return c->sm != NULL;
}

bool conductor_sm_is_up(const struct conductor *c)
{
	return c->sm && sm_link_is_up(c->sm);
}

const struct ledger *conductor_ledger(const struct conductor *c)
{
	return c->ledger;
}
