/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/messages.h"

#include <stdlib.h>
#include <string.h>

#include "simfabric/fault_points.h"

enum {
	CHUNKS = MESSAGES_ARENA_BYTES / MESSAGE_CHUNK_BYTES,
	MORE_BYTES = MESSAGE_CHUNK_BYTES - 8,
};

/* What follows a message's first chunk; and any free chunk. */
struct chunk {
	uint32_t more; /* index + 1 */
	uint32_t reserved;
	uint8_t bytes[MORE_BYTES];
};

struct arena {
	uint32_t fresh; /* chunks from here on were never used */
	uint32_t free;  /* index + 1 of the first that was given back */
	uint32_t used;
	uint32_t reserved[13];
	struct chunk chunks[CHUNKS];
};

_Static_assert(sizeof(struct message) == MESSAGE_CHUNK_BYTES, "a message is a chunk");
_Static_assert(sizeof(struct chunk) == MESSAGE_CHUNK_BYTES, "chunks are of one size");

struct message_marks {
	struct fabric *fabric;
	uint32_t marked;
	uint64_t bits[CHUNKS / 64 + 1];
};

static struct arena *arena(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_MESSAGES);
}

size_t messages_size(const struct net *net)
{
	return sizeof(struct arena);
}

struct message *message_at(const struct fabric *fabric, uint32_t index)
{
	return (struct message *)(void *)&arena(fabric)->chunks[index];
}

uint32_t message_chunks_used(const struct fabric *fabric)
{
	return arena(fabric)->used;
}

static uint32_t chunks_for(size_t bytes)
{
	if (bytes <= MESSAGE_FIRST_BYTES)
		return 1;
	return 1 + (bytes - MESSAGE_FIRST_BYTES + MORE_BYTES - 1) / MORE_BYTES;
}

static uint32_t take_chunk(struct arena *a)
{
	uint32_t index;

	if (a->free) {
		index = a->free - 1;
		a->free = a->chunks[index].more;
	} else {
		index = a->fresh++;
	}
	a->used++;
	return index;
}

static void give_chunk(struct arena *a, uint32_t index)
{
	a->chunks[index].more = a->free;
	a->free = index + 1;
	a->used--;
}

/* The chunks behind the first, in their order. */
static void append_rest(
        struct fabric *fabric, struct message *message, const uint8_t *from, size_t bytes)
{
	struct arena *a = arena(fabric);
	uint32_t *link = &message->more;

	while (bytes) {
		uint32_t index = take_chunk(a);
		size_t here = bytes < MORE_BYTES ? bytes : MORE_BYTES;

		a->chunks[index].more = 0;
		memcpy(a->chunks[index].bytes, from, here);
		*link = index + 1;
		link = &a->chunks[index].more;
		from += here;
		bytes -= here;
		fault_point(message_half_copied);
	}
}

uint32_t message_create(struct fabric *fabric, const void *mad, size_t bytes)
{
	struct arena *a = arena(fabric);
	size_t first = bytes < MESSAGE_FIRST_BYTES ? bytes : MESSAGE_FIRST_BYTES;
	struct message *message;
	uint32_t index;

	if (bytes > MESSAGE_MAX_BYTES || a->used + chunks_for(bytes) > CHUNKS)
		return NO_INDEX;
	index = take_chunk(a);
	fault_point(message_chunk_taken);
	message = message_at(fabric, index);
	memset(message, 0, offsetof(struct message, mad));
	message->length = bytes;
	memcpy(message->mad, mad, first);
	append_rest(fabric, message, (const uint8_t *)mad + first, bytes - first);
	return index;
}

void message_read(const struct fabric *fabric, uint32_t index, void *into, size_t bytes)
{
	const struct message *message = message_at(fabric, index);
	size_t left = bytes < message->length ? bytes : message->length;
	size_t here = left < MESSAGE_FIRST_BYTES ? left : MESSAGE_FIRST_BYTES;
	uint32_t more = message->more;
	uint8_t *at = into;

	memcpy(at, message->mad, here);
	for (left -= here, at += here; left && more; left -= here, at += here) {
		const struct chunk *chunk = &arena(fabric)->chunks[more - 1];

		here = left < MORE_BYTES ? left : MORE_BYTES;
		memcpy(at, chunk->bytes, here);
		more = chunk->more;
	}
}

void message_free(struct fabric *fabric, uint32_t index)
{
	struct arena *a = arena(fabric);
	uint32_t more = message_at(fabric, index)->more;

	give_chunk(a, index);
	while (more) {
		uint32_t next = a->chunks[more - 1].more;

		give_chunk(a, more - 1);
		more = next;
		fault_point(message_half_freed);
	}
}

struct message_marks *message_marks_begin(struct fabric *fabric)
{
	struct message_marks *marks = calloc(1, sizeof(*marks));

	if (marks)
		marks->fabric = fabric;
	return marks;
}

static bool mark_chunk(struct message_marks *marks, uint32_t index)
{
	uint64_t bit = 1ull << index % 64;

	if (index >= arena(marks->fabric)->fresh || marks->bits[index / 64] & bit)
		return false;
	marks->bits[index / 64] |= bit;
	marks->marked++;
	return true;
}

bool message_mark(struct message_marks *marks, uint32_t index)
{
	uint32_t left, more;

	if (!mark_chunk(marks, index))
		return false;
	left = chunks_for(message_at(marks->fabric, index)->length);
	more = message_at(marks->fabric, index)->more;
	while (--left) {
		if (!more || !mark_chunk(marks, more - 1))
			return false;
		more = arena(marks->fabric)->chunks[more - 1].more;
	}
	return true;
}

void message_marks_end(struct message_marks *marks)
{
	struct arena *a;

	if (!marks)
		return;
	a = arena(marks->fabric);
	a->free = 0;
	if (a->fresh > CHUNKS)
		a->fresh = CHUNKS;
	for (uint32_t i = a->fresh; i-- > 0;) {
		if (marks->bits[i / 64] & 1ull << i % 64)
			continue;
		a->chunks[i].more = a->free;
		a->free = i + 1;
	}
	a->used = marks->marked;
	free(marks);
}
