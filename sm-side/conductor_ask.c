/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/conductor_state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "notifier/base/die_point.h"
#include "notifier/base/log.h"
#include "notifier/base/monotonic.h"
#include "sm-side/orders.h"
#include "sm-side/sm_talk.h"
#include "sm-side/whereabouts.h"

static void answered(struct conductor *c, unsigned party, bool done)
{
	conductor_perform(c, migration_answered(conductor_current(c), party, done, monotonic_us()));
}

/* ---- asking ---- */

static void tree_ask(struct conductor *c, enum migration_action action)
{
	struct migration *m = conductor_current(c);
	struct order order;
	int err = order_fill_step(&order, m, action, monotonic_us());

	c->tree_sequence = m->sequence;
	if (m->committed && (action == ACTION_RECONNECT || action == ACTION_RESUME))
		root_numbers_set(
		        c->root, &m->intent.address, &m->testimony.qps, &m->testimony.keys);
	if (!err)
		err = root_send(c->root, &order.event);
	if (err) {
		conductor_find(m, "no-memory", "an event could not be sent");
		answered(c, PARTY_TREE, false);
	}
}

static void look_at_hosts(struct conductor *c)
{
	struct migration *m = conductor_current(c);

	m->fact = whereabouts_fact(root_inventory(c->root), m, c->sm_carried);
	if (whereabouts_are_known(root_inventory(c->root), m))
		answered(c, PARTY_HOST, true);
}

static void host_ask(struct conductor *c, enum migration_action action)
{
	struct migration *m = conductor_current(c);
	struct order order;
	int err;

	c->host_sequence = 0;
	if (action == ACTION_LOOK) {
		look_at_hosts(c);
		return;
	}
	err = order_fill_host(&order, m, action,
	        admission_attributes(root_inventory(c->root), &m->intent), monotonic_us());
	if (!err && !inventory_is_connected(root_inventory(c->root), order.host.host)) {
		log_info("migration", "%" PRIu64 "/%" PRIu64 " waits for the agent of %s",
		        m->intent.id, m->intent.epoch, order.host.host);
		c->held_action = action;
		c->host = order.host.host;
		return;
	}
	if (!err) {
		c->host_sequence = m->sequence;
		c->host = order.host.host;
		err = root_send(c->root, &order.event);
	}
	if (err) {
		conductor_find(m, "no-memory", "an order could not be sent");
		answered(c, PARTY_HOST, false);
	}
}

/* A new SM may have swept, and seen the GUIDs exchanged. */
static void sm_is_another(struct conductor *c)
{
	c->lease_is_lost = false;
	if (conductor_current(c)->state != STATE_LEASING)
		c->apply_asked = true;
	conductor_feed(c, EVENT_SM_BACK);
}

/* These would be refused by an SM that has not given the lease. */
static bool needs_another_lease(const struct conductor *c, enum migration_state state)
{
	return c->lease_is_lost && sm_link_is_up(c->sm) &&
	       (state == STATE_APPLYING || state == STATE_REPLANNING ||
	               state == STATE_BACK_UNDOING);
}

static void sm_ask(struct conductor *c, enum migration_action action)
{
	struct migration *m = conductor_current(c);
	struct json_object *request;
	int err;

	c->sm_id = 0;
	if (action == ACTION_LOOK && !whereabouts_need_sm(m)) {
		answered(c, PARTY_SM, true);
		return;
	}
	if (needs_another_lease(c, m->state)) {
		sm_is_another(c);
		return;
	}
	if (action == ACTION_LEASE)
		c->lease_is_lost = false;
	c->sm_action = action;
	request = sm_talk_request(m, action);
	err = request ? sm_link_ask(c->sm, request, &c->sm_id) : -ENOMEM;
	c->apply_asked |= action == ACTION_APPLY && !err;
	/* One that is away and was asked for nothing finds the GUIDs where they were. */
	if (err && action == ACTION_UNDO && !c->apply_asked)
		answered(c, PARTY_SM, true);
	else if (err)
		conductor_feed(c, EVENT_SM_LOST);
}

/* An answer that is there at once may have led to another state already. */
void conductor_ask(struct conductor *c, enum migration_action action)
{
	struct migration *m = conductor_current(c);
	unsigned parties = m->awaited;
	enum migration_state state = m->state;

	die_point(DIE_SMD_ASK, migration_state_name(state));
	if (parties & PARTY_TREE)
		tree_ask(c, action);
	if (parties & PARTY_HOST && m->state == state)
		host_ask(c, action);
	if (parties & PARTY_SM && m->state == state)
		sm_ask(c, action);
	if (m->state == state)
		die_point(DIE_SMD_ASKED, migration_state_name(state));
}

void conductor_tell_error(struct conductor *c)
{
	struct migration *m = conductor_current(c);
	struct order order;

	log_warn("migration", "%" PRIu64 "/%" PRIu64 " given up: QPs of %s end with errors",
	        m->intent.id, m->intent.epoch, m->intent.vm);
	if (!order_fill_step(&order, m, ACTION_ERROR, monotonic_us()))
		root_send(c->root, &order.event);
}

/* ---- what comes back ---- */

static void host_answered(struct conductor *c, const Tether__Answer *answer)
{
	struct migration *m = conductor_current(c);
	bool done = answer->outcome == TETHER__OUTCOME__OUTCOME_DONE;

	root_result_take(c->root, c->host, answer->result);
	if (m->state == STATE_LOOKING || m->state == STATE_LOOKING_THERE)
		m->fact = whereabouts_fact(root_inventory(c->root), m, true);
	if (answer->result && answer->result->copy_ms)
		m->counts.copy_ms += answer->result->copy_ms;
	for (size_t i = 0; i < answer->n_refusals; i++)
		testimony_find(&m->testimony, answer->refusals[i]->who, answer->refusals[i]->reason,
		        answer->refusals[i]->text);
	if (!done && !answer->n_refusals)
		testimony_find(&m->testimony, c->host, "order-not-done",
		        migration_state_meaning(m->state));
	c->host_sequence = 0;
	answered(c, PARTY_HOST, done);
}

/* Whoever is needed after the commit has to be there when it is made. */
static bool is_anybody_away(const struct conductor *c, const struct migration *m)
{
	const struct inventory *inventory = root_inventory(c->root);

	return !inventory_is_connected(inventory, m->intent.source.host) ||
	       !inventory_is_connected(inventory, m->intent.destination.host);
}

static void tree_answered(void *owner, const Tether__Answer *answer)
{
	struct conductor *c = owner;
	struct migration *m = conductor_current(c);

	if (conductor_mended_guids(c, answer) || !m || answer->migration != m->intent.id ||
	        answer->epoch != m->intent.epoch)
		return;
	if (c->host_sequence && answer->sequence == c->host_sequence) {
		host_answered(c, answer);
	} else if (c->tree_sequence && answer->sequence == c->tree_sequence) {
		c->tree_sequence = 0;
		if (m->state == STATE_SETTLING && is_anybody_away(c, m))
			conductor_feed(c, EVENT_AGENT_LOST);
		else
			conductor_perform(c, migration_tree_answered(m, answer, monotonic_us()));
	}
}

static bool is_plan(enum migration_action action)
{
	return action == ACTION_PREPARE || action == ACTION_PLAN;
}

/* After the commit the road is gone on all the same. */
static bool plan_is_kept(struct conductor *c, struct json_object *answer)
{
	if (!conductor_record_plan(c, answer) || conductor_current(c)->committed)
		return true;
	conductor_find(conductor_current(c), "journal-failed", "the plan could not be written");
	conductor_feed(c, EVENT_JOURNAL_FAILED);
	return false;
}

static void sm_answered(void *owner, uint64_t id, struct json_object *answer)
{
	struct conductor *c = owner;
	struct migration *m = conductor_current(c);
	enum migration_event event;

	if (!m || !c->sm_id || id != c->sm_id)
		return;
	c->sm_id = 0;
	event = sm_talk_take(m, c->sm_action, answer, &c->sm_carried);
	if (is_plan(c->sm_action) && event == EVENT_DONE && !plan_is_kept(c, answer))
		return;
	m->fact = whereabouts_fact(root_inventory(c->root), m, c->sm_carried);
	if (event == EVENT_DONE || event == EVENT_FAILED)
		answered(c, PARTY_SM, event == EVENT_DONE);
	else
		conductor_feed(c, event);
}

static void sm_down(void *owner, const char *why)
{
	struct conductor *c = owner;

	c->sm_id = 0;
	c->lease_is_lost = true;
	if (conductor_current(c) && conductor_current(c)->awaited & PARTY_SM)
		conductor_feed(c, EVENT_SM_LOST);
}

static void sm_up(void *owner)
{
	struct conductor *c = owner;
	struct migration *m = conductor_current(c);

	if (!m || !(m->awaited & PARTY_SM))
		return;
	if (m->state == STATE_RECOVERING)
		sm_ask(c, ACTION_LOOK);
	else
		sm_is_another(c);
}

/* ---- hosts ---- */

static void host_up(void *owner, const char *host, uint64_t open)
{
	struct conductor *c = owner;
	struct migration *m = conductor_current(c);
	enum migration_action held = c->held_action;

	if (open)
		conductor_tell_end(c, host, open);
	if (m && m->state == STATE_RECOVERING && m->awaited & PARTY_HOST) {
		look_at_hosts(c);
	} else if (m && held && !strcmp(host, c->host)) {
		c->held_action = ACTION_NOTHING;
		host_ask(c, held);
	}
	conductor_mend_guids(c, host);
}

const struct root_callbacks conductor_root_callbacks = {
        .answer = tree_answered,
        .host_up = host_up,
};

const struct sm_link_callbacks conductor_sm_callbacks = {
        .up = sm_up,
        .down = sm_down,
        .answer = sm_answered,
};
