/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What holds for every message of the wire. Any thread. */
#ifndef TETHER_MESSAGE_H
#define TETHER_MESSAGE_H

#include "tether.pb-c.h"

/*
 * A deep copy of the message whose `base` this is; protobuf-c has none. The caller frees it with
 * tether__X__free_unpacked. NULL: no memory.
 */
void *message_copy(const ProtobufCMessage *message);

/*
 * Likewise, of many names in few pieces of memory, which are added to @pieces (NULL at first).
 * Nothing in it is freed but all of it, by message_pieces_free, also where it is NULL.
 */
struct message_piece;
void *message_copy_in_pieces(const ProtobufCMessage *message, struct message_piece **pieces);
void message_pieces_free(struct message_piece *pieces);

#endif
