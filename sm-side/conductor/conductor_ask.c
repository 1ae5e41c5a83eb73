/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/migration/needs.h"
#include "sm-side/migration/orders.h"
#include "sm-side/migration/sm_talk.h"
#include "sm-side/migration/whereabouts.h"

static void answered(struct drive *d, unsigned party, bool done)
{
	drive_perform(d, migration_answered(drive_migration(d), party, done, monotonic_us()));
}

/* ---- asking ---- */

static void tree_ask(struct drive *d, enum migration_action action)
{
	struct migration *m = drive_migration(d);
	struct order order;
	int err = order_fill_step(&order, m, action, monotonic_us());

	d->tree_sequence = m->sequence;
	if (m->committed && (action == ACTION_RECONNECT || action == ACTION_RESUME))
		conductor_numbers_set(d->conductor, m);
	if (!err)
		err = root_send(d->conductor->root, &order.event);
	if (err) {
		conductor_find(m, "no-memory", "an event could not be sent");
		answered(d, PARTY_TREE, false);
	}
}

static void look_at_hosts(struct drive *d)
{
	struct migration *m = drive_migration(d);

	m->fact = whereabouts_fact(root_inventory(d->conductor->root), m, d->sm_carried);
	if (!whereabouts_are_known(root_inventory(d->conductor->root), m))
		return;
	m->may_be_there = whereabouts_may_be_there(root_inventory(d->conductor->root), m);
	answered(d, PARTY_HOST, true);
}

static void host_ask(struct drive *d, enum migration_action action)
{
	struct migration *m = drive_migration(d);
	struct order order;
	int err;

	d->host_sequence = 0;
	if (action == ACTION_LOOK) {
		look_at_hosts(d);
		return;
	}
	if (m->awaited_report) {
		log_info("migration", "%" PRIu64 "/%" PRIu64 " waits for the report \"%s\"",
		        m->intent.id, m->intent.epoch, migration_report_name(m->awaited_report));
		return;
	}
	err = order_fill_host(&order, m, action,
	        admission_attributes(root_inventory(d->conductor->root), &m->intent, m->host_vf),
	        monotonic_us());
	if (!err && !inventory_is_connected(root_inventory(d->conductor->root), order.host.host)) {
		log_info("migration", "%" PRIu64 "/%" PRIu64 " waits for the agent of %s",
		        m->intent.id, m->intent.epoch, order.host.host);
		d->held_action = action;
		d->host = order.host.host;
		return;
	}
	if (!err) {
		d->host_sequence = m->sequence;
		d->host = order.host.host;
		err = root_send(d->conductor->root, &order.event);
	}
	if (err) {
		conductor_find(m, "no-memory", "an order could not be sent");
		answered(d, PARTY_HOST, false);
	}
}

/* A new SM may have swept, and seen the GUIDs exchanged. */
static void sm_is_another(struct drive *d)
{
	d->lease_is_lost = false;
	if (drive_migration(d)->state != STATE_LEASING)
		d->apply_asked = true;
	drive_feed(d, EVENT_SM_BACK);
}

/* These would be refused by an SM that has not given the lease. */
static bool needs_another_lease(const struct drive *d, enum migration_state state)
{
	return d->lease_is_lost && sm_link_is_up(d->sm) &&
	       !drive_migration((struct drive *)d)->intent.shared_port &&
	       (state == STATE_APPLYING || state == STATE_REPLANNING ||
	               state == STATE_BACK_UNDOING);
}

static void sm_ask(struct drive *d, enum migration_action action)
{
	struct migration *m = drive_migration(d);
	struct json_object *request;
	int err;

	d->sm_id = 0;
	if (action == ACTION_LOOK && !whereabouts_need_sm(m)) {
		answered(d, PARTY_SM, true);
		return;
	}
	if (needs_another_lease(d, m->state)) {
		sm_is_another(d);
		return;
	}
	if (m->state == STATE_LOCATING && !conductor_places_are_known(d))
		return;
	if (action == ACTION_LEASE)
		d->lease_is_lost = false;
	if (sm_is_queued_for(d))
		sm_queue_join(d);
	d->sm_action = action;
	request = sm_talk_request(m, action);
	err = request ? sm_link_ask(d->sm, request, &d->sm_id) : -ENOMEM;
	d->apply_asked |= action == ACTION_APPLY && !err;
	/* One that is away and was asked for nothing finds the GUIDs where they were. */
	if (err && action == ACTION_UNDO && !d->apply_asked)
		answered(d, PARTY_SM, true);
	else if (err)
		drive_feed(d, EVENT_SM_LOST);
}

void drive_places_known(struct drive *d)
{
	struct migration *m = drive_migration(d);

	if (m->state == STATE_LOCATING && d->places_asked && !d->sm_id && m->awaited & PARTY_SM)
		sm_ask(d, ACTION_LOCATE);
}

/* It is asked for some things only when there is no way back. */
static void sm_version_look(struct drive *d)
{
	struct migration *m = drive_migration(d);
	uint32_t needs = needs_of(&m->intent), speaks = d->sm ? sm_link_version(d->sm) : needs;
	char text[160];

	if (speaks >= needs)
		return;
	snprintf(text, sizeof(text),
	        "libosmtether.so speaks version %" PRIu32
	        " of the protocol, and this migration needs %" PRIu32
	        ": start OpenSM again with a newer one",
	        speaks, needs);
	testimony_find(&m->testimony, "sm", "older-protocol", text);
	m->failed = true;
}

/* An answer that is there at once may have led to another state already. */
void drive_ask(struct drive *d, enum migration_action action, unsigned parties)
{
	struct migration *m = drive_migration(d);
	enum migration_state state = m->state;
	bool first = parties & PARTY_TREE;

	parties &= m->awaited;
	if (action == ACTION_PREPARE && first && !turn_take(d))
		return;
	die_point(DIE_SMD_ASK, migration_state_name(state));
	if (action == ACTION_PREPARE && first) {
		sm_version_look(d);
		if (!drive_gids_find(d))
			return;
	}
	if (parties & PARTY_TREE)
		tree_ask(d, action);
	if (parties & PARTY_HOST && m->state == state)
		host_ask(d, action);
	if (parties & PARTY_SM && m->state == state)
		sm_ask(d, action);
	if (m->state == state)
		die_point(DIE_SMD_ASKED, migration_state_name(state));
}

void drive_tell_error(struct drive *d)
{
	struct migration *m = drive_migration(d);
	struct order order;

	log_warn("migration", "%" PRIu64 "/%" PRIu64 " given up: QPs of %s end with errors",
	        m->intent.id, m->intent.epoch, m->intent.vm);
	if (!order_fill_step(&order, m, ACTION_ERROR, monotonic_us()))
		root_send(d->conductor->root, &order.event);
}

/* ---- what comes back ---- */

static void host_answered(struct drive *d, const Tether__Answer *answer)
{
	struct migration *m = drive_migration(d);
	bool done = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;

	conductor_result_take(d->conductor, d->host, answer->result);
	if (m->state == STATE_LOOKING || m->state == STATE_LOOKING_THERE)
		m->fact = whereabouts_fact(root_inventory(d->conductor->root), m, true);
	if (answer->result && answer->result->copy_ms)
		m->counts.copy_ms += answer->result->copy_ms;
	for (size_t i = 0; i < answer->n_refusals; i++)
		testimony_find(&m->testimony, answer->refusals[i]->who, answer->refusals[i]->reason,
		        answer->refusals[i]->text);
	if (!done && !answer->n_refusals)
		testimony_find(&m->testimony, d->host, "order-not-done",
		        migration_state_meaning(m->state));
	d->host_sequence = 0;
	answered(d, PARTY_HOST, done);
}

/* Whoever is needed after the commit has to be there when it is made. */
static bool is_anybody_away(const struct conductor *c, const struct migration *m)
{
	const struct inventory *inventory = root_inventory(c->root);

	return !inventory_is_connected(inventory, m->intent.source.host) ||
	       !inventory_is_connected(inventory, m->intent.destination.host);
}

static struct drive *drive_of(struct conductor *c, const Tether__Answer *answer)
{
	EACH_AT_WORK(c, d)
	if (drive_migration(d)->intent.id == answer->migration &&
	        drive_migration(d)->intent.epoch == answer->epoch)
		return d;
	return NULL;
}

static void step_answered(struct drive *d, const Tether__Answer *answer)
{
	struct migration *m = drive_migration(d);

	d->tree_sequence = 0;
	m->failed |= turn_is_shared(d, answer);
	if (m->state == STATE_SETTLING && is_anybody_away(d->conductor, m))
		drive_feed(d, EVENT_AGENT_LOST);
	else
		drive_perform(d, migration_tree_answered(m, answer, monotonic_us()));
}

static void tree_answered(void *owner, const Tether__Answer *answer)
{
	struct conductor *c = owner;
	struct drive *d;

	if (news_answered(c, answer) || conductor_mended_guids(c, answer) ||
	        vm_changer_answered(c->vms, answer))
		return;
	d = drive_of(c, answer);
	if (d && d->host_sequence && answer->sequence == d->host_sequence)
		host_answered(d, answer);
	else if (d && d->tree_sequence && answer->sequence == d->tree_sequence)
		step_answered(d, answer);
}

static const Tether__Refusal *device_lost(const Tether__Answer *answer)
{
	for (size_t i = 0; i < answer->n_refusals; i++)
		if (!strcmp(answer->refusals[i]->reason, "device-lost"))
			return answer->refusals[i];
	return NULL;
}

/*
 * Whose VM's device has gone has nothing to move. So the others, who may still wait for what nobody
 * answers, are not waited for: nobody has voted. Behind STOP everybody's word is needed all the
 * same.
 */
static void agent_answered(void *owner, const Tether__Answer *answer)
{
	struct drive *d = drive_of(owner, answer);
	struct migration *m = d ? drive_migration(d) : NULL;
	const Tether__Refusal *lost = device_lost(answer);

	if (!m || !lost || m->state != STATE_STOPPING || answer->sequence != d->tree_sequence)
		return;
	testimony_find(&m->testimony, lost->who, lost->reason, lost->text);
	d->tree_sequence = 0;
	drive_feed(d, EVENT_FAILED);
}

static bool is_plan(enum migration_action action)
{
	return action == ACTION_PREPARE || action == ACTION_PLAN;
}

/* After the commit the road is gone on all the same. */
static bool plan_is_kept(struct drive *d, struct json_object *answer)
{
	if (!drive_record_plan(d, answer) || drive_migration(d)->committed)
		return true;
	conductor_find(drive_migration(d), "journal-failed", "the plan could not be written");
	drive_feed(d, EVENT_JOURNAL_FAILED);
	return false;
}

static void sm_answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct drive *d = owner;
	struct migration *m = drive_migration(d);
	enum migration_event event;

	if (!m || !d->sm_id || id != d->sm_id)
		return;
	d->sm_id = 0;
	event = sm_talk_take(m, d->sm_action, answer, &d->sm_carried);
	if (is_plan(d->sm_action) && event == EVENT_DONE && !plan_is_kept(d, answer))
		return;
	m->fact = whereabouts_fact(root_inventory(d->conductor->root), m, d->sm_carried);
	if (event == EVENT_DONE || event == EVENT_FAILED)
		answered(d, PARTY_SM, event == EVENT_DONE);
	else if (event == EVENT_ALREADY)
		drive_perform(d, migration_is_there(m, monotonic_us()));
	else
		drive_feed(d, event);
}

static void sm_down(void *owner, const char *why)
{
	struct drive *d = owner;

	d->sm_id = 0;
	d->lease_is_lost = true;
	if (drive_migration(d) && drive_migration(d)->awaited & PARTY_SM)
		drive_feed(d, EVENT_SM_LOST);
}

static void sm_up(void *owner)
{
	struct drive *d = owner;
	struct migration *m = drive_migration(d);

	if (!m || !(m->awaited & PARTY_SM))
		return;
	if (m->state == STATE_RECOVERING)
		sm_ask(d, ACTION_LOOK);
	else
		sm_is_another(d);
}

/* ---- hosts ---- */

static void drive_host_up(struct drive *d, const char *host)
{
	struct migration *m = drive_migration(d);
	enum migration_action held = d->held_action;

	if (m->state == STATE_RECOVERING && m->awaited & PARTY_HOST) {
		look_at_hosts(d);
	} else if (held && !strcmp(host, d->host)) {
		d->held_action = ACTION_NOTHING;
		host_ask(d, held);
	}
}

static void host_up(void *owner, const char *host, const uint64_t *open, size_t count)
{
	struct conductor *c = owner;

	for (size_t i = 0; i < count; i++)
		conductor_tell_end(c, host, open[i]);
	EACH_AT_WORK(c, d)
	drive_host_up(d, host);
	vm_changer_host_up(c->vms, host);
	conductor_look(c);
	conductor_mend_guids_again(c, host);
}

const struct root_callbacks conductor_root_callbacks = {
        .answer = tree_answered,
        .agent_answer = agent_answered,
        .host_up = host_up,
        .places_changed = conductor_places_changed,
};

const struct sm_link_callbacks drive_sm_callbacks = {
        .up = sm_up,
        .down = sm_down,
        .answer = sm_answered,
};
