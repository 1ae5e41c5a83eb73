/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What a QEMU says, in pieces of any size, to an order that is being carried out: the lines of it,
 * what they mean, and what is said next. The first byte is the order, the second how much comes at
 * a time.
 */
#include "notifier/qmp/qmp_order.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/qmp/qmp_lines.h"
#include "notifier/qmp/qmp_message.h"
#include "notifier/qmp/qmp_settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
	struct qmp_order order;
	bool is_waiting, has_ended;
	uint64_t now_ms;
};

static void claim(bool is_so)
{
	if (!is_so)
		abort();
}

/* An order with nobody to hear it ends at last. */
static void next(struct talk *talk)
{
	struct qmp_next next;

	talk->is_waiting = false;
	qmp_order_next(&talk->order, talk->now_ms, &next);
	switch (next.kind) {
	case QMP_SAY: {
		char *line = qmp_command_write(qmp_command_name(next.command), next.arguments, 1);

		claim(line && *qmp_command_name(next.command));
		claim(strchr(line, '\n') == line + strlen(line) - 1);
		free(line);
		json_object_put(next.arguments);
		break;
	}
	case QMP_WAIT:
		talk->is_waiting = true;
		break;
	case QMP_END:
		talk->has_ended = true;
		/* Why is always said, and nothing is where nothing was wrong. */
		claim(!talk->order.err == !*talk->order.text);
	}
}

static void take(struct talk *talk, const struct qmp_message *message)
{
	talk->now_ms += 100;
	if (message->kind == QMP_EVENT) {
		if (qmp_order_event(&talk->order, message) && talk->is_waiting)
			next(talk);
	} else if (message->kind != QMP_GREETING && !talk->is_waiting) {
		qmp_order_replied(&talk->order, message);
		next(talk);
	} else if (talk->is_waiting) {
		next(talk);
	} else {
		qmp_order_give_up(&talk->order, -1);
	}
}

static void lines(struct talk *talk, struct qmp_lines *said)
{
	const char *line;
	size_t count;

	while (!talk->has_ended && (line = qmp_lines_next(said, &count))) {
		struct qmp_message message;

		claim(!memchr(line, '\n', count));
		if (qmp_message_read(line, count, &message))
			continue;
		claim(message.name && message.text);
		take(talk, &message);
		qmp_message_clear(&message);
	}
}

static void say(struct talk *talk, const uint8_t *data, size_t size, size_t piece)
{
	struct qmp_lines said = {0};
	size_t space;
	int err = 0;
	char *to;

	while (size && !talk->has_ended && (to = qmp_lines_space(&said, &space, &err))) {
		size_t count = piece < size ? piece : size;

		claim(space);
		count = count < space ? count : space;
		memcpy(to, data, count);
		qmp_lines_read(&said, count);
		data += count;
		size -= count;
		lines(talk, &said);
	}
	claim(!err || size);
	qmp_lines_clear(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qmp_vm vm = {.name = (char *)"vm1",
	        .qmp = (char *)"/run/vm1.qmp",
	        .guest = (char *)"",
	        .incoming = (char *)"unix:/run/%h/%v"};
	struct qmp_slot slot = {.name = (char *)"vf0", .id = (char *)"tether-vf0"};
	struct qmp_settings settings = {.vms = &vm,
	        .vms_count = 1,
	        .slots = &slot,
	        .slots_count = 1,
	        .pause_before_switchover = true,
	        .downtime_limit_ms = 1};
	struct talk talk = {0};
	struct qmp_order_request request = {
	        .settings = &settings, .vm = &vm, .slot = &slot, .peer_host = "hyp2"};

	if (size < 2)
		return 0;
	request.action = (Tether__HostAction)(data[0] % 8);
	request.stays_watched = data[0] & 0x40;
	settings.keeps_source = data[0] & 0x80;
	settings.capabilities = json_object_new_array();
	slot.arguments = json_object_new_object();
	qmp_order_begin(&talk.order, &request);
	next(&talk);
	say(&talk, data + 2, size - 2, 1 + (size_t)data[1] * 16);
	if (!talk.has_ended)
		qmp_order_lost(&talk.order, "has ended");
	claim(!talk.order.err == !*talk.order.text);
	qmp_order_clear(&talk.order);
	json_object_put(slot.arguments);
	json_object_put(settings.capabilities);
	return 0;
}
