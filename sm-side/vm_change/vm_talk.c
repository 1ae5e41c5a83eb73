/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/vm_change/vm_talk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/json_read.h"

enum { US_PER_MS = 1000, STATE_ACTIVE = 4 };

/* ---- the host ---- */

static Tether__HostAction order_of(enum change_action action)
{
	switch (action) {
	case CHANGE_ACTION_CHECK_CREATE:
		return TETHER__HOST_ACTION__HOST_CHECK;
	case CHANGE_ACTION_NAME:
	case CHANGE_ACTION_LINK_UP:
	case CHANGE_ACTION_LINK_DOWN:
		return TETHER__HOST_ACTION__HOST_SET_GUIDS;
	case CHANGE_ACTION_ATTACH:
		return TETHER__HOST_ACTION__HOST_ATTACH;
	case CHANGE_ACTION_DETACH:
		return TETHER__HOST_ACTION__HOST_DETACH;
	default:
		return TETHER__HOST_ACTION__HOST_NOTHING;
	}
}

static void guids_fill(
        Tether__HostOrder *order, const struct vm_change *change, enum change_action action)
{
	const struct identity *identity = &change->intent.identity;

	if (action == CHANGE_ACTION_LINK_DOWN && change->intent.own.port_guid)
		identity = &change->intent.own;
	order->node_guid = identity->node_guid;
	order->port_guid = identity->port_guid;
	if (action == CHANGE_ACTION_LINK_UP)
		order->link = TETHER__SLOT_LINK__LINK_UP;
	else if (action == CHANGE_ACTION_LINK_DOWN)
		order->link = TETHER__SLOT_LINK__LINK_DOWN;
}

void vm_order_fill(struct order *order, struct vm_change *change, uint64_t now_us)
{
	enum change_action action = change_state_action(change->state);
	uint64_t left_us = change->timer_us > now_us ? change->timer_us - now_us : 0;

	tether__event__init(&order->event);
	order->event.epoch = change->intent.epoch;
	order->event.step = TETHER__STEP__STEP_MOVE;
	order->event.sequence = ++change->sequence;
	order->event.deadline_ms = (uint32_t)(left_us / US_PER_MS) + 1;
	order->event.vm = change->intent.vm;
	order->event.order = &order->host;
	tether__host_order__init(&order->host);
	order->host.host = change->intent.place.host;
	order->host.action = order_of(action);
	order->host.vm = change->intent.vm;
	order->host.slot = change->intent.place.slot;
	if (order->host.action == TETHER__HOST_ACTION__HOST_SET_GUIDS)
		guids_fill(&order->host, change, action);
}

/* ---- asking the SM ---- */

static struct json_object *request_new(const char *op)
{
	struct json_object *request = json_object_new_object();

	if (request)
		json_put_text(request, "op", op);
	return request;
}

/* By which the lease is known: migrations' are numbers. */
static struct json_object *leased_request(const struct vm_change *change, const char *op)
{
	struct json_object *request = request_new(op);
	char name[40];

	snprintf(name, sizeof(name), "vm-%" PRIu64, change->intent.id);
	json_put_text(request, "migration", name);
	return request;
}

static struct json_object *create_move(const struct vm_change *change)
{
	struct json_object *move = json_object_new_object();

	json_put_text(move, "kind", "create");
	json_put_guid(move, "vm_port_guid", change->intent.identity.port_guid);
	json_put_guid(move, "vm_node_guid", change->intent.identity.node_guid);
	json_put_guid(move, "to_switch_guid", change->intent.place.switch_guid);
	json_put_number(move, "to_switch_port", change->intent.place.switch_port);
	if (change->intent.lid)
		json_put_number(move, "lid", change->intent.lid);
	return move;
}

static struct json_object *destroy_move(const struct vm_change *change)
{
	struct json_object *move = json_object_new_object();

	json_put_text(move, "kind", "destroy");
	json_put_guid(move, "vm_port_guid", change->intent.identity.port_guid);
	return move;
}

static struct json_object *plan_request(struct json_object *move)
{
	struct json_object *request = request_new("plan");
	struct json_object *moves = json_object_new_array();

	json_object_array_add(moves, move);
	json_object_object_add(request, "moves", moves);
	json_put_bool(request, "changes", false);
	return request;
}

static struct json_object *lease_request(const struct vm_change *change)
{
	const struct deadlines *d = change->deadlines;
	struct json_object *request = leased_request(change, "lease");

	json_put_number(request, "ms", d->sm_lease_ms);
	/* Busy is to be heard before the step's own deadline; it is asked again then. */
	json_put_number(
	        request, "wait_ms", d->plan_ms < d->sm_lease_ms ? d->plan_ms : d->sm_lease_ms);
	/* By it the SM knows who else may hold the lease. */
	if (*change->plan_hash)
		json_put_text(request, "hash", change->plan_hash);
	return request;
}

struct json_object *vm_talk_request(const struct vm_change *change)
{
	struct json_object *request;

	switch (change_state_action(change->state)) {
	case CHANGE_ACTION_CHECK_CREATE:
	case CHANGE_ACTION_PLAN:
		return plan_request(create_move(change));
	case CHANGE_ACTION_CHECK_DESTROY:
	case CHANGE_ACTION_PLAN_DESTROY:
		return plan_request(destroy_move(change));
	case CHANGE_ACTION_LEASE:
		return lease_request(change);
	case CHANGE_ACTION_APPLY:
		request = leased_request(change, "apply");
		json_put_text(request, "hash", *change->plan_hash ? change->plan_hash : "none");
		return request;
	case CHANGE_ACTION_UNLEASE:
		request = leased_request(change, "release_lease");
		/* A link went up or down; not each trap of it is heeded. */
		json_put_bool(request, "sweep", true);
		return request;
	case CHANGE_ACTION_LOCATE:
	case CHANGE_ACTION_LOCATE_GONE:
		request = request_new("locate");
		json_put_guid(request, "port_guid", change->intent.identity.port_guid);
		return request;
	default:
		return NULL;
	}
}

/* ---- what it answers ---- */

static enum change_event malformed(struct vm_change *change, const char *what)
{
	char text[120];

	snprintf(text, sizeof(text), "the SM's answer says no %s", what);
	vm_change_find(change, "sm", "bad-answer", text);
	return CHANGE_EVENT_FAILED;
}

static bool is_one_of(const char *reason, const char *one, const char *other)
{
	return !strcmp(reason, one) || !strcmp(reason, other);
}

/* What is no refusal but says where things stand; COUNT: it is one. */
static enum change_event meaning_of(enum change_action action, const char *reason)
{
	/* Its link ends soon; whoever is started after it is asked again. */
	if (!strcmp(reason, "shutting-down"))
		return CHANGE_EVENT_SM_LOST;
	switch (action) {
	case CHANGE_ACTION_LEASE:
		if (is_one_of(reason, "busy", "not-master"))
			return CHANGE_EVENT_BUSY;
		break;
	case CHANGE_ACTION_APPLY:
		if (is_one_of(reason, "stale-plan", "unknown-plan"))
			return CHANGE_EVENT_STALE;
		/* Or it is not for what the last plan moves, which another one holds it for. */
		if (is_one_of(reason, "no-lease", "busy"))
			return CHANGE_EVENT_LEASE_LOST;
		break;
	case CHANGE_ACTION_PLAN:
		if (!strcmp(reason, "same-place"))
			return CHANGE_EVENT_ALREADY;
		break;
	case CHANGE_ACTION_CHECK_DESTROY:
	case CHANGE_ACTION_PLAN_DESTROY:
		if (!strcmp(reason, "unknown-port"))
			return CHANGE_EVENT_ALREADY;
		break;
	case CHANGE_ACTION_LOCATE:
		if (is_one_of(reason, "unknown-port", "not-master"))
			return CHANGE_EVENT_BUSY;
		break;
	case CHANGE_ACTION_LOCATE_GONE:
		if (!strcmp(reason, "unknown-port"))
			return CHANGE_EVENT_DONE;
		return CHANGE_EVENT_BUSY;
	default:
		break;
	}
	return CHANGE_EVENT_COUNT;
}

static enum change_event take_refusal(
        struct vm_change *change, enum change_action action, struct json_object *answer)
{
	const char *reason = json_read_string(answer, "reason");
	const char *text = json_read_string(answer, "text");
	enum change_event meaning;

	if (!reason)
		return malformed(change, "reason");
	meaning = meaning_of(action, reason);
	if (meaning != CHANGE_EVENT_COUNT)
		return meaning;
	vm_change_find(change, "sm", reason, text ? text : reason);
	return CHANGE_EVENT_FAILED;
}

/* The LID is the VM's from its creation's plan on; another plan may have chosen another one. */
static enum change_event take_plan(struct vm_change *change, struct json_object *answer)
{
	struct json_object *moves = json_object_object_get(answer, "moves");
	struct json_object *move = json_object_is_type(moves, json_type_array)
	                                   ? json_object_array_get_idx(moves, 0)
	                                   : NULL;
	unsigned lid = 0;

	if (json_read_text(answer, "hash", change->plan_hash, sizeof(change->plan_hash)))
		return malformed(change, "hash");
	if (!move || json_read_unsigned(json_read_object(move, "vm"), "lid", &lid) ||
	        lid > UINT16_MAX)
		return malformed(change, "LID");
	change->lid = (uint16_t)lid;
	return CHANGE_EVENT_DONE;
}

static enum change_event take_applied(struct vm_change *change, struct json_object *answer)
{
	bool verified = false;

	if (!json_read_bool(answer, "verified", &verified) && verified)
		return CHANGE_EVENT_DONE;
	vm_change_find(
	        change, "sm", "not-verified", "the SM applied the plan but could not verify it");
	return CHANGE_EVENT_FAILED;
}

static enum change_event take_location(struct vm_change *change, struct json_object *answer)
{
	unsigned lid = 0, state = 0;
	char text[160];

	if (json_read_unsigned(answer, "lid", &lid) || json_read_unsigned(answer, "state", &state))
		return malformed(change, "location");
	if (!lid || lid > UINT16_MAX || state != STATE_ACTIVE)
		return CHANGE_EVENT_BUSY;
	if (change->lid && change->lid != lid) {
		snprintf(text, sizeof(text),
		        "the SM gave the VM LID %u instead of %u; OpenSM has to keep its guid2lid "
		        "file across restarts (OSM_CACHE_DIR)",
		        lid, change->lid);
		vm_change_find(change, "sm", "lid-changed", text);
	}
	change->lid = (uint16_t)lid;
	return CHANGE_EVENT_DONE;
}

enum change_event vm_talk_take(struct vm_change *change, struct json_object *answer)
{
	enum change_action action = change_state_action(change->state);
	bool ok = false;

	if (json_read_bool(answer, "ok", &ok))
		return malformed(change, "ok");
	if (!ok)
		return take_refusal(change, action, answer);
	switch (action) {
	case CHANGE_ACTION_CHECK_CREATE:
	case CHANGE_ACTION_CHECK_DESTROY:
	case CHANGE_ACTION_PLAN:
	case CHANGE_ACTION_PLAN_DESTROY:
		return take_plan(change, answer);
	case CHANGE_ACTION_APPLY:
		return take_applied(change, answer);
	case CHANGE_ACTION_LOCATE:
		return take_location(change, answer);
	case CHANGE_ACTION_LOCATE_GONE:
		return CHANGE_EVENT_BUSY;
	default:
		return CHANGE_EVENT_DONE;
	}
}
