/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/fit.h"

#include <stdbool.h>
#include <string.h>

#include "notifier/wire/gid_name.h"
#include "notifier/wire/message.h"

static const struct {
	uint32_t version;
	const ProtobufCMessageDescriptor *message;
	const char *field;
} since[] = {
#define SINCE(version, message, field) {version, &tether__##message##__descriptor, #field},
#include "notifier/wire/since.def"
};

static bool is_newer(uint32_t version, const ProtobufCMessageDescriptor *message, const char *field)
{
	for (size_t i = 0; i < sizeof(since) / sizeof(*since); i++)
		if (since[i].message == message && since[i].version > version &&
		        !strcmp(since[i].field, field))
			return true;
	return false;
}

static bool is_in_oneof(const ProtobufCFieldDescriptor *field)
{
	return field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

static bool is_there(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	const uint32_t *which = (const uint32_t *)(base + field->quantifier_offset);

	return !is_in_oneof(field) || *which == field->id;
}

/* Of the messages in @field, which is there. */
static size_t messages_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
        ProtobufCMessage *const **messages)
{
	const char *at = (const char *)message + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		*messages = *(ProtobufCMessage *const *const *)at;
		return *(const size_t *)((const char *)message + field->quantifier_offset);
	}
	*messages = (ProtobufCMessage *const *)at;
	return **messages ? 1 : 0;
}

static bool bytes_are_zero(const char *at, size_t size)
{
	while (size && !*at)
		at++, size--;
	return !size;
}

static size_t field_size(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED ? sizeof(void *)
	                                                 : message_element_size(field->type);
}

/* Something that @version does not know is in @message. @drop: it is taken out, of a message whose
 * memory is its pieces'. */
static bool newer_look(uint32_t version, ProtobufCMessage *message, bool drop)
{
	const ProtobufCMessageDescriptor *kind = message->descriptor;
	bool found = kind == &tether__address__descriptor && version < NAMES_SINCE &&
	             is_gid_name(((Tether__Address *)message)->lid);

	if (found && drop)
		address_unname((Tether__Address *)message);
	for (unsigned i = 0; i < kind->n_fields && (drop || !found); i++) {
		const ProtobufCFieldDescriptor *field = &kind->fields[i];
		char *at = (char *)message + field->offset;
		ProtobufCMessage *const *inner;

		if (!is_there(message, field))
			continue;
		if (is_newer(version, kind, field->name)) {
			found |= !bytes_are_zero(at, field_size(field));
			if (drop && field->label == PROTOBUF_C_LABEL_REPEATED)
				*(size_t *)((char *)message + field->quantifier_offset) = 0;
			if (drop)
				memset(at, 0, field_size(field));
			continue;
		}
		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		for (size_t left = messages_of(message, field, &inner); left; left--)
			found |= newer_look(version, inner[left - 1], drop);
	}
	return found;
}

const Tether__Frame *frame_fit(uint32_t version, const Tether__Frame *frame, struct pieces *pieces)
{
	Tether__Frame *copy;

	if (version >= TETHER__PROTOCOL__PROTOCOL_VERSION ||
	        !newer_look(version, (ProtobufCMessage *)&frame->base, false))
		return frame;
	copy = message_copy_in_pieces(&frame->base, pieces);
	if (copy)
		newer_look(version, &copy->base, true);
	return copy;
}
