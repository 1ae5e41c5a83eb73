/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * A copy by what the descriptor says of each field. To pack a message and to unpack that takes four
 * times the instructions, most of them for names.
 */
#include "notifier/wire/message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Where copies go. */
struct copying {
	struct pieces *pieces; /* NULL: each is of malloc */
	bool failed;
};

static void *room_for(struct copying *copying, size_t size)
{
	void *at = copying->pieces ? pieces_alloc(copying->pieces, size) : malloc(size ? size : 1);

	copying->failed |= !at;
	return at;
}

/* NULL where there is nothing, and where it failed. */
static void *bytes_copy(struct copying *copying, const void *bytes, size_t size)
{
	void *copy = size ? room_for(copying, size) : NULL;

	return copy ? memcpy(copy, bytes, size) : NULL;
}

static char *string_copy(struct copying *copying, const char *string)
{
	return bytes_copy(copying, string ? string : "", string ? strlen(string) + 1 : 1);
}

static ProtobufCBinaryData data_copy(struct copying *copying, const ProtobufCBinaryData *data)
{
	uint8_t *bytes = bytes_copy(copying, data->data, data->data ? data->len : 0);

	return (ProtobufCBinaryData){bytes ? data->len : 0, bytes};
}

static ProtobufCMessage *copy(struct copying *copying, const ProtobufCMessage *message);

size_t message_element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return sizeof(uint32_t);
	}
}

/* @count of them, in @from, which are more than bits; how many were begun. */
static size_t elements_copy(
        struct copying *copying, ProtobufCType type, const void *from, size_t count, void *to)
{
	size_t i = 0;

	for (; i < count && !copying->failed; i++)
		if (type == PROTOBUF_C_TYPE_STRING)
			((char **)to)[i] = string_copy(copying, ((char *const *)from)[i]);
		else if (type == PROTOBUF_C_TYPE_MESSAGE)
			((ProtobufCMessage **)to)[i] =
			        copy(copying, ((ProtobufCMessage *const *)from)[i]);
		else
			((ProtobufCBinaryData *)to)[i] =
			        data_copy(copying, &((const ProtobufCBinaryData *)from)[i]);
	return i;
}

static bool is_bits(ProtobufCType type)
{
	return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_MESSAGE &&
	       type != PROTOBUF_C_TYPE_BYTES;
}

static void repeated_copy(
        struct copying *copying, const ProtobufCFieldDescriptor *field, void *at, size_t *count)
{
	const void *from = *(void *const *)at;
	size_t size = *count * message_element_size(field->type);
	void *to = *count ? room_for(copying, size) : NULL;

	if (!to)
		*count = 0;
	else if (is_bits(field->type))
		memcpy(to, from, size);
	else
		*count = elements_copy(copying, field->type, from, *count, to);
	*(void **)at = to;
}

static void single_copy(struct copying *copying, const ProtobufCFieldDescriptor *field, void *at)
{
	char **string = at;
	ProtobufCMessage **message = at;
	ProtobufCBinaryData *data = at;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		/* An empty one is what the message began with, but where it is optional. */
		*string = *string && (**string || !field->default_value)
		                  ? string_copy(copying, *string)
		                  : (char *)field->default_value;
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*message = *message && !copying->failed ? copy(copying, *message) : NULL;
		break;
	case PROTOBUF_C_TYPE_BYTES:
		*data = data_copy(copying, data);
		break;
	default:
		break;
	}
}

static void field_copy(
        struct copying *copying, const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
	char *base = (char *)message;
	void *at = base + field->offset, *quantifier = base + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		repeated_copy(copying, field, at, quantifier);
	else if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
	         *(const uint32_t *)quantifier == field->id)
		single_copy(copying, field, at);
}

static void unknown_copy(struct copying *copying, ProtobufCMessage *message)
{
	const ProtobufCMessageUnknownField *from = message->unknown_fields;
	size_t size = message->n_unknown_fields * sizeof(*from);
	ProtobufCMessageUnknownField *to = bytes_copy(copying, from, size);

	message->unknown_fields = to;
	if (!to)
		message->n_unknown_fields = 0;
	for (unsigned i = 0; i < message->n_unknown_fields; i++) {
		to[i].data = bytes_copy(copying, from[i].data, from[i].len);
		to[i].len = to[i].data ? from[i].len : 0;
	}
}

/* Where memory ends on the way, what is there can be freed as any message. */
static ProtobufCMessage *copy(struct copying *copying, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *kind = message->descriptor;
	ProtobufCMessage *to = bytes_copy(copying, message, kind->sizeof_message);

	if (!to)
		return NULL;
	for (unsigned i = 0; i < kind->n_fields; i++)
		field_copy(copying, &kind->fields[i], to);
	unknown_copy(copying, to);
	return to;
}

void *message_copy(const ProtobufCMessage *message)
{
	struct copying copying = {0};
	ProtobufCMessage *to = copy(&copying, message);

	if (to && copying.failed) {
		protobuf_c_message_free_unpacked(to, NULL);
		return NULL;
	}
	return to;
}

void *message_copy_in_pieces(const ProtobufCMessage *message, struct pieces *pieces)
{
	struct copying copying = {.pieces = pieces};
	ProtobufCMessage *to = copy(&copying, message);

	return copying.failed ? NULL : to;
}
