/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Members of JSON objects that came from outside, read strictly: the wrong type is an error, not a
 * conversion. -ENOENT: not there; -EINVAL: not what it should be. Outputs are written on success
 * only. Any thread.
 */
#ifndef TETHER_JSON_READ_H
#define TETHER_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

int json_read_text(struct json_object *from, const char *name, char *text, size_t size);
/* 0 to @max. */
int json_read_number(struct json_object *from, const char *name, uint64_t max, uint64_t *number);
int json_read_unsigned(struct json_object *from, const char *name, unsigned *number);
int json_read_bool(struct json_object *from, const char *name, bool *value);
int json_read_guid(struct json_object *from, const char *name, uint64_t *guid);
/* NULL where it is not there or not an object. */
struct json_object *json_read_object(struct json_object *from, const char *name);
/* The text in place, or NULL. */
const char *json_read_string(struct json_object *from, const char *name);

/* One whole JSON object and nothing behind it, nested at most 16 deep; NULL otherwise. */
struct json_object *json_read_whole(const char *bytes, size_t length);

/* The other way. */
void json_put_text(struct json_object *into, const char *name, const char *text);
void json_put_number(struct json_object *into, const char *name, uint64_t number);
void json_put_bool(struct json_object *into, const char *name, bool value);
void json_put_guid(struct json_object *into, const char *name, uint64_t guid);

#endif
