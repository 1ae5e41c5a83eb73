/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What QEMU and its client say to each other, a line each. Pure; any thread. */
#ifndef TETHER_QMP_MESSAGE_H
#define TETHER_QMP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
	enum qmp_kind kind;
	uint64_t id;              /* of RETURN and ERROR: which command; 0: it does not say */
	const char *name;         /* the event; of ERROR its class */
	const char *text;         /* ERROR: why */
	struct json_object *data; /* what is returned, or the event's; may be NULL */
	struct json_object *json; /* whose all of these are */
};

/* -EBADMSG: it is none of them; -ENOMEM. @message is written on success only. */
int qmp_message_read(const char *line, size_t count, struct qmp_message *message);
void qmp_message_clear(struct qmp_message *message);

/* A line with its end, to be freed; NULL: no memory. @arguments may be NULL, and stay the
 * caller's. */
char *qmp_command_write(const char *command, struct json_object *arguments, uint64_t id);

/* Whatever @json is: the text of its member @key, or "". */
const char *qmp_text(struct json_object *json, const char *key);
/* The same for a number that is not negative; anything else is 0. */
uint64_t qmp_number(struct json_object *json, const char *key);
struct json_object *qmp_member(struct json_object *json, const char *key);

#endif
