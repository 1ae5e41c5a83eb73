/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* A VF leaves a VM; a VM gets one. */
#include "notifier/qmp/qmp_order_state.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

enum {
	/* A guest that was not listening (it boots, say) is told once more. Not sooner: to native
	 * hotplug of PCI Express a second press of the button within 5 s takes the first one back.
	 */
	UNPLUG_AGAIN_MS = 6000,
	LOOK_MS = 250,   /* an event says it sooner */
	ARRIVAL_MS = 10, /* the other end of a migration says nothing */
	CONTINUE_MS = 20,
	WATCH_MS = 1000,
};

static const char *device_of(const struct qmp_order *order)
{
	return order->request.slot->id;
}

static void unplug(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	if (order->has_unplug_begun && now_ms - order->asked_ms < UNPLUG_AGAIN_MS) {
		qmp_wait(order, next, LOOK_MS);
		return;
	}
	order->has_unplug_begun = true;
	order->asked_ms = now_ms;
	qmp_say(order, next, QMP_DEVICE_DEL, qmp_argument("id", device_of(order)));
}

static void stays_plugged(struct qmp_order *order, struct qmp_next *next)
{
	const char *vm = order->request.vm->name;

	if (order->answered == QMP_DEVICE_DEL && order->was_refused)
		qmp_fail(order, next, order->given_up, "VM %s keeps device %s: %s", vm,
		        device_of(order), order->refusal);
	else
		qmp_fail(order, next, order->given_up,
		        "VM %s does not let go of device %s; it has been asked, and may yet do so",
		        vm, device_of(order));
}

void qmp_decide_detach(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	const struct qmp_seen *seen = &order->seen;

	if (seen->state == QMP_VM_INCOMING || qmp_has_moved(seen) ||
	        !qmp_seen_has(seen, device_of(order)))
		qmp_done(order, next);
	else if (qmp_is_moving(seen))
		qmp_cancel_first(order, next);
	else if (order->guest_refuses)
		qmp_fail(order, next, -EREMOTEIO, "VM %s refuses to let go of device %s",
		        order->request.vm->name, device_of(order));
	else if (order->given_up)
		stays_plugged(order, next);
	else
		unplug(order, now_ms, next);
}

static void attach_fails(struct qmp_order *order, struct qmp_next *next)
{
	if (order->seen.state == QMP_VM_INCOMING)
		qmp_fail(order, next, order->given_up, "the memory of VM %s has not come",
		        order->request.vm->name);
	else
		qmp_fail(order, next, order->given_up, "VM %s is %s, and %s device %s",
		        order->request.vm->name, order->seen.status,
		        qmp_seen_has(&order->seen, device_of(order)) ? "has" : "has not",
		        device_of(order));
}

/* It was stopped by a migration that came to nothing, or has come and waits for a word. */
static bool has_to_be_started(const struct qmp_order *order)
{
	return order->seen.state == QMP_VM_PAUSED || order->seen.state == QMP_VM_SWITCHING ||
	       order->seen.state == QMP_VM_POSTMIGRATE;
}

static void start(struct qmp_order *order, struct qmp_next *next)
{
	if (!order->has_continued)
		qmp_say(order, next, QMP_CONT, NULL);
	else if (order->answered == QMP_CONT && order->was_refused)
		qmp_fail(order, next, -EREMOTEIO, "VM %s does not go on: %s",
		        order->request.vm->name, order->refusal);
	else
		qmp_wait(order, next, CONTINUE_MS);
}

static void plug(struct qmp_order *order, struct qmp_next *next)
{
	if (order->answered == QMP_DEVICE_ADD && order->was_refused)
		qmp_fail(order, next, -EREMOTEIO, "VM %s does not get device %s: %s",
		        order->request.vm->name, device_of(order), order->refusal);
	else
		qmp_say(order, next, QMP_DEVICE_ADD,
		        json_object_get(order->request.slot->arguments));
}

static bool is_plugged(const struct qmp_order *order)
{
	return qmp_seen_has(&order->seen, device_of(order)) && !has_to_be_started(order) &&
	       order->seen.state != QMP_VM_INCOMING &&
	       (!order->request.stays_watched || order->answered == QMP_DEVICE_ADD);
}

void qmp_decide_attach(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	const struct qmp_seen *seen = &order->seen;
	bool comes = order->request.action == TETHER__HOST_ACTION__HOST_ATTACH;

	if (qmp_has_moved(seen))
		qmp_fail(order, next, -EREMOTEIO, "VM %s has moved to another host",
		        order->request.vm->name);
	else if (qmp_is_moving(seen))
		qmp_cancel_first(order, next);
	else if (is_plugged(order))
		qmp_done(order, next);
	else if (order->given_up)
		attach_fails(order, next);
	else if (seen->state == QMP_VM_INCOMING && comes)
		qmp_wait(order, next, ARRIVAL_MS);
	else if (seen->state == QMP_VM_INCOMING)
		qmp_fail(order, next, -EREMOTEIO, "VM %s is not here: its QEMU waits for it",
		        order->request.vm->name);
	else if (has_to_be_started(order))
		start(order, next);
	else if (qmp_seen_has(seen, device_of(order)))
		qmp_wait(order, next, WATCH_MS);
	else
		plug(order, next);
}
