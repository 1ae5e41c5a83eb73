/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "notifier/wire/pieces.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { PIECE_LEAST = 64 << 10 };

struct piece {
	struct piece *next; /* the first leads to the last, so that it leads to all */
	size_t used, size;
	_Alignas(max_align_t) char room[];
};

/* A ring: the last one's next is the first. */
static struct piece *piece_add(struct pieces *pieces, size_t size)
{
	struct piece *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return NULL;
	piece->next = piece;
	if (pieces->last) {
		piece->next = pieces->last->next;
		pieces->last->next = piece;
	}
	piece->used = 0;
	piece->size = size;
	pieces->last = piece;
	return piece;
}

int pieces_begin(struct pieces *pieces, size_t size)
{
	return pieces->last || piece_add(pieces, size) ? 0 : -ENOMEM;
}

void *pieces_alloc(struct pieces *pieces, size_t size)
{
	const size_t unit = _Alignof(max_align_t);
	struct piece *piece = pieces->last;
	void *at;

	if (size > PTRDIFF_MAX / 2)
		return NULL;
	size = size ? (size + unit - 1) / unit * unit : unit;
	if (!piece || piece->size - piece->used < size)
		piece = piece_add(pieces, size > PIECE_LEAST ? size : PIECE_LEAST);
	if (!piece)
		return NULL;
	at = piece->room + piece->used;
	piece->used += size;
	return at;
}

static void ring_free(struct piece *first)
{
	struct piece *piece = first;

	do {
		struct piece *next = piece->next;

		free(piece);
		piece = next;
	} while (piece != first);
}

void pieces_free(struct pieces *pieces)
{
	if (pieces->last)
		ring_free(pieces->last->next);
	pieces->last = NULL;
}

void pieces_free_of(void *first)
{
	ring_free((struct piece *)((char *)first - offsetof(struct piece, room)));
}
