/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_message.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { JSON_DEPTH = 16 };

struct json_object *qmp_member(struct json_object *json, const char *key)
{
	return json_object_is_type(json, json_type_object) ? json_object_object_get(json, key)
	                                                   : NULL;
}

const char *qmp_text(struct json_object *json, const char *key)
{
	struct json_object *value = qmp_member(json, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t qmp_number(struct json_object *json, const char *key)
{
	struct json_object *value = qmp_member(json, key);
	int64_t number;

	if (!json_object_is_type(value, json_type_int))
		return 0;
	number = json_object_get_int64(value);
	return number > 0 ? (uint64_t)number : 0;
}

static struct json_object *object_read(const char *line, size_t count, int *err)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
	struct json_object *json;

	if (!tokener) {
		*err = -ENOMEM;
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, line, (int)count);
	json_tokener_free(tokener);
	if (json_object_is_type(json, json_type_object))
		return json;
	json_object_put(json);
	*err = -EBADMSG;
	return NULL;
}

static int message_sort(struct qmp_message *message)
{
	struct json_object *json = message->json, *error = qmp_member(json, "error");

	message->id = qmp_number(json, "id");
	message->name = message->text = "";
	if (*qmp_text(json, "event")) {
		message->kind = QMP_EVENT;
		message->name = qmp_text(json, "event");
		message->data = qmp_member(json, "data");
	} else if (json_object_is_type(error, json_type_object)) {
		message->kind = QMP_ERROR;
		message->name = qmp_text(error, "class");
		message->text = qmp_text(error, "desc");
	} else if (json_object_object_get_ex(json, "return", &message->data)) {
		message->kind = QMP_RETURN;
	} else if (qmp_member(json, "QMP")) {
		message->kind = QMP_GREETING;
		message->data = qmp_member(json, "QMP");
	} else {
		return -EBADMSG;
	}
	return 0;
}

int qmp_message_read(const char *line, size_t count, struct qmp_message *message)
{
	struct qmp_message read = {0};
	int err = 0;

	read.json = object_read(line, count, &err);
	if (!read.json)
		return err;
	err = message_sort(&read);
	if (err)
		json_object_put(read.json);
	else
		*message = read;
	return err;
}

void qmp_message_clear(struct qmp_message *message)
{
	json_object_put(message->json);
	*message = (struct qmp_message){0};
}

char *qmp_command_write(const char *command, struct json_object *arguments, uint64_t id)
{
	const char *said = arguments ? json_object_to_json_string_ext(
	                                       arguments, JSON_C_TO_STRING_NOSLASHESCAPE)
	                             : "{}";
	char *line;

	if (!said || asprintf(&line, "{\"execute\":\"%s\",\"arguments\":%s,\"id\":%llu}\n", command,
	                     said, (unsigned long long)id) < 0)
		return NULL;
	return line;
}
