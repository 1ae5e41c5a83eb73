/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Any message of tether.proto as JSON and back, by its descriptor: fields by name, enums by name,
 * bytes as hexadecimal text, tables as lists. For test tools; any thread.
 */
#ifndef TETHER_TESTS_FRAME_JSON_H
#define TETHER_TESTS_FRAME_JSON_H

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

/* Fields that are not set (or zero) are left out. */
struct json_object *message_to_json(const ProtobufCMessage *message);

/* NULL: @json has a field that the message does not know, or of another kind; said on stderr. Free
 * with protobuf_c_message_free_unpacked. */
ProtobufCMessage *message_from_json(
        const ProtobufCMessageDescriptor *descriptor, struct json_object *json);

#endif
