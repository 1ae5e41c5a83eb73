/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/message.h"

#include <stdlib.h>

#include "notifier/base/cleanup.h"

void *message_copy(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	CLEANUP_FREE uint8_t *packed = malloc(size + 1);

	if (!packed)
		return NULL;
	protobuf_c_message_pack(message, packed);
	return protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
}
