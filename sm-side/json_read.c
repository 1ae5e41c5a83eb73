/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "sm-side/json_read.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sm-side/guid_text.h"

enum { DEEPEST = 16 };

static int member(
        struct json_object *from, const char *name, json_type type, struct json_object **value)
{
	if (!json_object_is_type(from, json_type_object) ||
	        !json_object_object_get_ex(from, name, value))
		return -ENOENT;
	return json_object_is_type(*value, type) ? 0 : -EINVAL;
}

const char *json_read_string(struct json_object *from, const char *name)
{
	struct json_object *value;

	if (member(from, name, json_type_string, &value))
		return NULL;
	/* What holds a zero byte is not what it looks like. */
	if (strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return NULL;
	return json_object_get_string(value);
}

int json_read_text(struct json_object *from, const char *name, char *text, size_t size)
{
	struct json_object *value;
	const char *found;
	int err = member(from, name, json_type_string, &value);

	if (err)
		return err;
	found = json_read_string(from, name);
	if (!found || strlen(found) >= size)
		return -EINVAL;
	memcpy(text, found, strlen(found) + 1);
	return 0;
}

int json_read_number(struct json_object *from, const char *name, uint64_t max, uint64_t *number)
{
	struct json_object *value;
	int err = member(from, name, json_type_int, &value);

	if (err)
		return err;
	if (json_object_get_int64(value) < 0 || json_object_get_uint64(value) > max)
		return -EINVAL;
	*number = json_object_get_uint64(value);
	return 0;
}

int json_read_unsigned(struct json_object *from, const char *name, unsigned *number)
{
	uint64_t wide;
	int err = json_read_number(from, name, UINT_MAX, &wide);

	if (!err)
		*number = (unsigned)wide;
	return err;
}

int json_read_bool(struct json_object *from, const char *name, bool *value)
{
	struct json_object *found;
	int err = member(from, name, json_type_boolean, &found);

	if (!err)
		*value = json_object_get_boolean(found);
	return err;
}

int json_read_guid(struct json_object *from, const char *name, uint64_t *guid)
{
	struct json_object *value;
	int err = member(from, name, json_type_string, &value);

	return err ? err : guid_parse(json_object_get_string(value), guid);
}

struct json_object *json_read_object(struct json_object *from, const char *name)
{
	struct json_object *value;

	return member(from, name, json_type_object, &value) ? NULL : value;
}

struct json_object *json_read_whole(const char *bytes, size_t length)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEEPEST);
	struct json_object *value = NULL;

	if (!tokener || length > INT_MAX)
		goto out;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	value = json_tokener_parse_ex(tokener, bytes, (int)length);
	if (value && !json_object_is_type(value, json_type_object)) {
		json_object_put(value);
		value = NULL;
	}
out:
	if (tokener)
		json_tokener_free(tokener);
	return value;
}

void json_put_text(struct json_object *into, const char *name, const char *text)
{
	json_object_object_add(into, name, json_object_new_string(text));
}

void json_put_number(struct json_object *into, const char *name, uint64_t number)
{
	json_object_object_add(into, name, json_object_new_uint64(number));
}

void json_put_bool(struct json_object *into, const char *name, bool value)
{
	json_object_object_add(into, name, json_object_new_boolean(value));
}

void json_put_guid(struct json_object *into, const char *name, uint64_t guid)
{
	char text[GUID_TEXT_BYTES];

	guid_format(guid, text);
	json_put_text(into, name, text);
}
