/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* By what the descriptor says of each field, as message.c copies. */
#include "notifier/wire/message_equal.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "notifier/wire/message.h"

static bool strings_equal(const char *one, const char *other)
{
	return !strcmp(one ? one : "", other ? other : "");
}

static bool messages_equal(const ProtobufCMessage *one, const ProtobufCMessage *other)
{
	return one && other ? message_equal(one, other) : one == other;
}

static bool bytes_equal(const ProtobufCBinaryData *one, const ProtobufCBinaryData *other)
{
	return one->len == other->len && (!one->len || !memcmp(one->data, other->data, one->len));
}

static bool values_equal(ProtobufCType type, const void *one, const void *other)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
		return strings_equal(*(char *const *)one, *(char *const *)other);
	case PROTOBUF_C_TYPE_MESSAGE:
		return messages_equal(
		        *(ProtobufCMessage *const *)one, *(ProtobufCMessage *const *)other);
	case PROTOBUF_C_TYPE_BYTES:
		return bytes_equal(one, other);
	default:
		return !memcmp(one, other, message_element_size(type));
	}
}

/* Of @count each. */
static bool lists_equal(ProtobufCType type, const char *one, const char *other, size_t count)
{
	size_t size = message_element_size(type);

	for (size_t i = 0; i < count; i++)
		if (!values_equal(type, one + i * size, other + i * size))
			return false;
	return true;
}

static bool fields_equal(const ProtobufCFieldDescriptor *field, const char *one, const char *other)
{
	const void *at = one + field->offset, *other_at = other + field->offset;
	const void *quantifier = one + field->quantifier_offset;
	const void *other_quantifier = other + field->quantifier_offset;
	bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
	uint32_t is_which;

	if (is_list)
		return *(const size_t *)quantifier == *(const size_t *)other_quantifier &&
		       lists_equal(field->type, *(char *const *)at, *(char *const *)other_at,
		               *(const size_t *)quantifier);
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		is_which = *(const uint32_t *)quantifier;
		return is_which == *(const uint32_t *)other_quantifier &&
		       (is_which != field->id || values_equal(field->type, at, other_at));
	}
	return values_equal(field->type, at, other_at);
}

bool message_equal(const ProtobufCMessage *one, const ProtobufCMessage *other)
{
	const ProtobufCMessageDescriptor *kind = one->descriptor;

	for (unsigned i = 0; i < kind->n_fields; i++)
		if (!fields_equal(&kind->fields[i], (const char *)one, (const char *)other))
			return false;
	return true;
}
