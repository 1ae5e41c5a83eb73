/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A connection to a QEMU's QMP socket: greeting, qmp_capabilities, then one command at a time. In
 * the thread of its event_base, which it never blocks. It has no deadlines: who opened it closes
 * it.
 */
#ifndef TETHER_QMP_CLIENT_H
#define TETHER_QMP_CLIENT_H

#include <stdbool.h>

struct event_base;
struct json_object;
struct qmp_client;
struct qmp_message;

/* From the loop; in each of them the client may be closed. */
struct qmp_client_callbacks {
	void (*ready)(void *context); /* commands are taken */
	/* The answer to the command, or an event. */
	void (*said)(void *context, const struct qmp_message *message);
	/* Nothing else will be said. @is_absent: nobody listens there. @why goes behind "the QEMU
	 * of VM vm1". */
	void (*lost)(void *context, bool is_absent, const char *why);
};

/* @path is read on until it is closed. NULL: no memory. */
struct qmp_client *qmp_client_open(struct event_base *base, const char *path,
        const struct qmp_client_callbacks *callbacks, void *context);
/* The one before has been answered. @arguments may be NULL, and stay the caller's. -ENOMEM */
int qmp_client_say(struct qmp_client *client, const char *command, struct json_object *arguments);
/* What it waits for, behind "the QEMU of VM vm1"; for who has waited too long. */
const char *qmp_client_waits(const struct qmp_client *client);
/* NULL is fine. */
void qmp_client_close(struct qmp_client *client);

#endif
