/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_order_state.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "notifier/base/cleanup.h"
#include "notifier/qmp/qmp_message.h"

enum { CANCEL_LOOK_MS = 20 };

/*
 * The migration before the state: one that is completed by the first is seen in the second. Else a
 * VM that has just left could be taken for one that runs here and whose last migration is long
 * over.
 */
static const enum qmp_command looks[] = {QMP_QUERY_MIGRATE, QMP_QUERY_STATUS, QMP_QOM_LIST};
#define LOOK_AT_ALL (1 << QMP_QUERY_MIGRATE | 1 << QMP_QUERY_STATUS | 1 << QMP_QOM_LIST)

static const char *const names[] = {
        [QMP_NO_COMMAND] = "",
        [QMP_QUERY_MIGRATE] = "query-migrate",
        [QMP_QUERY_STATUS] = "query-status",
        [QMP_QOM_LIST] = "qom-list",
        [QMP_DEVICE_DEL] = "device_del",
        [QMP_DEVICE_ADD] = "device_add",
        [QMP_CONT] = "cont",
        [QMP_SET_CAPABILITIES] = "migrate-set-capabilities",
        [QMP_SET_PARAMETERS] = "migrate-set-parameters",
        [QMP_MIGRATE] = "migrate",
        [QMP_MIGRATE_CONTINUE] = "migrate-continue",
        [QMP_MIGRATE_CANCEL] = "migrate_cancel",
        [QMP_QUIT] = "quit",
};

const char *qmp_command_name(enum qmp_command command)
{
	return names[command];
}

void qmp_order_begin(struct qmp_order *order, const struct qmp_order_request *request)
{
	*order = (struct qmp_order){.request = *request, .to_look = LOOK_AT_ALL};
}

void qmp_order_clear(struct qmp_order *order)
{
	qmp_seen_clear(&order->seen);
}

struct json_object *qmp_argument(const char *key, const char *value)
{
	struct json_object *arguments = json_object_new_object();
	struct json_object *text = json_object_new_string(value);

	if (arguments && text && !json_object_object_add(arguments, key, text))
		return arguments;
	json_object_put(text);
	json_object_put(arguments);
	return NULL;
}

void qmp_say(struct qmp_order *order, struct qmp_next *next, enum qmp_command command,
        struct json_object *arguments)
{
	order->asked = command;
	*next = (struct qmp_next){.kind = QMP_SAY, .command = command, .arguments = arguments};
}

void qmp_wait(struct qmp_order *order, struct qmp_next *next, unsigned ms)
{
	order->to_look = LOOK_AT_ALL;
	*next = (struct qmp_next){.kind = QMP_WAIT, .wait_ms = ms};
}

void qmp_done(struct qmp_order *order, struct qmp_next *next)
{
	order->err = 0;
	order->text[0] = 0;
	*next = (struct qmp_next){.kind = QMP_END};
}

static void __attribute__((format(printf, 3, 0)))
failed(struct qmp_order *order, int err, const char *format, va_list args)
{
	order->err = err;
	vsnprintf(order->text, sizeof(order->text), format, args);
}

void qmp_fail(struct qmp_order *order, struct qmp_next *next, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	failed(order, err, format, args);
	va_end(args);
	*next = (struct qmp_next){.kind = QMP_END};
}

void qmp_cancel_first(struct qmp_order *order, struct qmp_next *next)
{
	if (order->given_up)
		qmp_fail(order, next, order->given_up,
		        "QEMU does not end a migration that was begun before");
	else if (order->has_cancelled || order->seen.migration == QMP_MIGRATION_CANCELLING)
		qmp_wait(order, next, CANCEL_LOOK_MS);
	else
		qmp_say(order, next, QMP_MIGRATE_CANCEL, NULL);
}

static void decide_look(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	qmp_done(order, next);
}

static void decide_check(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	const struct qmp_order_request *request = &order->request;

	if (qmp_has_moved(&order->seen))
		qmp_fail(order, next, -EREMOTEIO, "the QEMU that VM %s has left is still here",
		        request->vm->name);
	else if (*request->peer_host && order->seen.state != QMP_VM_INCOMING)
		qmp_fail(order, next, -EREMOTEIO,
		        "the QEMU of VM %s here waits for nothing: it is %s", request->vm->name,
		        order->seen.status);
	else
		qmp_done(order, next);
}

static qmp_decide *const decides[] = {
        [TETHER__HOST_ACTION__HOST_NOTHING] = decide_look,
        [TETHER__HOST_ACTION__HOST_CHECK] = decide_check,
        [TETHER__HOST_ACTION__HOST_DETACH] = qmp_decide_detach,
        [TETHER__HOST_ACTION__HOST_MOVE] = qmp_decide_move,
        [TETHER__HOST_ACTION__HOST_ATTACH] = qmp_decide_attach,
        [TETHER__HOST_ACTION__HOST_GIVE_BACK] = qmp_decide_attach,
};

void qmp_order_next(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next)
{
	Tether__HostAction action = order->request.action;

	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		if (!(order->to_look & 1 << looks[i]))
			continue;
		qmp_say(order, next, looks[i],
		        looks[i] == QMP_QOM_LIST ? qmp_argument("path", "/machine/peripheral")
		                                 : NULL);
		return;
	}
	if (action < ARRAY_SIZE(decides) && decides[action])
		decides[action](order, now_ms, next);
	else
		qmp_done(order, next);
}

static void seen_take(struct qmp_order *order, struct json_object *data)
{
	if (order->asked == QMP_QUERY_MIGRATE)
		qmp_seen_migration(&order->seen, data);
	else if (order->asked == QMP_QUERY_STATUS)
		qmp_seen_status(&order->seen, data);
	else
		qmp_seen_devices(&order->seen, data);
}

void qmp_order_replied(struct qmp_order *order, const struct qmp_message *message)
{
	if (order->to_look & 1 << order->asked) {
		/* What is refused is seen as if nothing was there. */
		seen_take(order, message->kind == QMP_RETURN ? message->data : NULL);
		order->to_look &= ~(1 << order->asked);
		return;
	}
	order->answered = order->asked;
	order->was_refused = message->kind == QMP_ERROR;
	order->has_cancelled |= order->asked == QMP_MIGRATE_CANCEL;
	order->has_continued |= order->asked == QMP_CONT;
	order->has_quit |= order->asked == QMP_QUIT;
	qmp_text_copy(
	        order->refusal, sizeof(order->refusal), order->was_refused ? message->text : "");
	order->to_look = LOOK_AT_ALL;
}

static bool is_of_device(const struct qmp_order *order, const struct qmp_message *message)
{
	return order->request.slot &&
	       !strcmp(qmp_text(message->data, "device"), order->request.slot->id);
}

bool qmp_order_event(struct qmp_order *order, const struct qmp_message *message)
{
	if (!strcmp(message->name, "DEVICE_DELETED"))
		return is_of_device(order, message);
	if (!strcmp(message->name, "DEVICE_UNPLUG_GUEST_ERROR") && is_of_device(order, message)) {
		order->guest_refuses = true;
		return true;
	}
	return !strcmp(message->name, "MIGRATION") || !strcmp(message->name, "RESUME");
}

void qmp_order_give_up(struct qmp_order *order, int err)
{
	if (!order->given_up)
		order->given_up = err;
}

void qmp_order_lost(struct qmp_order *order, const char *why)
{
	if (order->has_moved && (order->has_quit || order->asked == QMP_QUIT)) {
		order->err = 0;
		order->text[0] = 0;
		return;
	}
	order->err = order->given_up ? order->given_up : -EREMOTEIO;
	snprintf(order->text, sizeof(order->text), "the QEMU of VM %s %s", order->request.vm->name,
	        why);
}

void qmp_order_absent(struct qmp_order *order, const char *moved_to)
{
	const struct qmp_order_request *request = &order->request;

	order->err = 0;
	order->text[0] = 0;
	if (request->action == TETHER__HOST_ACTION__HOST_DETACH ||
	        request->action == TETHER__HOST_ACTION__HOST_NOTHING)
		return;
	if (request->action == TETHER__HOST_ACTION__HOST_MOVE && moved_to &&
	        !strcmp(moved_to, request->peer_host))
		return;
	order->err = -EREMOTEIO;
	snprintf(order->text, sizeof(order->text), "no QEMU of VM %s is here: nobody listens at %s",
	        request->vm->name, request->vm->qmp);
}
