/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/qmp/qmp_device.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/base/cleanup.h"

enum { DIGITS_MOST = 18 }; /* so that it fits 63 bits */

static bool is_word(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-._", *text))
			return false;
	return true;
}

bool qmp_device_id_is_fit(const char *id)
{
	return isalpha((unsigned char)*id) && is_word(id);
}

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= DIGITS_MOST && !text[digits];
}

static struct json_object *value_read(const char *text)
{
	size_t length = strlen(text);

	if (is_number(text))
		return json_object_new_int64(strtoll(text, NULL, 10));
	if (!strcmp(text, "on") || !strcmp(text, "off"))
		return json_object_new_boolean(!strcmp(text, "on"));
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"')
		return json_object_new_string_len(text + 1, (int)length - 2);
	return json_object_new_string(text);
}

/* Takes @value. */
static int property_add(struct json_object *arguments, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(arguments, key, value))
		return 0;
	json_object_put(value);
	return -ENOMEM;
}

/* One "key=value". */
static int property_read(struct json_object *arguments, char *text)
{
	char *value = strchr(text, '=');

	if (!value)
		return -EINVAL;
	*value++ = 0;
	if (!is_word(text) || !strcmp(text, "driver") ||
	        json_object_object_get_ex(arguments, text, NULL))
		return -EINVAL;
	return property_add(arguments, text, value_read(value));
}

/* Up to the next comma that is alone, which is taken away; behind it the rest, NULL at the end. */
static char *part_end(char *text)
{
	char *to = text;

	for (;; text++) {
		if (*text == ',' && text[1] == ',')
			text++;
		else if (*text == ',' || !*text)
			break;
		*to++ = *text;
	}
	if (!*text) {
		*to = 0;
		return NULL;
	}
	*to = 0;
	return text + 1;
}

int qmp_device_read(const char *text, const char *id, struct json_object **arguments)
{
	CLEANUP_FREE char *copy = strdup(text);
	struct json_object *read = json_object_new_object();
	char *part = copy, *rest;
	int err = copy && read ? 0 : -ENOMEM;

	if (!err)
		err = property_add(read, "id", json_object_new_string(id));
	if (err)
		goto undo_object;
	rest = part_end(part);
	err = is_word(part) ? property_add(read, "driver", json_object_new_string(part)) : -EINVAL;
	while (!err && rest) {
		part = rest;
		rest = part_end(part);
		err = property_read(read, part);
	}
	if (!err) {
		*arguments = read;
		return 0;
	}
undo_object:
	json_object_put(read);
	return err;
}
