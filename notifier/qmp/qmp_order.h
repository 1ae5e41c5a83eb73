/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * An order, or the question what there is, to one VM's QEMU: what to say next, given what QEMU has
 * said. It looks (qmp_seen.h), does one thing, and looks again, so an order that was done or half
 * done before, by whomever, does what is left. Pure: qmp/qmp_talk.h does the talking.
 */
#ifndef TETHER_QMP_ORDER_H
#define TETHER_QMP_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "notifier/qmp/qmp_seen.h"
#include "tether.pb-c.h"

struct json_object;
struct qmp_message;
struct qmp_settings;
struct qmp_slot;
struct qmp_vm;

struct qmp_order_request {
	Tether__HostAction action;           /* HOST_NOTHING: only look */
	const struct qmp_settings *settings; /* outlive the order, as all of these */
	const struct qmp_vm *vm;
	const struct qmp_slot *slot; /* NULL: the order names none */
	const char *peer_host;
	bool stays_watched; /* the VF is in the VM, has been asked for, and may yet leave: it is
	                       given back then, however long that takes */
};

enum qmp_command {
	QMP_NO_COMMAND,
	QMP_QUERY_MIGRATE,
	QMP_QUERY_STATUS,
	QMP_QOM_LIST,
	QMP_DEVICE_DEL,
	QMP_DEVICE_ADD,
	QMP_CONT,
	QMP_SET_CAPABILITIES,
	QMP_SET_PARAMETERS,
	QMP_MIGRATE,
	QMP_MIGRATE_CONTINUE,
	QMP_MIGRATE_CANCEL,
	QMP_QUIT
};

enum qmp_next_kind { QMP_SAY, QMP_WAIT, QMP_END };

struct qmp_next {
	enum qmp_next_kind kind;
	enum qmp_command command;
	struct json_object *arguments; /* to be put; NULL: none */
	unsigned wait_ms;              /* or until an event wakes it */
};

enum { QMP_ORDER_TEXT = 512, QMP_NOTE = 160 };

struct qmp_order {
	struct qmp_order_request request;
	struct qmp_seen seen;
	int to_look; /* bits of commands that are still to be asked */
	enum qmp_command asked, answered;
	bool was_refused; /* what was answered last */
	char refusal[QMP_SEEN_TEXT];
	int given_up;            /* its time is over, or another order has come: -errno */
	bool guest_refuses;      /* to let go of the device */
	bool has_unplug_begun;   /* device_del was said */
	bool has_cancelled;      /* migrate_cancel was */
	bool was_running, began; /* the memory's way, by us or found */
	int ready;               /* what has been said before it begins */
	bool has_continued, has_quit;
	uint64_t asked_ms, noted_ms;
	/* What comes of it. */
	int err;
	char text[QMP_ORDER_TEXT]; /* one line */
	char note[QMP_NOTE];       /* for the log, taken by whoever logs it; "": none */
	uint32_t copy_ms;
	bool has_moved; /* the VM is the other host's for good */
};

void qmp_order_begin(struct qmp_order *order, const struct qmp_order_request *request);
void qmp_order_clear(struct qmp_order *order);

/* At the beginning, after an answer, and when it has waited. */
void qmp_order_next(struct qmp_order *order, uint64_t now_ms, struct qmp_next *next);
/* To what was said last. */
void qmp_order_replied(struct qmp_order *order, const struct qmp_message *message);
/* True: a wait is over. */
bool qmp_order_event(struct qmp_order *order, const struct qmp_message *message);
/* Come to an end, which may take some more words: -ETIMEDOUT, -ECANCELED. A wait is over. */
void qmp_order_give_up(struct qmp_order *order, int err);
/* QEMU has closed the connection: the order is at its end. */
void qmp_order_lost(struct qmp_order *order, const char *why);
/* There is no QEMU. @moved_to: where a mark says that the VM has gone; NULL: there is none. */
void qmp_order_absent(struct qmp_order *order, const char *moved_to);

const char *qmp_command_name(enum qmp_command command);

#endif
