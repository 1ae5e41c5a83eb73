/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Many small allocations in few pieces of memory, which are freed all at once: a message has tens
 * of them, and a name has few bytes. Pure; one thread. Zero-initialise.
 */
#ifndef TETHER_PIECES_H
#define TETHER_PIECES_H

#include <stddef.h>

struct piece;
struct pieces {
	struct piece *last; /* NULL: none */
};

/* Room for @size bytes, for any type. NULL: no memory. */
void *pieces_alloc(struct pieces *pieces, size_t size);
/* The first piece, if there is none yet, has @size bytes and no more: what is known to be enough.
 * What does not fit goes into further ones. -ENOMEM */
int pieces_begin(struct pieces *pieces, size_t size);
void pieces_free(struct pieces *pieces);
/* Those of which @first is what was allocated first. */
void pieces_free_of(void *first);

#endif
