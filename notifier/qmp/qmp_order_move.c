/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A VM's memory goes to the QEMU that waits for it at another host. */
#include "notifier/qmp/qmp_order_state.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"

enum {
	PROGRESS_MS = 1000,
	SHORTLY_MS = 20,
	QUIT_MS = 50,
};

static const char *name_of(const struct qmp_order *order)
{
	return order->request.vm->name;
}

/* Takes @value. */
static int member_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && value && !json_object_object_add(object, key, value))
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

static int capability_add(struct json_object *list, const char *name, bool on)
{
	struct json_object *one = qmp_argument("capability", name);

	if (list && !member_add(one, "state", json_object_new_boolean(on)) &&
	        !json_object_array_add(list, one))
		return 0;
	json_object_put(one);
	return -ENOMEM;
}

/*
 * The return path: without it the source takes the VM for gone when the last byte has been sent,
 * though the destination may refuse it at its very end, and nobody would have it.
 */
static struct json_object *capabilities(const struct qmp_settings *settings)
{
	struct json_object *arguments = json_object_new_object();
	struct json_object *list = json_object_new_array();
	size_t others = json_object_array_length(settings->capabilities);
	int err = capability_add(list, "return-path", true);

	if (!err)
		err = capability_add(list, "events", true);
	if (!err)
		err = capability_add(
		        list, "pause-before-switchover", settings->pause_before_switchover);
	for (size_t i = 0; i < others && !err; i++)
		err = capability_add(list,
		        json_object_get_string(
		                json_object_array_get_idx(settings->capabilities, i)),
		        true);
	if (err)
		json_object_put(list);
	else
		err = member_add(arguments, "capabilities", list);
	if (!err)
		return arguments;
	json_object_put(arguments);
	return NULL;
}

/* NULL: none are set, or no memory; the migration is then as QEMU has it. */
static struct json_object *parameters(const struct qmp_settings *settings)
{
	struct json_object *arguments;

	if (!settings->max_bandwidth && !settings->downtime_limit_ms)
		return NULL;
	arguments = json_object_new_object();
	if (settings->max_bandwidth)
		member_add(arguments, "max-bandwidth",
		        json_object_new_int64((int64_t)settings->max_bandwidth));
	if (settings->downtime_limit_ms)
		member_add(arguments, "downtime-limit",
		        json_object_new_int64((int64_t)settings->downtime_limit_ms));
	return arguments;
}

static void migrate(struct qmp_order *order, struct qmp_next *next)
{
	CLEANUP_FREE char *uri = qmp_pattern_fill(
	        order->request.vm->incoming, name_of(order), order->request.peer_host);

	if (!uri || !*uri)
		qmp_fail(order, next, -EREMOTEIO, "\"incoming\" of VM %s is not said",
		        name_of(order));
	else
		qmp_say(order, next, QMP_MIGRATE, qmp_argument("uri", uri));
}

/* What it still has of a host's; memory that goes with it would not be taken at the other end. */
static const struct qmp_slot *slot_left(const struct qmp_order *order)
{
	const struct qmp_settings *settings = order->request.settings;

	for (size_t i = 0; i < settings->slots_count; i++)
		if (qmp_seen_has(&order->seen, settings->slots[i].id))
			return &settings->slots[i];
	return NULL;
}

/* The commands before the memory's way, one a time. */
static void prepare(struct qmp_order *order, struct qmp_next *next)
{
	struct json_object *arguments;

	switch (order->ready++) {
	case 0:
		order->was_running = order->seen.state == QMP_VM_RUNNING;
		qmp_say(order, next, QMP_SET_CAPABILITIES, capabilities(order->request.settings));
		return;
	case 1:
		arguments = parameters(order->request.settings);
		if (arguments) {
			qmp_say(order, next, QMP_SET_PARAMETERS, arguments);
			return;
		}
		order->ready++;
		/* fallthrough */
	default:
		migrate(order, next);
	}
}

static void begin(struct qmp_order *order, struct qmp_next *next)
{
	const struct qmp_slot *slot = slot_left(order);

	if (order->given_up)
		qmp_fail(order, next, order->given_up,
		        "the memory of VM %s has not begun to move to %s", name_of(order),
		        order->request.peer_host);
	else if (order->answered != QMP_NO_COMMAND && order->was_refused)
		qmp_fail(order, next, -EREMOTEIO, "VM %s does not begin to move to %s: %s",
		        name_of(order), order->request.peer_host, order->refusal);
	else if (slot)
		qmp_fail(order, next, -EREMOTEIO, "VM %s still has the VF in slot %s",
		        name_of(order), slot->name);
	else
		prepare(order, next);
}

static void note_progress(struct qmp_order *order, uint64_t now_ms)
{
	if (order->noted_ms && now_ms - order->noted_ms < PROGRESS_MS)
		return;
	order->noted_ms = now_ms;
	snprintf(order->note, sizeof(order->note),
	        "memory on its way to %s: %" PRIu64 " KiB sent, %" PRIu64
	        " KiB left, pass %" PRIu64,
	        order->request.peer_host, order->seen.transferred / 1024,
	        order->seen.remaining / 1024, order->seen.passes);
}

static void under_way(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	enum qmp_migration migration = order->seen.migration;

	note_progress(order, now_ms);
	if (migration == QMP_MIGRATION_CANCELLING || order->has_cancelled)
		qmp_wait(order, next, SHORTLY_MS);
	else if (order->given_up)
		qmp_say(order, next, QMP_MIGRATE_CANCEL, NULL);
	else if (migration == QMP_MIGRATION_PRE_SWITCHOVER)
		qmp_say(order, next, QMP_MIGRATE_CONTINUE, qmp_argument("state", "pre-switchover"));
	else
		qmp_wait(order, next, PROGRESS_MS);
}

static bool is_stopped_by_us(const struct qmp_order *order)
{
	enum qmp_vm_state state = order->seen.state;

	return state == QMP_VM_SWITCHING || state == QMP_VM_POSTMIGRATE ||
	       (state == QMP_VM_PAUSED && order->was_running);
}

/* It goes on here, which QEMU sees to by itself as a rule. */
static void comes_to_nothing(struct qmp_order *order, struct qmp_next *next)
{
	const char *goes_on = order->seen.state == QMP_VM_RUNNING ? "goes on here" : "is here";
	const char *why = *order->seen.why ? order->seen.why : "QEMU does not say why";

	if (is_stopped_by_us(order) && !order->has_continued) {
		qmp_say(order, next, QMP_CONT, NULL);
		return;
	}
	if (is_stopped_by_us(order)) {
		goes_on = "is stopped";
	}
	if (order->given_up)
		qmp_fail(order, next, order->given_up,
		        "the memory of VM %s did not get to %s in time, and it %s", name_of(order),
		        order->request.peer_host, goes_on);
	else
		qmp_fail(order, next, -EREMOTEIO, "VM %s does not move to %s, and %s: %s",
		        name_of(order), order->request.peer_host, goes_on,
		        order->seen.migration == QMP_MIGRATION_CANCELLED ? "it was cancelled"
		                                                         : why);
}

static void has_gone(struct qmp_order *order, struct qmp_next *next)
{
	if (!order->has_moved) {
		order->has_moved = true;
		order->copy_ms =
		        order->seen.total_ms <= UINT32_MAX ? order->seen.total_ms : UINT32_MAX;
		snprintf(order->note, sizeof(order->note),
		        "memory is at %s: %" PRIu64 " KiB in %" PRIu64 " ms, stopped for %" PRIu64
		        " ms",
		        order->request.peer_host, order->seen.transferred / 1024,
		        order->seen.total_ms, order->seen.downtime_ms);
	}
	if (order->request.settings->keeps_source || order->given_up)
		qmp_done(order, next);
	else if (order->has_quit)
		qmp_wait(order, next, QUIT_MS);
	else
		qmp_say(order, next, QMP_QUIT, NULL);
}

void qmp_decide_move(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	const struct qmp_seen *seen = &order->seen;

	if (seen->state == QMP_VM_INCOMING) {
		qmp_fail(order, next, -EREMOTEIO, "VM %s is not here: its QEMU waits for it",
		        name_of(order));
		return;
	}
	if (qmp_has_moved(seen)) {
		has_gone(order, next);
		return;
	}
	/* By an agent that has been restarted meanwhile. */
	if (qmp_is_moving(seen) || (order->answered == QMP_MIGRATE && !order->was_refused))
		order->began = true;
	if (!order->began)
		begin(order, next);
	else if (qmp_is_moving(seen))
		under_way(order, now_ms, next);
	else if (seen->migration == QMP_MIGRATION_COMPLETED)
		qmp_wait(order, next, SHORTLY_MS); /* it is about to say so */
	else
		comes_to_nothing(order, next);
}
