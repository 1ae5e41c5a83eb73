/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/message.h"

#include <stddef.h>
#include <stdlib.h>

#include "notifier/base/cleanup.h"

enum { PIECE_LEAST = 64 << 10 };

struct message_piece {
	struct message_piece *next;
	size_t used, size;
	_Alignas(max_align_t) char room[];
};

static struct message_piece *piece_add(struct message_piece **pieces, size_t least)
{
	size_t size = least > PIECE_LEAST ? least : PIECE_LEAST;
	struct message_piece *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->next = *pieces;
	piece->used = 0;
	piece->size = size;
	*pieces = piece;
	return piece;
}

static void *piece_alloc(void *data, size_t size)
{
	struct message_piece **pieces = data, *piece = *pieces;
	size_t rest = size % _Alignof(max_align_t);
	void *at;

	size += rest ? _Alignof(max_align_t) - rest : 0;
	if (!piece || piece->size - piece->used < size)
		piece = piece_add(pieces, size);
	if (!piece)
		return NULL;
	at = piece->room + piece->used;
	piece->used += size;
	return at;
}

/* With all the others. */
static void piece_keep(void *data, void *at)
{
	(void)data;
	(void)at;
}

static void *copy_with(const ProtobufCMessage *message, ProtobufCAllocator *allocator)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	CLEANUP_FREE uint8_t *packed = malloc(size + 1);

	if (!packed)
		return NULL;
	protobuf_c_message_pack(message, packed);
	return protobuf_c_message_unpack(message->descriptor, allocator, size, packed);
}

void *message_copy(const ProtobufCMessage *message)
{
	return copy_with(message, NULL);
}

void *message_copy_in_pieces(const ProtobufCMessage *message, struct message_piece **pieces)
{
	ProtobufCAllocator allocator = {piece_alloc, piece_keep, pieces};

	return copy_with(message, &allocator);
}

void message_pieces_free(struct message_piece *pieces)
{
	while (pieces) {
		struct message_piece *next = pieces->next;

		free(pieces);
		pieces = next;
	}
}
