/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/driver/driver_output.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

#include "notifier/driver/host_inventory.h"

enum { JSON_DEPTH = 8 };

/* White space at the end, a line's end at least, is no part of the object. */
static size_t without_blanks(const char *bytes, size_t count)
{
	while (count && isspace((unsigned char)bytes[count - 1]))
		count--;
	return count;
}

/* One whole object and nothing behind it; NULL otherwise. */
static struct json_object *object_read(const char *bytes, size_t count)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
	struct json_object *json;

	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, bytes, (int)count);
	json_tokener_free(tokener);
	if (json_object_is_type(json, json_type_object))
		return json;
	json_object_put(json);
	return NULL;
}

/* Whatever is no number of milliseconds is as if it were not said: nothing depends on it. */
static uint32_t copy_ms_of(struct json_object *json)
{
	int64_t copy_ms = json_object_get_int64(json_object_object_get(json, "copy_ms"));

	return copy_ms > 0 && copy_ms <= UINT32_MAX ? (uint32_t)copy_ms : 0;
}

int driver_output_read(const char *bytes, size_t count, bool wants_inventory,
        struct driver_output *output, struct host_inventory *inventory, char *error,
        size_t error_size)
{
	size_t said = without_blanks(bytes, count);
	struct driver_output read = {0};
	struct json_object *json;
	int err = 0;

	if (!said && !wants_inventory) {
		*output = read;
		return 0;
	}
	json = object_read(bytes, said);
	if (!json) {
		snprintf(error, error_size, "its output is not a JSON object");
		return -EBADMSG;
	}
	read.copy_ms = copy_ms_of(json);
	read.has_inventory = wants_inventory || json_object_object_get(json, "slots");
	if (read.has_inventory)
		err = host_inventory_decode(json, inventory, error, error_size);
	json_object_put(json);
	if (!err)
		*output = read;
	return err;
}
