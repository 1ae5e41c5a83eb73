/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "tests/net/frame_json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/wire/message.h"

static struct json_object *bytes_to_json(const ProtobufCBinaryData *bytes)
{
	char *text = calloc(1, bytes->len * 2 + 1);
	struct json_object *json;

	for (size_t i = 0; i < bytes->len; i++)
		sprintf(text + 2 * i, "%02x", bytes->data[i]);
	json = json_object_new_string(text);
	free(text);
	return json;
}

static struct json_object *element_to_json(const ProtobufCFieldDescriptor *field, const void *at)
{
	const ProtobufCEnumValue *value;

	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_object_new_uint64(*(const uint64_t *)at);
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_STRING:
		return json_object_new_string(*(char *const *)at);
	case PROTOBUF_C_TYPE_MESSAGE:
		return message_to_json(*(ProtobufCMessage *const *)at);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_to_json(at);
	case PROTOBUF_C_TYPE_ENUM:
		value = protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at);
		return value ? json_object_new_string(value->name)
		             : json_object_new_int(*(const int *)at);
	default:
		return json_object_new_uint64(*(const uint32_t *)at);
	}
}

static bool element_is_set(const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return *(const uint64_t *)at;
	case PROTOBUF_C_TYPE_STRING:
		return **(char *const *)at;
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(void *const *)at;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len;
	default:
		return *(const uint32_t *)at;
	}
}

static struct json_object *list_to_json(
        const ProtobufCFieldDescriptor *field, const void *elements, size_t count)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(list,
		        element_to_json(field,
		                (const char *)elements + i * message_element_size(field->type)));
	return list;
}

static void field_to_json(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message,
        struct json_object *json)
{
	const char *at = (const char *)message + field->offset;
	const char *quantifier = (const char *)message + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t count = *(const size_t *)quantifier;

		if (count)
			json_object_object_add(
			        json, field->name, list_to_json(field, *(void *const *)at, count));
	} else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(const uint32_t *)quantifier == field->id)
			json_object_object_add(json, field->name, element_to_json(field, at));
	} else if (element_is_set(field, at)) {
		json_object_object_add(json, field->name, element_to_json(field, at));
	}
}

struct json_object *message_to_json(const ProtobufCMessage *message)
{
	struct json_object *json = json_object_new_object();

	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		field_to_json(&message->descriptor->fields[i], message, json);
	return json;
}

static bool bytes_from_json(struct json_object *json, ProtobufCBinaryData *bytes)
{
	const char *text = json_object_get_string(json);
	unsigned byte;

	bytes->len = strlen(text) / 2;
	bytes->data = malloc(bytes->len + 1);
	for (size_t i = 0; i < bytes->len; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		bytes->data[i] = byte;
	}
	return true;
}

static bool enum_from_json(
        const ProtobufCEnumDescriptor *descriptor, struct json_object *json, int *number)
{
	const ProtobufCEnumValue *value;

	if (json_object_is_type(json, json_type_int)) {
		*number = json_object_get_int(json);
		return true;
	}
	value = protobuf_c_enum_descriptor_get_value_by_name(
	        descriptor, json_object_get_string(json));
	if (value)
		*number = value->value;
	return value;
}

static bool element_from_json(
        const ProtobufCFieldDescriptor *field, struct json_object *json, void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		*(uint64_t *)at = json_object_get_uint64(json);
		return json_object_is_type(json, json_type_int);
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = json_object_get_boolean(json);
		return json_object_is_type(json, json_type_boolean);
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = strdup(json_object_get_string(json));
		return json_object_is_type(json, json_type_string);
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = message_from_json(field->descriptor, json);
		return *(ProtobufCMessage **)at;
	case PROTOBUF_C_TYPE_BYTES:
		return json_object_is_type(json, json_type_string) && bytes_from_json(json, at);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_from_json(field->descriptor, json, at);
	default:
		*(uint32_t *)at = json_object_get_uint64(json);
		return json_object_is_type(json, json_type_int);
	}
}

static bool field_from_json(
        const ProtobufCFieldDescriptor *field, struct json_object *json, ProtobufCMessage *message)
{
	char *at = (char *)message + field->offset;
	char *quantifier = (char *)message + field->quantifier_offset;
	char *elements;
	size_t count;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)quantifier = field->id;
	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return element_from_json(field, json, at);
	if (!json_object_is_type(json, json_type_array))
		return false;
	count = json_object_array_length(json);
	elements = calloc(count + 1, message_element_size(field->type));
	*(void **)at = elements;
	for (size_t i = 0; i < count; i++) {
		if (!element_from_json(field, json_object_array_get_idx(json, i),
		            elements + i * message_element_size(field->type)))
			return false;
		++*(size_t *)quantifier;
	}
	return true;
}

ProtobufCMessage *message_from_json(
        const ProtobufCMessageDescriptor *descriptor, struct json_object *json)
{
	ProtobufCMessage *message = malloc(descriptor->sizeof_message);

	protobuf_c_message_init(descriptor, message);
	if (!json_object_is_type(json, json_type_object))
		goto bad;
	json_object_object_foreach(json, key, value)
	{
		const ProtobufCFieldDescriptor *field =
		        protobuf_c_message_descriptor_get_field_by_name(descriptor, key);

		if (!field || !field_from_json(field, value, message)) {
			fprintf(stderr, "%s.%s: %s\n", descriptor->name, key,
			        field ? "another kind of value" : "no such field");
			goto bad;
		}
	}
	return message;
bad:
	protobuf_c_message_free_unpacked(message, NULL);
	return NULL;
}
