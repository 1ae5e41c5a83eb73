/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What holds for every message of the wire. Any thread. */
#ifndef TETHER_MESSAGE_H
#define TETHER_MESSAGE_H

#include "notifier/wire/pieces.h"
#include "tether.pb-c.h"

/*
 * A deep copy of the message whose `base` this is; protobuf-c has none. What it does not know is
 * copied, too. The caller frees it with tether__X__free_unpacked. NULL: no memory.
 */
void *message_copy(const ProtobufCMessage *message);

/* Likewise, in @pieces: nothing in it is freed but with all of them, also where it is NULL. */
void *message_copy_in_pieces(const ProtobufCMessage *message, struct pieces *pieces);

/* Bytes that one of a repeated field of that type takes in its array. */
size_t message_element_size(ProtobufCType type);

#endif
